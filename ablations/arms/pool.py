"""The documents of a study: tokens once, attributes in columns; every arm is an index into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from decant.ablations import hashing


@dataclass(frozen=True)
class Pool:
    """n documents in row-key order.

    tokens: the documents end to end, document d = tokens[first[d]:first[d + 1]].
    identity, domain: uint64 [n], hashes of the document's id and registered domain.
    failed: bool [n, rules] in recipe order; measures: float64 of the same shape.
    bands: uint64 [n, bands], equal in a column where two documents are candidates for duplicates;
    may_repeat: bool [n], documents that share a band key with another one of the pool.
    """

    tokens: np.ndarray
    first: np.ndarray
    size_bytes: np.ndarray
    identity: np.ndarray
    domain: np.ndarray
    vocab_size: int
    eos: int
    rules: tuple[str, ...] = ()
    failed: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    measures: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    bands: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint64))
    may_repeat: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __len__(self) -> int:
        return len(self.first) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each document, int64 [n]."""
        return np.diff(self.first)

    @cached_property
    def document_share(self) -> np.ndarray:
        """The share of documents that have each token of the vocabulary, float64 [V]."""
        owner = np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)
        pairs = np.unique(owner * self.vocab_size + self.tokens)
        return np.bincount(pairs % self.vocab_size, minlength=self.vocab_size) / max(len(self), 1)

    def priority(self, seed: int) -> np.ndarray:
        """The place of each document in the hash order of `seed`, int64 [n]; no ties.

        It depends on the document's id alone, so that two arms read what they share in the same
        order, whatever else each of them has.
        """
        order = np.lexsort((np.arange(len(self)), hashing.mix(self.identity, seed)))
        place = np.empty(len(self), dtype=np.int64)
        place[order] = np.arange(len(self))
        return place

    def data_seeds(self, parts: int, seed: int) -> np.ndarray:
        """The disjoint sample of domains that each document belongs to, int64 [n] in 0 … parts - 1.

        Domains stand in hash order and are cut into runs of equal tokens; a domain is never split.
        """
        domains, code = np.unique(self.domain, return_inverse=True)
        weight = np.bincount(code, weights=self.lengths, minlength=len(domains))
        order = np.argsort(hashing.mix(domains, seed), kind="stable")
        middle = np.cumsum(weight[order]) - weight[order] / 2
        part = np.empty(len(domains), dtype=np.int64)
        part[order] = np.minimum(middle * parts // max(weight.sum(), 1.0), parts - 1)
        return part[code]


@dataclass(frozen=True)
class Draw:
    """What one training run reads: documents in order, those of a second pass again."""

    documents: np.ndarray  # int64 [reads]
    pool_documents: int
    tokens: int
    unique_tokens: int

    @property
    def copies(self) -> np.ndarray:
        """How often each document of the pool is read, int64 [n]."""
        return np.bincount(self.documents, minlength=self.pool_documents)

    @property
    def epochs(self) -> float:
        """How often the average token is read; 0 for an empty draw."""
        return self.tokens / self.unique_tokens if self.unique_tokens else 0.0


def draw(
    lengths: np.ndarray,
    size: np.ndarray,
    mask: np.ndarray,
    place: np.ndarray,
    budget: float,
    reading: np.ndarray | None = None,
) -> Draw:
    """The first documents of `mask` in hash order whose sizes fit the budget, over and over.

    `size` [n] is what the budget counts (tokens or bytes). A document too large for what is left
    is passed over for the next that fits: a training that stops half a document early would read
    0.5 % less, worth 0.002 bits per byte, as much as many a rule. An arm smaller than its
    budget is read in whole passes and a last partial one; an empty arm gives an empty draw.
    `reading` uint64 [n] shuffles each pass anew by its hashes: else the small documents that fill
    the budget up stand last, where a learning rate decays.
    """
    chosen = np.flatnonzero(mask & (size > 0))
    chosen = chosen[np.argsort(place[chosen])]
    supply = int(size[chosen].sum())
    passes = int(budget // supply) if supply else 0
    last = fill(chosen, size, budget - passes * supply)
    parts = [chosen] * passes + [last]
    if reading is not None:
        parts = [one[np.argsort(hashing.mix(reading[one], k))] for k, one in enumerate(parts)]
    documents = np.concatenate(parts)
    unique = chosen if passes else last
    return Draw(documents, len(size), int(lengths[documents].sum()), int(lengths[unique].sum()))


def fill(order: np.ndarray, size: np.ndarray, room: float) -> np.ndarray:
    """Documents taken in order as long as they fit what is left of `room`."""
    taken = [order[:0]]
    while len(order):
        fits = int(np.searchsorted(np.cumsum(size[order]), room, side="right"))
        taken.append(order[:fits])
        room -= size[order[:fits]].sum()
        order = order[fits + 1 :]
        order = order[size[order] <= room]
    return np.concatenate(taken)
