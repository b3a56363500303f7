"""Scored text that stands in the pool: n-grams of words shared with questions and references.

A rule that drops the pages on which a benchmark leaked would look harmful for the wrong reason.
Hits are listed with the document they were found in. A question with any hit is left out of the
score; a held-out document, which is long, once a tenth of its n-grams stand in the pool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from decant.ablations.scoring.ngram_search import (
    Index,
    code_points,
    find,
    lowered,
    make_index,
    ngram_hashes,
    word_characters,
    word_hashes,
)

# 13 words as GPT-3 (Brown et al. 2020, appendix C); a shorter question is compared whole, from
# 8 words on: below, chance repeats ("what is the name of the") pass for leaks.
NGRAM_WORDS = 13
SHORTEST_WORDS = 8
LEAKED_SHARE = 0.1  # of a held-out document's n-grams
BATCH_TEXTS = 256  # searched in one call of the kernel: a call for each took a third of the time

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Hit:
    """A scored text found in a document of the pool."""

    owner: str  # task/question, or the reference set's name
    document: str  # the first that has one of its n-grams
    words: str
    share: float  # of the text's n-grams that the pool has


@dataclass(frozen=True)
class ScoredNgrams:
    """Every n-gram of the scored texts, sorted by hash, with the text each belongs to.

    hashes: uint64; owner, first: int64, the text and the word at which the n-gram begins; all [m].
    `words` has the words of each text, none of a text that is not looked for.
    """

    owners: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    hashes: np.ndarray
    owner: np.ndarray
    first: np.ndarray
    index: Index

    def size(self, owner: int) -> int:
        """Words of an n-gram of that text."""
        return min(NGRAM_WORDS, len(self.words[owner]))

    def ngram(self, number: int) -> tuple[str, ...]:
        """The words of n-gram `number`."""
        owner, first = int(self.owner[number]), int(self.first[number])
        return self.words[owner][first : first + self.size(owner)]


def scored_ngrams(texts: Sequence[tuple[str, str]]) -> ScoredNgrams:
    """The n-grams of (owner, text) pairs; texts under eight words are not looked for."""
    words = [tuple(_WORD.findall(text.lower())) for _, text in texts]
    words = [found if len(found) >= SHORTEST_WORDS else () for found in words]
    sizes = sorted({min(NGRAM_WORDS, len(found)) for found in words if found})
    hashes, tails = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for found, (_, text) in zip(words, texts, strict=True):
        if found:
            size = min(NGRAM_WORDS, len(found))
            hashed = word_hashes(code_points(lowered(text)), word_characters())
            hashes.append(ngram_hashes(hashed, size))
            tails.append(ngram_hashes(hashed, sizes[0])[size - sizes[0] :])
        else:
            hashes.append(np.zeros(0, np.uint64))
    flat = np.concatenate(hashes)
    counts = [len(part) for part in hashes[1:]]
    owner = np.repeat(np.arange(len(texts), dtype=np.int64), counts)
    first = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.argsort(flat, kind="stable")
    return ScoredNgrams(
        tuple(name for name, _ in texts), tuple(words), flat[order], owner[order],
        first[order].astype(np.int64), make_index(sizes, flat, np.concatenate(tails)),
    )  # fmt: skip


def find_hits(scored: ScoredNgrams, ids: Sequence[str], texts: Iterable[str]) -> list[Hit]:
    """The first hit of each owner in pool order with its share of n-grams, sorted by owner.

    The words of a hit are those of its first n-gram in that document. Texts are held a batch at a
    time, whatever their number.
    """
    first: dict[int, tuple[str, str]] = {}
    is_hit = np.zeros(len(scored.hashes), dtype=bool)
    documents = zip(ids, texts, strict=True)
    while batch := list(islice(documents, BATCH_TEXTS)):
        for number, words, ngrams in _hits(scored, [lowered(text) for _, text in batch]):
            is_hit[ngrams] = True
            for owner in scored.owner[ngrams].tolist():
                first.setdefault(owner, (batch[number][0], words))
    total = np.bincount(scored.owner, minlength=len(scored.owners))
    hits = np.bincount(scored.owner[is_hit], minlength=len(scored.owners))
    return sorted(
        (
            Hit(scored.owners[owner], document, words, float(hits[owner] / total[owner]))
            for owner, (document, words) in first.items()
        ),
        key=lambda hit: hit.owner,
    )


def _hits(scored: ScoredNgrams, texts: Sequence[str]) -> list[tuple[int, str, np.ndarray]]:
    """(text, words, numbers of the scored n-grams they are) of each hit, in the texts' order."""
    hits = []
    for ascii in (True, False):  # of one width each, four bytes a character only where needed
        chosen = [k for k, text in enumerate(texts) if text.isascii() == ascii]
        ends = np.cumsum([len(texts[k]) for k in chosen], dtype=np.int64)
        codes = code_points("".join(texts[k] for k in chosen))
        hashes, places = find(codes, ends, word_characters(), scored.index)
        # Once a text: a page may repeat an n-gram a hundred thousand times.
        _, once = np.unique(
            np.stack([places[:, 0].astype(np.uint64), hashes]), axis=1, return_index=True
        )
        for at in np.sort(once).tolist():
            number, size, end = chosen[int(places[at, 0])], int(places[at, 1]), int(places[at, 2])
            words = _words_before(texts[number], end, size)
            low = int(np.searchsorted(scored.hashes, hashes[at], "left"))
            high = int(np.searchsorted(scored.hashes, hashes[at], "right"))
            same = [n for n in range(low, high) if scored.ngram(n) == words]
            if same:
                hits.append((number, " ".join(words), np.array(same)))
    return sorted(hits, key=lambda hit: hit[0])


def _words_before(text: str, end: int, size: int) -> tuple[str, ...]:
    """The last `size` words of a lowered text up to `end`, where the last of them ends."""
    reach = 16 * size
    while True:
        # A word that the cut went through is no whole one: one more is needed.
        matches = _WORD.findall(text, max(end - reach, 0), end)
        if len(matches) > size or reach >= end:
            return tuple(word.lower() for word in matches[-size:])
        reach *= 4
