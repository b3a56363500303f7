"""Where a tokenizer comes from, and what a missing one means."""

import urllib.error

import pytest

from decant.pipeline.tokens import counter as counting
from decant.pipeline.tokens.counter import (
    NullCounter,
    TokenizerMissing,
    find_tokenizer,
    token_counter,
)
from tests import small_tokenizer


@pytest.fixture
def vocabulary(tmp_path):
    return small_tokenizer.write(tmp_path / "bpe")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(counting.urllib.request, "urlopen", refuse)


def test_tokens_are_counted_without_an_end_token(vocabulary):
    # the·Ġword·Ġ·Ġword and, with each end of text one token: ab·<|endoftext|>·ab
    assert token_counter(path=vocabulary).count(["the word  word", "ab<|endoftext|>ab", ""]) == [
        4,
        3,
        0,
    ]


def test_a_tokenizer_json_counts_like_the_two_files_it_came_from(vocabulary, tmp_path):
    counting.load_tokenizer(vocabulary).save(str(tmp_path / "tokenizer.json"))
    text = ["the word abab it's\n\n..."]
    expected = token_counter(path=vocabulary).count(text)
    assert token_counter(path=tmp_path / "tokenizer.json").count(text) == expected
    assert token_counter(path=tmp_path).count(text) == expected


def test_the_hubs_file_names_are_understood_too(vocabulary):
    (vocabulary / "encoder.json").rename(vocabulary / "vocab.json")
    (vocabulary / "vocab.bpe").rename(vocabulary / "merges.txt")
    assert token_counter(path=vocabulary).count(["the word"]) == [2]


def test_a_lone_surrogate_counts_as_the_replacement_character(vocabulary):
    counter = token_counter(path=vocabulary)
    assert counter.count(["a\ud800b"]) == counter.count(["a\ufffdb"])


def test_a_run_without_white_space_is_cut_at_its_bound(vocabulary, monkeypatch):
    monkeypatch.setattr(counting, "PART_CHARS", 10)
    monkeypatch.setattr(counting, "UNBROKEN_CHARS", 30)
    assert [len(part) for part in counting.parts("c" * 70)] == [30, 30, 10]
    assert token_counter(path=vocabulary).count(["c" * 70]) == [70]


def test_parts_are_the_whole_text_in_order():
    text = ("some words and a line\n" * 40_000) + "x"
    cut = list(counting.parts(text))
    assert len(cut) > 3
    assert "".join(cut) == text


def test_a_path_without_a_tokenizer_is_an_error_even_where_nulls_would_do(tmp_path):
    with pytest.raises(TokenizerMissing, match=r"expected a tokenizer\.json, or a folder"):
        token_counter(path=tmp_path, when_missing="null")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerMissing, match=r"not a tokenizer\.json"):
        find_tokenizer(path=tmp_path, when_missing="null")


def test_without_network_the_error_says_what_to_set(no_network):
    with pytest.raises(TokenizerMissing, match=r"no network in this test.*set tokens\.path"):
        token_counter("a-tokenizer/nobody-has-cached")


@pytest.mark.parametrize("when_missing", ["null", None])
def test_without_network_counts_can_be_null(no_network, when_missing):
    counter = token_counter("a-tokenizer/nobody-has-cached", when_missing=when_missing)
    assert isinstance(counter, NullCounter)
    assert counter.count(["a", "b"]) == [None, None]
