"""One frozen view of a document's text: words, lines and paragraphs, each split once and lazily."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, overload

import numpy as np

from decant.filters.words import line_kernels, ngrams
from decant.filters.words.lexicon import MEMO, Lexicon, Scan
from decant.filters.words.unicode import without_surrogates

Value = TypeVar("Value")


class lazy(Generic[Value]):
    """An attribute computed at its first use; `functools.cached_property` without its lock."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> lazy[Value]: ...
    @overload
    def __get__(self, owner: object, kind: type) -> Value: ...

    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self
        value = owner.__dict__[self.name] = self.compute(owner)
        return value


class Doc:
    """A text and what rules ask of it.

    Lone surrogates, which UTF-8 cannot hold, are U+FFFD here and counted in
    `replaced_surrogates`. `notes` holds what edits left for rules on their way to this text,
    `record` the columns of the document that a rule of the recipe reads (its URL, a score).
    """

    def __init__(
        self,
        text: str,
        lexicon: Lexicon | None = None,
        chunk_ids: np.ndarray | None = None,
        notes: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.text, self.replaced_surrogates = without_surrogates(text)
        self.lexicon = MEMO.lexicon() if lexicon is None else lexicon
        self.notes: Mapping[str, Any] = notes or {}
        self.record: Mapping[str, Any] = record or {}
        if chunk_ids is not None:
            self.__dict__["chunk_ids"] = chunk_ids

    @lazy
    def scan(self) -> Scan:
        """Chunks and lines, from one pass over the text."""
        return self.lexicon.scan(self.text)

    @lazy
    def chunk_ids(self) -> np.ndarray:
        """Lexicon numbers of the white-space chunks, int32."""
        return self.scan.chunks

    @lazy
    def words(self) -> np.ndarray:
        """Word tokens as lexicon ids, int32, punctuation marks included."""
        spoken = self.lexicon.splitter.spoken(self.text)
        if spoken is not self.text:
            return self.lexicon.words(self.lexicon.scan(spoken).chunks)
        return self.lexicon.words(self.chunk_ids)

    @lazy
    def shingle_words(self) -> np.ndarray:
        """Tokens of the normalised text as lexicon ids, int32: what MinHash compares."""
        return self.lexicon.shingle_words(self.text, self.chunk_ids)

    @lazy
    def word_hashes(self) -> np.ndarray:
        """Running hashes of the words' characters, see `kernels.running_hashes`."""
        return ngrams.running_hashes(self.words, self.lexicon.tokens.hashes)

    @lazy
    def word_counts(self) -> tuple[int, int, int]:
        """Words that are no mere symbols, the characters of these, and words with a letter."""
        words, tokens = self.words, self.lexicon.tokens
        return ngrams.word_counts(words, tokens.chars, tokens.flags)

    @lazy
    def lines(self) -> list[str]:
        """The text split at runs of line feeds; a leading or trailing run leaves an empty line."""
        lines = self.text.split("\n")
        if "\n\n" not in self.text:
            return lines
        return [lines[0], *filter(None, lines[1:-1]), lines[-1]]

    @lazy
    def all_lines(self) -> list[str]:
        """`str.splitlines`: every line, blank ones too, at any of Unicode's line ends."""
        return self.text.splitlines()

    @lazy
    def line_marks(self) -> tuple[int, int]:
        """Lines of `all_lines` that start with `•` or `-`, and that end with `...` or `…`.

        White space before and behind does not count.
        """
        scan = self.scan
        return line_kernels.line_marks(scan.chunk_bytes, scan.spans, scan.line_chunks)

    @lazy
    def nonblank_lines(self) -> list[str]:
        """The lines, cut at line feeds only, that hold more than white space."""
        return [line for line in self.text.split("\n") if line and not line.isspace()]

    @lazy
    def paragraphs(self) -> list[str]:
        """The text split at runs of two and more line feeds, white space around it left out."""
        parts = self.text.strip().split("\n\n")
        if len(parts) == 1:
            return parts
        return [part.removeprefix("\n") for part in parts if part.lstrip("\n")]

    @lazy
    def repeated_lines(self) -> tuple[int, int]:
        """Second and later occurrences among `lines`: how many, and their characters."""
        return repeated(self.lines)

    @lazy
    def repeated_paragraphs(self) -> tuple[int, int]:
        """Second and later occurrences among `paragraphs`: how many, and their characters."""
        return repeated(self.paragraphs)


def repeated(parts: list[str]) -> tuple[int, int]:
    """How many of `parts` were there before, and how many characters these have.

    >>> repeated(["a", "bc", "bc", "bc"])
    (2, 4)
    """
    seen = set(parts)
    if len(seen) == len(parts):
        return 0, 0
    count = len(parts) - len(seen)
    return count, sum(map(len, parts)) - sum(map(len, seen))
