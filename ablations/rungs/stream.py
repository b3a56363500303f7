"""An arm's documents as one endless row of tokens, cut into training sequences.

The pool is tokenised once and memory-mapped; an arm is a list of spans into it, so that two arms
read their common documents in the same order. Nothing here is random: position follows from the
step number, which is what makes a resumed run the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np
import xxhash


class Sequences(Protocol):
    """What training reads from: numbered sequences of tokens."""

    def rows(self, first: int, count: int, length: int) -> np.ndarray:
        """Sequences first … first + count - 1, int64 [count, length + 1]: inputs and targets."""
        ...

    def digest(self) -> str: ...


@dataclass(frozen=True)
class TokenStream:
    """Documents one after the other, `eos` after each (None: the spans hold their own end).

    `spans`: int64 [n, 2], start and end in `token_ids`, in training order. After the last document
    the stream begins again in the same order: an epoch is `len(stream)` tokens.
    """

    token_ids: np.ndarray
    spans: np.ndarray
    eos: int | None

    def __post_init__(self) -> None:
        starts, ends = self.spans[:, 0], self.spans[:, 1]
        if ((starts < 0) | (ends < starts) | (ends > len(self.token_ids))).any():
            raise ValueError(f"a span is not within the pool's {len(self.token_ids):,} tokens")

    @cached_property
    def ends(self) -> np.ndarray:
        """Where each document ends in the stream, its eos included, int64 [n]."""
        sizes = self.spans[:, 1] - self.spans[:, 0] + (self.eos is not None)
        return np.cumsum(sizes, dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, start: int, count: int) -> np.ndarray:
        """`count` tokens from position `start` on, int64 [count]; wraps at the end."""
        if not len(self):
            raise ValueError("the arm has no tokens to train on")
        parts: list[np.ndarray] = []
        at, missing = start % len(self), count
        document = int(np.searchsorted(self.ends, at, side="right"))
        while missing > 0:
            piece = self._tail(document, at)[:missing]
            parts.append(piece)
            missing -= len(piece)
            document, at = self._after(document)
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _tail(self, document: int, at: int) -> np.ndarray:
        """The document's tokens from stream position `at` to its end, its eos last."""
        start, end = (int(v) for v in self.spans[document])
        size = end - start + (self.eos is not None)
        skipped = at - (int(self.ends[document]) - size)
        tokens = np.asarray(self.token_ids[start + skipped : end], dtype=np.int64)
        return tokens if self.eos is None else np.append(tokens, self.eos)

    def _after(self, document: int) -> tuple[int, int]:
        following = document + 1
        return (following, int(self.ends[document])) if following < len(self.ends) else (0, 0)

    def rows(self, first: int, count: int, length: int) -> np.ndarray:
        run = self.read(first * length, count * length + 1)
        return np.stack([run[i * length : (i + 1) * length + 1] for i in range(count)])

    def digest(self) -> str:
        """Hex name of the spans and of 4,096 tokens spread over the pool, not of all its bytes."""
        size = len(self.token_ids)
        picked = np.unique(np.linspace(0, max(size - 1, 0), 4096).astype(np.int64))[: size or 0]
        sample = np.asarray(self.token_ids[picked], dtype=np.int64)
        spans = np.ascontiguousarray(self.spans, dtype=np.int64)
        state = xxhash.xxh3_128(f"{size} {self.eos} {len(spans)}".encode())
        state.update(spans.tobytes())
        state.update(sample.tobytes())
        return state.hexdigest()


@dataclass(frozen=True)
class Replay:
    """Sequences of `new` with a share of `old` spread evenly among them.

    Of the first n sequences exactly floor(n · share) come from `old`, each stream in its order.
    """

    new: TokenStream
    old: TokenStream
    share: Fraction

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"replay share {float(self.share)} is not in [0, 1)")

    def rows(self, first: int, count: int, length: int) -> np.ndarray:
        return np.concatenate([self._row(n, length) for n in range(first, first + count)])

    def _row(self, number: int, length: int) -> np.ndarray:
        replayed = int(number * self.share)
        if int((number + 1) * self.share) > replayed:
            return self.old.rows(replayed, 1, length)
        return self.new.rows(number - replayed, 1, length)

    def digest(self) -> str:
        return f"{self.new.digest()}+{self.share}*{self.old.digest()}"


def documents_of(
    tokens: np.ndarray, first: np.ndarray, chosen: np.ndarray, eos: int | None
) -> TokenStream:
    """The chosen documents in that order, document d being tokens[first[d]:first[d + 1]]."""
    spans = np.stack([first[chosen], first[chosen + 1]], axis=1)
    return TokenStream(tokens, spans.astype(np.int64), eos)


def documents(token_lists: Sequence[Sequence[int]], eos: int | None) -> TokenStream:
    """A stream of in-memory documents, for small data and tests."""
    sizes = np.array([len(d) for d in token_lists], dtype=np.int64)
    ends = np.cumsum(sizes)
    flat = np.array([t for d in token_lists for t in d], dtype=np.int64)
    return TokenStream(flat, np.stack([ends - sizes, ends], axis=1).reshape(-1, 2), eos)
