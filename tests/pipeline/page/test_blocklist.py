"""The blocklist file: built once, by whoever comes first, and only from what it says it is from."""

import io
import multiprocessing
import tarfile
from pathlib import Path

import pytest

from decant.pipeline.page import blocklist
from decant.pipeline.page.blocklist import ARCHIVE, load_blocklist, load_words, open_table

DOMAINS = ["bad.com", "# a comment", " worse.org ", "sub.bad.net"]


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    write_archive(tmp_path, DOMAINS, ["bad.com/page"])
    return tmp_path


def write_archive(folder: Path, domains: list[str], urls: list[str]) -> None:
    with tarfile.open(folder / ARCHIVE, "w:gz") as tar:
        for name, lines in (("domains", domains), ("urls", urls)):
            data = "\n".join(lines).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def tables(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("*.u64"))


def test_entries_are_read_as_the_reference_reads_them(assets):
    lists = load_blocklist(assets)
    assert "bad.com" in lists.domains
    assert "worse.org" in lists.domains  # blanks around an entry do not count
    assert "# a comment" not in lists.domains
    assert len(lists.domains) == 3
    assert "bad.com/page" in lists.urls
    assert "bad.com/page" not in lists.domains


def test_the_file_is_built_once_and_then_mapped(assets, monkeypatch):
    load_blocklist(assets)
    monkeypatch.setattr(blocklist, "build_table", None)  # would fail if it were called
    assert "bad.com" in load_blocklist(assets).domains
    assert len(tables(assets)) == 1
    assert not list((assets / "cache").glob("*.partial"))


def test_other_lists_get_a_file_of_their_own(assets):
    load_blocklist(assets)
    write_archive(assets, ["other.com"], ["x"])
    lists = load_blocklist(assets)
    assert "other.com" in lists.domains
    assert "bad.com" not in lists.domains
    assert len(tables(assets)) == 2


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 800, "cut"])
def test_a_damaged_file_is_built_again(assets, damage):
    load_blocklist(assets)
    (path,) = tables(assets)
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[:-8] if damage == "cut" else damage)
    assert open_table(path) is None
    assert "bad.com" in load_blocklist(assets).domains
    assert path.read_bytes() == whole


def build(assets: Path) -> bool:
    return "bad.com" in load_blocklist(assets).domains


def test_processes_that_start_at_once_end_with_one_file(assets):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(build, [assets] * 3) == [True, True, True]
    assert len(tables(assets)) == 1


def test_word_lists_skip_comments_and_keep_letters_and_digits_only(tmp_path):
    for name in ("banned_words.txt", "soft_banned_words.txt", "banned_subwords.txt"):
        (tmp_path / name).write_text("#off\nBall Gag\n2g1c\n\n")
    words = load_words(tmp_path)
    assert words.banned == words.soft_banned == words.banned_parts == {"ballgag", "2g1c"}
