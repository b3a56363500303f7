"""Input files are found once, cut up and frozen; another list is refused by name."""

import functools
import http.server
import os
import threading

import pytest

from decant.pipeline.config import InputConfig, RunConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import inputs
from decant.pipeline.rundir.inputs import freeze, partition, unreadable
from decant.pipeline.rundir.listing import (
    InputError,
    InputFile,
    file_path_of,
    find,
    identity,
    open_input,
    steady_input,
)
from tests.faults.warc_files import arc, crawl, members, one_member


def config(*paths: object, **fields) -> RunConfig:
    return RunConfig(input=InputConfig(paths=tuple(str(path) for path in paths), **fields))


def found(run: RunConfig) -> list[InputFile]:
    return find(run).files


@pytest.fixture
def folder(tmp_path):
    segment = tmp_path / "crawl-data" / "CC-MAIN-2024-10" / "segments" / "1" / "warc"
    segment.mkdir(parents=True)
    (segment / "b.warc.gz").write_bytes(members(crawl(9)))
    (segment / "a.warc.gz").write_bytes(one_member(crawl(9)))
    (tmp_path / "old.arc").write_bytes(arc(3))
    (tmp_path / "notes.txt").write_text("not an archive")
    return tmp_path


def names(files: list[InputFile]) -> list[str]:
    return [one.url.rsplit("/", 1)[-1] for one in files]


def test_a_directory_gives_its_archives_in_order_of_address(folder):
    assert names(found(config(folder))) == ["a.warc.gz", "b.warc.gz", "old.arc"]


def test_a_glob_and_a_file_in_it_give_each_file_once(folder):
    pattern = f"{folder}/**/*.warc.gz"
    first = found(config(pattern))[0].url
    assert names(found(config(first, pattern, first))) == ["a.warc.gz", "b.warc.gz"]


def test_limit_takes_the_first_files(folder):
    assert names(found(config(folder, limit=1))) == ["a.warc.gz"]


@pytest.mark.parametrize("path", ["missing.warc.gz", "nothing-*.warc.gz"])
def test_missing_input_is_named(folder, path):
    with pytest.raises(InputError, match=path.replace("*", r"\*")):
        find(config(folder / path))


def test_a_directory_without_archives_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(InputError, match="no WARC files"):
        find(config(tmp_path))


def test_no_input_at_all_says_how_to_give_some(tmp_path):
    with pytest.raises(InputError, match="--input"):
        freeze(Store(str(tmp_path / "run")), RunConfig())


def test_what_a_file_is_comes_from_its_bytes(folder):
    found = {
        one.source.file_path: one.source for one in freeze(Store(f"{folder}/run"), config(folder))
    }
    prefix = "crawl-data/CC-MAIN-2024-10/segments/1/warc"
    assert found[f"{prefix}/a.warc.gz"].offset_kind == "stream"
    assert found[f"{prefix}/b.warc.gz"].offset_kind == "member"
    assert found[f"{prefix}/b.warc.gz"].dump == "CC-MAIN-2024-10"
    assert (found["old.arc"].container, found["old.arc"].dump) == ("plain", "unknown")


def test_the_dump_is_asked_of_warcinfo_where_the_path_is_silent(tmp_path):
    (tmp_path / "x.warc.gz").write_bytes(members(crawl(2)))
    (one,) = freeze(Store(f"{tmp_path}/run"), config(tmp_path / "x.warc.gz"))
    assert one.source.dump == "CC-MAIN-2024-10"


def test_file_path_is_the_same_for_local_and_remote_input():
    tail = "crawl-data/CC-MAIN-2024-10/segments/1/warc/x.warc.gz"
    for url in (f"/mnt/{tail}", f"s3://commoncrawl/{tail}", f"https://data.commoncrawl.org/{tail}"):
        assert file_path_of(url) == tail
    assert file_path_of("/mnt/x.warc.gz") == "x.warc.gz"


def test_partitions_cover_each_file_once_and_none_is_too_large():
    files = [
        InputFile("a", "a", 1_000, container="gzip", offset_kind="member"),
        InputFile("b", "b", 250, container="plain", offset_kind="stream"),
        InputFile("c", "c", 900, container="gzip", offset_kind="stream"),
        InputFile("d", "d", 0, container="plain", offset_kind="stream"),
    ]
    cut = partition(files, 300)
    assert [one.number for one in cut] == list(range(len(cut)))
    spans = [(one.file, one.start, one.end) for one in cut]
    assert spans[:4] == [(0, 0, 250), (0, 250, 500), (0, 500, 750), (0, 750, None)]
    assert spans[4:] == [(1, 0, None), (2, 0, None), (3, 0, None)]  # 2: cannot begin inside


def test_a_frozen_list_comes_back_as_it_was(folder):
    store = Store(f"{folder}/run")
    first = freeze(store, config(folder / "crawl-data", split_bytes=1_000))
    assert len(first) > 3
    assert inputs.load(store) == first
    assert freeze(store, config(folder / "crawl-data", split_bytes=1_000)) == first
    assert freeze(store, RunConfig()) == first


def test_a_changed_list_is_refused_with_the_difference(folder):
    store = Store(f"{folder}/run")
    freeze(store, config(folder / "crawl-data"))
    with pytest.raises(InputError, match=r"old\.arc is new"):
        freeze(store, config(folder / "crawl-data", folder / "old.arc"))
    with pytest.raises(InputError, match=r"a\.warc\.gz is gone"):
        freeze(store, config(f"{folder}/**/b.warc.gz"))


def test_a_file_of_another_size_is_refused_and_one_only_touched_is_not(folder, capsys):
    store = Store(f"{folder}/run")
    path = folder / "old.arc"
    freeze(store, config(path))
    path.touch()
    freeze(store, config(path))
    assert "touched" in capsys.readouterr().err
    path.write_bytes(arc(4))
    with pytest.raises(InputError, match=r"old\.arc had \d+ bytes, now \d+"):
        freeze(store, config(path))


def test_a_changed_split_is_refused(folder):
    store = Store(f"{folder}/run")
    freeze(store, config(folder / "crawl-data", split_bytes=1_000))
    with pytest.raises(InputError, match=r"split_bytes"):
        freeze(store, config(folder / "crawl-data", split_bytes=2_000))


def test_files_are_read_over_http(folder):
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/old.arc"
        (one,) = freeze(Store(f"{folder}/run"), config(url))
        assert (one.source.size, one.source.file_path) == (len(arc(3)), "old.arc")
        with open_input(url, config(url)) as file:
            assert file.read() == arc(3)
        with pytest.raises(InputError, match="missing"):
            find(config(url.replace("old.arc", "missing.warc.gz")))
    finally:
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_what_lies_beside_the_data_is_left_alone_and_said(folder, capsys):
    for name in ("README", "a.cdx", "_SUCCESS"):
        (folder / "crawl-data" / name).write_text("x")
    freeze(Store(f"{folder}/run"), config(folder / "crawl-data"))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "3 files beside the input are left alone" in said


def test_what_looks_like_data_and_cannot_be_read_is_named_and_costs_no_other_file(folder):
    (folder / "packed.warc.xz").write_bytes(b"x")
    (folder / "gone.warc.gz").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.warc.gz")
    odd = os.fsencode(folder) + b"/caf\xe9.warc.gz"
    with open(odd, "wb") as file:
        file.write(members(crawl(1)))
    store = Store(f"{folder}/run")
    assert len({one.file for one in freeze(store, config(folder))}) == 3
    named = {line.split(": ")[0].rsplit("/", 1)[1]: line for line in unreadable(store)}
    assert set(named) == {"packed.warc.xz", "gone.warc.gz", "pipe.warc.gz", "caf\\udce9.warc.gz"}
    assert "not a regular file" in named["pipe.warc.gz"]
    assert "link to nothing" in named["gone.warc.gz"]


def test_a_linked_folder_is_read_once_and_a_link_back_is_no_circle(folder):
    (folder / "linked").symlink_to(folder / "crawl-data")
    (folder / "crawl-data" / "back").symlink_to(folder)
    assert len(names(found(config(folder)))) == 3


def test_a_pipe_that_is_given_is_refused_in_a_line(folder):
    os.mkfifo(folder / "pipe.warc.gz")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find(config(folder / "pipe.warc.gz"))


def test_a_path_with_two_colons_is_a_file_like_any_other(folder):
    path = folder / "a::b.warc.gz"
    path.write_bytes(members(crawl(2)))
    (one,) = freeze(Store(f"{folder}/run"), config(path))
    assert one.source.url == str(path)


@pytest.mark.parametrize("change", ["shrinks", "grows", "is written again"])
def test_a_file_that_changes_while_it_is_read_is_refused(folder, change):
    path = folder / "old.arc"
    data = path.read_bytes()
    size, etag, _ = identity(str(path), config(path))
    with (
        pytest.raises(InputError, match="changed while it was read"),
        steady_input(str(path), size, etag, config(path)),
    ):
        if change == "is written again":
            os.utime(path, ns=(1, 1))
        else:
            path.write_bytes(data[:-10] if change == "shrinks" else data * 2)


def test_a_file_of_another_size_than_listed_is_refused_when_it_is_opened(folder):
    path = folder / "old.arc"
    size, etag, _ = identity(str(path), config(path))
    with (
        pytest.raises(InputError, match="when the run began"),
        steady_input(str(path), size + 1, etag, config(path)),
    ):
        pass


def test_a_file_that_stays_as_it_is_is_read_to_its_end(folder):
    path = folder / "old.arc"
    size, etag, _ = identity(str(path), config(path))
    with steady_input(str(path), size, etag, config(path)) as file:
        assert file.read() == path.read_bytes()


def test_documents_without_a_byte_are_named_beside_others_and_refused_alone(tmp_path):
    (tmp_path / "zero.parquet").touch()
    with pytest.raises(InputError, match="it has no bytes"):
        find(config(tmp_path / "zero.parquet"))
    (tmp_path / "good.jsonl").write_text('{"text": "a"}\n')
    listing = find(config(tmp_path))
    assert names(listing.files) == ["good.jsonl"]
    assert [line.rsplit("/", 1)[1] for line in listing.unreadable] == [
        "zero.parquet: it has no bytes"
    ]
