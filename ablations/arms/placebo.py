"""Drops that mean nothing: the null that a rule's effect is measured against.

Each kind takes the same fraction of tokens away from the documents that the rule *keeps*, so a
placebo never removes the junk that the rule was after, which would make the null as wide as the
effect. `tokens` drops single documents at random: the noise of sampling. `domains` drops whole
sites at random. `topics` drops the documents in which an arbitrary word is most frequent: an
arbitrary taste in content, which moves a model as far as many a rule without quality content does.
"""

from __future__ import annotations

import numpy as np

from decant.ablations import hashing
from decant.ablations.arms.pool import Pool, fill

KINDS = ("tokens", "domains", "topics")

LEAST_FILLED = 0.9  # of the fraction that a placebo is to drop

# Separate hash streams, so that a placebo never re-uses the order that chooses the documents.
_STREAM = {"tokens": 0x70C0, "domains": 0x70C1, "topics": 0x70C2}


def placebo_drop(
    pool: Pool, kind: str, mask: np.ndarray, fraction: float, seed: int, number: int
) -> np.ndarray:
    """Documents of `mask` that placebo `number` drops, bool [n]: `fraction` of its tokens at most.

    Documents leave in the order of their score until the next one would pass the fraction. Where
    that is under nine tenths of it, documents too large for the rest are passed over: one long
    document would else end the drop at half of what a small rule drops.
    """
    ties = hashing.uniform(pool.identity, seed, _STREAM[kind], number)
    if kind == "tokens":
        score = ties
    elif kind == "domains":
        score = hashing.uniform(pool.domain, seed, _STREAM[kind], number)
    else:
        word = topic_word(pool, max(fraction, 0.02), seed, number)
        score = word_share(pool, word)
    return drop_highest(pool, score, ties, mask, fraction)


def drop_highest(
    pool: Pool, score: np.ndarray, ties: np.ndarray, mask: np.ndarray, fraction: float
) -> np.ndarray:
    """The documents of `mask` with the highest score, up to `fraction` of its tokens, bool [n]."""
    chosen = np.flatnonzero(mask)
    chosen = chosen[np.lexsort((ties[chosen], -score[chosen]))]
    lengths = pool.lengths[chosen]
    target = fraction * lengths.sum()
    leaving = chosen[np.cumsum(lengths) <= target]
    if pool.lengths[leaving].sum() < LEAST_FILLED * target:
        leaving = fill(chosen, pool.lengths, target)
    dropped = np.zeros(len(pool), dtype=bool)
    dropped[leaving] = True
    return dropped


def word_share(pool: Pool, word: int) -> np.ndarray:
    """The share of each document's tokens that are `word`, float64 [n]."""
    where = np.flatnonzero(pool.tokens == word)
    owner = np.searchsorted(pool.first, where, side="right") - 1
    return np.bincount(owner, minlength=len(pool)) / np.maximum(pool.lengths, 1)


def topic_word(pool: Pool, fraction: float, seed: int, number: int) -> int:
    """A token that between `fraction` and half of the documents have, by the placebo's number.

    A word rarer than the fraction to drop would leave the rest of the drop to chance.
    """
    share = pool.document_share
    order = np.argsort(hashing.mix(np.arange(pool.vocab_size), seed, 0x70C3), kind="stable")
    usable = order[(share[order] >= min(fraction, 0.4)) & (share[order] <= 0.5)]
    if not len(usable):
        usable = order[share[order] > 0] if (share > 0).any() else order
    return int(usable[number % len(usable)])
