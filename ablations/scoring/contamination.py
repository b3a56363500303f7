"""Scored text that stands in the pool: n-grams of words shared with questions and references.

A rule that drops the pages on which a benchmark leaked would look harmful for the wrong reason.
Hits are listed with the document they were found in. A question with any hit is left out of the
score; a held-out document, which is long, once a tenth of its n-grams stand in the pool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

# 13 words as GPT-3 (Brown et al. 2020, appendix C); a shorter question is compared whole, from
# 8 words on: below, chance repeats ("what is the name of the") pass for leaks.
NGRAM_WORDS = 13
SHORTEST_WORDS = 8
LEAKED_SHARE = 0.1  # of a held-out document's n-grams

_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Hit:
    """A scored text found in a document of the pool."""

    owner: str  # task/question, or the reference set's name
    document: str  # the first that has one of its n-grams
    words: str
    share: float  # of the text's n-grams that the pool has


@dataclass(frozen=True)
class Wanted:
    """Hashes of every n-gram to look for, by n, with the text each belongs to."""

    owners: tuple[str, ...]
    hashes: dict[int, tuple[np.ndarray, np.ndarray]]  # n: sorted uint64, owner of each


def wanted(texts: Sequence[tuple[str, str]]) -> Wanted:
    """What to look for, from (owner, text) pairs; texts under eight words are not looked for."""
    found: dict[int, list[tuple[np.ndarray, int]]] = {}
    for number, (_, text) in enumerate(texts):
        words = _words(text)
        n = min(NGRAM_WORDS, len(words))
        if n >= SHORTEST_WORDS:
            found.setdefault(n, []).append((_ngrams(_hash_words(words), n), number))
    hashes = {}
    for n, parts in sorted(found.items()):
        values = np.concatenate([h for h, _ in parts])
        owner = np.concatenate([np.full(len(h), k, dtype=np.int64) for h, k in parts])
        order = np.argsort(values, kind="stable")
        hashes[n] = values[order], owner[order]
    return Wanted(tuple(owner for owner, _ in texts), hashes)


def find_hits(wanted: Wanted, ids: Sequence[str], texts: Iterable[str]) -> list[Hit]:
    """The first hit of each owner in pool order with its share of n-grams, sorted by owner."""
    first: dict[int, tuple[str, str]] = {}
    found = {n: np.zeros(len(hashes), dtype=bool) for n, (hashes, _) in wanted.hashes.items()}
    for document, text in zip(ids, texts, strict=True):
        words = _words(text)
        hashed = _hash_words(words)
        for n, (hashes, owners) in wanted.hashes.items():
            grams, at = np.unique(_ngrams(hashed, n), return_index=True)
            left = np.searchsorted(hashes, grams, side="left")
            right = np.searchsorted(hashes, grams, side="right")
            for k in np.flatnonzero(right > left).tolist():
                found[n][left[k] : right[k]] = True
                for owner in owners[left[k] : right[k]].tolist():
                    first.setdefault(owner, (document, " ".join(words[at[k] : at[k] + n])))
    return sorted(
        (
            Hit(wanted.owners[owner], document, quote, _share(wanted, found, owner))
            for owner, (document, quote) in first.items()
        ),
        key=lambda hit: hit.owner,
    )


def _share(wanted: Wanted, found: dict[int, np.ndarray], owner: int) -> float:
    """The share of an owner's n-grams that were found; an owner has n-grams of one n only."""
    for n, (_, owners) in wanted.hashes.items():
        mine = owners == owner
        if mine.any():
            return float(found[n][mine].mean())
    return 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _hash_words(words: Sequence[str]) -> np.ndarray:
    hashes = [xxhash.xxh3_64_intdigest(w.encode("utf-8", "replace")) for w in words]
    return np.array(hashes, dtype=np.uint64)


def _ngrams(hashed: np.ndarray, n: int) -> np.ndarray:
    """A hash of every run of n words, uint64 [max(len - n + 1, 0)]."""
    count = len(hashed) - n + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    total = np.zeros(count, dtype=np.uint64)
    for k in range(n):
        total = (total * _MULTIPLIER) ^ hashed[k : k + count]
        total ^= total >> np.uint64(29)
    return total
