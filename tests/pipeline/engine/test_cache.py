"""Where things built once per machine lie, and that they appear whole."""

import pytest

from decant.pipeline.engine.cache import cache_dir, whole_file


def test_the_cache_folder_is_the_one_that_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "a" / "b"))
    assert cache_dir() == tmp_path / "a" / "b"
    assert cache_dir().is_dir()


def test_without_a_choice_it_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DECANT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "decant"


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="set DECANT_CACHE to a folder that can be written"):
        cache_dir()


def test_a_file_appears_when_it_is_whole(tmp_path):
    with whole_file(tmp_path / "table") as file:
        file.write(b"all of it")
        assert not (tmp_path / "table").exists()
    assert (tmp_path / "table").read_bytes() == b"all of it"


def test_a_file_that_fails_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "table").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "table") as file:
        file.write(b"half")
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_bytes() == b"before"
