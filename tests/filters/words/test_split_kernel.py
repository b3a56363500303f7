"""The splitting kernel against the patterns it stands for, chunk by chunk."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from decant.filters.doc import Doc
from decant.filters.words import lexicon
from decant.filters.words.lexicon import Lexicon
from decant.filters.words.spacy_tables import (
    CHARACTERS,
    KNOWN_PATTERNS,
    encode,
    pattern_digest,
    word_rules,
)
from decant.filters.words.split_kernel import split
from decant.filters.words.splitter import Splitter, simplify
from tests import real_data
from tests.filters import made_texts

SPLITTER = Splitter()
RULES = SPLITTER.tokenizer.rules
TABLES = word_rules(RULES, SPLITTER.sentence_ends, lexicon.SEEDS.multiplier)
VISIBLE = [char for char in CHARACTERS if char > " " and char != "\x7f"]
SPECIALS = sorted(text for text in RULES.specials if set(text) <= set(VISIBLE))
PIECES = [
    *".,:;!?()[]{}<>_#*&'\"`$%+-=/@\\^|~‘’“”–—…aaBBxs019",
    *("'s", "US$", "km", "m/s", "...", "--", "don't", "Mr.", "e.g.", ":)", "C$", "’s", "a.m", "co"),
]  # fmt: skip


def kernel_words(chunk: str) -> list[str] | None:
    """The words of a chunk by the kernel, None where it leaves the chunk to the patterns."""
    assert TABLES is not None
    codes = np.frombuffer(encode(chunk) + bytes(8), np.uint8)
    cuts = np.empty(2 * len(chunk) + 2, np.int64)
    count = split(codes, 0, len(chunk), TABLES, cuts)
    return None if count < 0 else [chunk[cuts[k] : cuts[k + 1]] for k in range(count)]


def share_split(chunks: Iterator[str] | list[str]) -> float:
    """The share of chunks that the kernel splits, after comparing them with the patterns."""
    split_here = total = 0
    for chunk in chunks:
        words, total = kernel_words(chunk), total + 1
        if words is not None:
            split_here += 1
            assert (words, False) == SPLITTER.tokenizer.tokens(chunk), chunk
    return split_here / total


def random_chunks(count: int, alphabet: list[str], longest: int) -> Iterator[str]:
    generator = random.Random(11)
    for _ in range(count):
        yield "".join(generator.choices(alphabet, k=generator.randint(1, longest)))


def test_the_installed_spacy_has_the_patterns_that_the_kernel_knows() -> None:
    assert pattern_digest(RULES) == KNOWN_PATTERNS


def test_any_characters_are_split_as_the_patterns_do() -> None:
    assert share_split(random_chunks(20_000, VISIBLE, 9)) > 0.9


def test_affixes_infixes_units_and_special_cases_are_split_as_the_patterns_do() -> None:
    assert share_split(random_chunks(40_000, PIECES, 7)) > 0.7


@pytest.mark.parametrize("behind", ["", ")", ".", "x", "’s", ',"', "0"])
def test_special_cases_with_neighbours_are_split_as_the_patterns_do(behind) -> None:
    chunks = [before + text + behind for text in SPECIALS for before in ("", "(", "x", "‘", "$")]
    assert share_split(chunks) > 0.9


def test_chunks_of_real_pages_are_split_as_the_patterns_do() -> None:
    chunks = {chunk for text in real_data.texts(300) for chunk in text.split()}
    coded = sorted(chunk for chunk in chunks if set(chunk) <= set(VISIBLE) and len(chunk) < 120)
    assert share_split(coded) > 0.95


def words_and_tables(text: str, memo: Lexicon) -> tuple[list[str], list[str], list]:
    doc = Doc(text, memo)
    words, shingle_words = doc.words, doc.shingle_words
    flags = [memo.tokens.flags[ids].tolist() for ids in (words, shingle_words)]
    return memo.token_strings(words), memo.token_strings(shingle_words), flags


def test_a_lexicon_learns_the_same_with_the_kernel_and_without_it() -> None:
    with_kernel, without = Lexicon(SPLITTER), Lexicon(SPLITTER)
    without.rules = None
    texts = list(made_texts.texts(120, seed=8))
    texts += [" ".join(random_chunks(300, [*PIECES, "A", "é", "1,000.5", "\x00"], 12))]
    for text in texts:
        learnt = words_and_tables(text, with_kernel)
        assert learnt == words_and_tables(text, without)
        assert learnt[1] == SPLITTER.words(simplify(text))


def test_another_spacy_with_other_patterns_gets_no_tables(monkeypatch) -> None:
    monkeypatch.setattr(
        "decant.filters.words.spacy_tables.KNOWN_PATTERNS", "those of another release"
    )
    assert Lexicon(SPLITTER).rules is None
