"""What a white-space chunk of text falls into: its words, and its words as MinHash compares them.

spaCy's tokens of a text are those of its chunks, one after the other, and so are the tokens of the
normalised text of MinHash: each step of that normalisation stops at white space too. The one thing
that looks over the edge of a chunk is the joining of special cases; chunks in which one was joined
carry a flag, and are judged again among their neighbours (`words_in_context`).
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import regex

from decant.filters.words.marks import JOINED_SHINGLES, JOINED_WORDS, PUNCTUATION
from decant.filters.words.spacy_english import PLAIN_SUFFIXES, ChunkTokenizer, english_rules

LONG_CHUNK_CHARS = 1_000
NUMBER = regex.compile(r"\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?")
TO_SPACE = {ord(mark): " " for mark in PUNCTUATION}
# spaCy keeps this string's number for itself, and fails on a text where it is a word of its own;
# the reference then cuts the string out of the text. (spaCy lets the first one of a process pass.)
UNSPEAKABLE = "IS_ALPHA"
CHUNK = re.compile(r"\S+")


def simplify(text: str) -> str:
    """`text` as MinHash compares it: lower case, numbers as 0, no punctuation, no diacritics.

    >>> simplify("A naïve ‘count’: 1,234.5")
    'a naive ‘count 0 0'
    """
    text = NUMBER.sub("0", text.lower()).translate(TO_SPACE)
    text = " ".join(text.split())
    if text.isascii():
        return text
    return "".join(c for c in decomposed(text) if unicodedata.category(c) != "Mn").strip()


def decomposed(text: str) -> str:
    """`text` in normal form NFD, in n log n time.

    Python puts the marks behind a letter in order by insertion: 80,000 of them take eight seconds.
    """
    if len(text) <= LONG_CHUNK_CHARS:
        return unicodedata.normalize("NFD", text)
    letters = (mark for char in text for mark in unicodedata.normalize("NFD", char))
    runs = itertools.groupby(letters, key=lambda char: unicodedata.combining(char) > 0)
    return "".join(
        "".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs
    )


class ChunkTokens(NamedTuple):
    """The tokens of one chunk: as words, and as MinHash sees them."""

    words: list[str]
    shingle_words: list[str]
    flags: int


class Splitter:
    """Chunk to tokens, by spaCy's rules; holds no memory of what it split."""

    def __init__(self) -> None:
        from spacy.pipeline import Sentencizer

        self.tokenizer = ChunkTokenizer(english_rules())
        self.sentence_ends = frozenset(Sentencizer.default_punct_chars)

    def split(self, chunk: str) -> ChunkTokens:
        """The tokens of `chunk`, which holds no white space."""
        if chunk.isascii():
            plain = self._plain(chunk)
            if plain is not None:
                return plain
        words, joined = self.tokenizer.tokens(chunk)
        flags = JOINED_WORDS if joined else 0
        shingle_words: list[str] = []
        for part in simplify(chunk).split():
            tokens, joined = self.tokenizer.tokens(part)
            shingle_words += tokens
            flags |= JOINED_SHINGLES if joined else 0
        return ChunkTokens(words, shingle_words, flags)

    def _plain(self, chunk: str) -> ChunkTokens | None:
        """The tokens of ASCII letters with at most one mark behind them: three chunks in four."""
        specials = self.tokenizer.rules.specials
        if chunk.isalpha():
            lower = chunk.lower()
            words, shingle_words = specials.get(chunk, (chunk,)), specials.get(lower, (lower,))
            return ChunkTokens([*words], [*shingle_words], 0)
        stem, mark = chunk[:-1], chunk[-1]
        splits = mark in PLAIN_SUFFIXES or (mark == "." and stem[-1:].islower())
        if not splits or not stem.isalpha() or chunk in specials:
            return None
        words, lower = specials.get(stem, (stem,)), stem.lower()
        if (words[-1], mark) in self.tokenizer.join_pairs:
            return None
        return ChunkTokens([*words, mark], [*specials.get(lower, (lower,))], 0)

    def spoken(self, text: str) -> str:
        """The text that spaCy splits into words: without `UNSPEAKABLE` where it is a word in it."""
        if UNSPEAKABLE in text and UNSPEAKABLE in self.words(text):
            return text.replace(UNSPEAKABLE, "")
        return text

    def words(self, text: str) -> list[str]:
        """All tokens of `text` without any memo; white-space tokens are left out."""
        spans = [match.span() for match in CHUNK.finditer(text)]
        return [word for chunk in self._join(text, spans) for word in chunk]

    def neighbours(self, number: int, chunks: int) -> tuple[int, int]:
        """First and last (excluded) of the `chunks` chunks that have a say in one's words."""
        reach = self.tokenizer.longest_join
        return max(0, number - reach), min(chunks, number + reach + 1)

    def words_in_context(self, text: str, number: int) -> list[str]:
        """The words of the chunk with this number, joined as its neighbours in `text` allow."""
        spans = [match.span() for match in CHUNK.finditer(text)]
        return self._join(text, spans)[number]

    def _join(self, text: str, spans: Sequence[tuple[int, int]]) -> list[list[str]]:
        """Tokens of neighbouring chunks. Any gap but one space is a token, which joins nothing."""
        pieces: list[list[str]] = []
        places: list[int] = []
        end = None
        for start, stop in spans:
            if end is not None and text[end:start] != " ":
                pieces.append([" "])
            places.append(len(pieces))
            pieces.append(self.tokenizer.affix_tokens(text[start:stop]))
            end = stop
        joined = self.tokenizer.join(pieces)
        return [joined[place] for place in places]
