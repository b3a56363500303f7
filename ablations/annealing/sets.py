"""Document sets of a branch: what a rule removes, and kept documents that match it.

Whole random domains hold few sites and long pages, which alone costs 0.010 bits per byte; so a
placebo set has as many documents, from as many domains in the same numbers, of the same lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decant.ablations import hashing
from decant.ablations.arms.pool import Pool

# Hash streams apart from those of arms and placebo drops.
_REMOVED, _DOMAIN, _DOCUMENT = 0xA0E0, 0xA0E1, 0xA0E2


@dataclass(frozen=True)
class DocumentSet:
    """Documents in order, each read up to its first `cut` tokens: int64 [n] both."""

    documents: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def tokens(self) -> int:
        """What a branch reads of the set, the end of each document included."""
        return int((self.cut + 1).sum())

    def spans(self, pool: Pool) -> np.ndarray:
        """Start and end of each document in the pool's tokens, int64 [n, 2]."""
        start = pool.first[self.documents]
        return np.stack([start, start + self.cut], axis=1).astype(np.int64)

    def head(self, tokens: int) -> DocumentSet:
        """The first documents up to exactly `tokens`, the last of them cut short.

        A rest of one token is the end of a document alone: it is left to the next one.
        """
        ends = np.cumsum(self.cut + 1)
        whole = int(np.searchsorted(ends, tokens, side="right"))
        rest = tokens - (int(ends[whole - 1]) if whole else 0)
        cut = self.cut[:whole].copy()
        if whole < len(self) and rest > 1:
            return DocumentSet(self.documents[: whole + 1], np.append(cut, rest - 1))
        return DocumentSet(self.documents[:whole], cut)


def in_order(pool: Pool, mask: np.ndarray, longest: int, *stream: int) -> DocumentSet:
    """The documents of `mask` in the hash order of `stream`, each up to `longest` tokens."""
    chosen = np.flatnonzero(mask & (pool.lengths > 0))
    place = hashing.mix(pool.identity[chosen], *stream)
    chosen = chosen[np.lexsort((chosen, place))]
    return DocumentSet(chosen, np.minimum(pool.lengths[chosen], longest))


def removed_set(
    pool: Pool, removed: np.ndarray, tokens: int, longest: int, seed: int, number: int
) -> DocumentSet:
    """Set `number` of what a rule removes: documents by chance, none twice, `tokens` in all."""
    return in_order(pool, removed, longest, seed, _REMOVED, number).head(tokens)


@dataclass(frozen=True)
class Match:
    """How alike a placebo is to its set: documents, domains and tokens of both."""

    documents: tuple[int, int]
    domains: tuple[int, int]
    tokens: tuple[int, int]


def matched_set(
    pool: Pool, kept: np.ndarray, like: DocumentSet, seed: int, number: int
) -> DocumentSet:
    """Placebo `number`: kept documents matched one by one to those of `like`, in its order.

    Each domain of `like` is answered by one kept domain, taken by chance among those with as many
    documents long enough; each of its documents by the shortest that is as long, cut to its length.
    Where no domain is large enough, the largest gives what it has and others fill up.
    """
    sites = _Sites(pool, kept, seed, number)
    chosen = np.full(len(like), -1, dtype=np.int64)
    _, code, sizes = np.unique(pool.domain[like.documents], return_inverse=True, return_counts=True)
    # The most demanding domains choose first: a small one finds a partner at any time.
    for group in np.argsort(-sizes, kind="stable"):
        rows = np.flatnonzero(code == group)
        rows = rows[np.argsort(-like.cut[rows], kind="stable")]
        while len(rows):
            taken = sites.take(like.cut[rows])
            chosen[rows[: len(taken)]] = taken
            rows = rows[len(taken) :]
            if not len(taken):
                break
    is_matched = chosen >= 0
    documents = chosen[is_matched]
    return DocumentSet(documents, np.minimum(like.cut[is_matched], pool.lengths[documents]))


def match_of(pool: Pool, like: DocumentSet, placebo: DocumentSet) -> Match:
    """The two sets side by side."""
    count = [len(np.unique(pool.domain[one.documents])) for one in (like, placebo)]
    return Match((len(like), len(placebo)), (count[0], count[1]), (like.tokens, placebo.tokens))


class _Sites:
    """Kept domains in the hash order of a placebo, each used once; documents by length."""

    def __init__(self, pool: Pool, kept: np.ndarray, seed: int, number: int) -> None:
        rows = np.flatnonzero(kept & (pool.lengths > 0))
        place = hashing.mix(pool.domain[rows], seed, _DOMAIN, number)
        tie = hashing.mix(pool.identity[rows], seed, _DOCUMENT, number)
        # Domains by chance, their documents longest first, equals by chance.
        order = np.lexsort((tie, -pool.lengths[rows], place))
        rows = rows[order]
        starts = np.flatnonzero(np.diff(place[order], prepend=place[order][:1] + np.uint64(1)))
        self._sites: list[np.ndarray] = np.split(rows, starts[1:]) if len(rows) else []
        self._lengths = pool.lengths

    def take(self, lengths: np.ndarray) -> np.ndarray:
        """Documents for the first of `lengths` (longest first), of one domain, int64 [m]."""
        for at, site in enumerate(self._sites):
            documents = self._fit(site, lengths)
            if documents is not None:
                del self._sites[at]
                return documents
        if not self._sites:
            return np.zeros(0, dtype=np.int64)
        largest = max(range(len(self._sites)), key=lambda k: (len(self._sites[k]), -k))
        return self._sites.pop(largest)[: len(lengths)]

    def _fit(self, site: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
        """For each length the shortest document of the site that is as long; None if one lacks."""
        size = self._lengths[site]
        if len(site) < len(lengths) or (size[: len(lengths)] < lengths).any():
            return None
        documents = np.empty(len(lengths), dtype=np.int64)
        last = len(site)
        # From the shortest up: the k-th longest may be taken while k longer ones are still needed.
        for k in range(len(lengths) - 1, -1, -1):
            enough = int(np.searchsorted(-size[:last], -lengths[k], side="right"))
            last = min(enough, last) - 1
            documents[k] = site[last]
        return documents
