"""The first rung: an interpolated absolute-discount trigram, fitted per arm in milliseconds.

Counts add up over documents, so a pool is indexed once (every position's bigram and trigram get a
number) and an arm's model is one `bincount` over its documents. There is no initialisation and no
optimiser, hence no noise but the data's: same documents, same counts, same score.

    p3(w|uv) = max(c(uvw) - D, 0) / c(uv) + D * types(uv) / c(uv) * p2(w|v)      D = 0.75
    p2(w|v)  = max(c(vw)  - D, 0) / c(v)  + D * types(v)  / c(v)  * p1(w)
    p1(w)    = max(c(w)   - D, 0) / N     + D * types     / N     / V

An unseen context passes its weight down whole. A document starts after two end-of-text tokens and
its own end is an event, so every distribution sums to one over the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from decant.filters.compile import kernel

DISCOUNT = 0.75


@dataclass(frozen=True)
class _Level:
    """One order's n-gram types in the pool, sorted, so that a context's types lie together."""

    keys: np.ndarray  # int64 [n_types]: context * V + word
    contexts: np.ndarray  # int64 [n_contexts]
    context_of: np.ndarray  # int32 [n_types], the context that each type continues
    type_of: np.ndarray  # int32 [n_events], the type at each position of the pool

    @classmethod
    def of(cls, keys: np.ndarray, vocab_size: int) -> _Level:
        types, inverse = np.unique(keys, return_inverse=True)
        contexts, context_of = np.unique(types // vocab_size, return_inverse=True)
        return cls(types, contexts, context_of.astype(np.int32), inverse.astype(np.int32))

    def find(self, keys: np.ndarray, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
        """(type, context) numbers of each key, -1 where the pool never has it."""
        return _find(self.keys, keys), _find(self.contexts, keys // vocab_size)


def _find(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Positions of `keys` in `sorted_keys`, -1 where absent."""
    if not len(sorted_keys):
        return np.full(len(keys), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[at] == keys, at, -1)


@dataclass(frozen=True)
class Positions:
    """Strings to score, compiled against one index: what every arm looks up.

    N-grams are listed once each; `gram_of` gives the n-gram at each scored position and `first`
    [n_strings + 1] cuts the positions into strings.
    """

    tri: np.ndarray
    tri_context: np.ndarray
    bi: np.ndarray
    bi_context: np.ndarray
    word: np.ndarray
    gram_of: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class NgramIndex:
    """A pool of documents, numbered n-gram by n-gram.

    `tokens` int [n_tokens] holds the documents end to end, document d being
    tokens[first[d]:first[d + 1]]; ids lie in 0 … vocab_size - 1.
    """

    tokens: np.ndarray
    first: np.ndarray
    vocab_size: int
    eos: int

    def __post_init__(self) -> None:
        if self.vocab_size > 2**20:
            raise ValueError(f"vocabulary of {self.vocab_size} tokens: trigram keys need <= 2**20")
        if len(self.tokens) and not (
            int(self.tokens.min()) >= 0 and int(self.tokens.max()) < self.vocab_size
        ):
            raise ValueError(f"token ids outside 0 … {self.vocab_size - 1}")

    @cached_property
    def _events(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(u, v, w, first event of each document): tokens of each document plus its end."""
        lengths = np.diff(self.first)
        first = self.first + np.arange(len(self.first), dtype=np.int64)
        word = np.full(int(first[-1]), self.eos, dtype=np.int64)
        shift = np.repeat(np.arange(len(lengths)), lengths)
        word[np.arange(len(self.tokens)) + shift] = self.tokens
        previous = np.concatenate([[self.eos], word[:-1]])  # every document ends in eos: a start
        before = np.concatenate([[self.eos, self.eos], word[:-2]])[: len(word)]
        before[first[:-1]] = self.eos
        return before, previous, word, first

    @cached_property
    def _levels(self) -> tuple[_Level, _Level]:
        u, v, w, _ = self._events
        size = self.vocab_size
        return _Level.of(v * size + w, size), _Level.of((u * size + v) * size + w, size)

    def fit(self, copies: np.ndarray) -> NgramModel:
        """The model of an arm: `copies` [n_documents] says how often each document is read."""
        _, _, word, first = self._events
        copies = np.asarray(copies, dtype=np.float64)
        return NgramModel(
            self,
            _count_words(word, first, copies, self.vocab_size),
            *(_Counts.of(level, first, copies) for level in self._levels),
        )

    def compile(self, contexts: list[list[int]], continuations: list[list[int]]) -> Positions:
        """The n-grams that scoring these continuations needs, looked up once for all arms."""
        lengths = np.array([len(c) for c in continuations], dtype=np.int64)
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = chain.from_iterable(
            chain([self.eos, self.eos, *c[-2:]][-2:], k)
            for c, k in zip(contexts, continuations, strict=True)
        )
        stream = np.fromiter(flat, dtype=np.int64, count=int(first[-1]) + 2 * len(lengths))
        if len(stream) and not (stream.min() >= 0 and stream.max() < self.vocab_size):
            raise ValueError(f"token ids outside 0 … {self.vocab_size - 1} in a scored string")
        at = np.arange(first[-1]) + 2 * (1 + np.repeat(np.arange(len(lengths)), lengths))
        size = self.vocab_size
        keys, gram_of = np.unique(
            (stream[at - 2] * size + stream[at - 1]) * size + stream[at], return_inverse=True
        )
        bigrams, trigrams = self._levels
        tri, tri_context = trigrams.find(keys, size)
        bi, bi_context = bigrams.find(keys % (size * size), size)
        return Positions(tri, tri_context, bi, bi_context, keys % size, gram_of, first)


@dataclass(frozen=True)
class _Counts:
    """One order's counts in an arm: of each type, and of each context all and distinct events."""

    types: np.ndarray  # float64 [n_types]
    totals: np.ndarray  # float64 [n_contexts]
    kinds: np.ndarray  # float64 [n_contexts]

    @classmethod
    def of(cls, level: _Level, first: np.ndarray, copies: np.ndarray) -> _Counts:
        counts = cls(
            np.zeros(len(level.keys)), np.zeros(len(level.contexts)), np.zeros(len(level.contexts))
        )
        _count(
            level.type_of,
            level.context_of,
            first,
            copies,
            counts.types,
            counts.totals,
            counts.kinds,
        )
        return counts


@dataclass(frozen=True)
class NgramModel:
    """Counts of one arm over the pool's n-gram types; a `LanguageModel`."""

    index: NgramIndex
    words: np.ndarray  # float64 [V]
    bigrams: _Counts
    trigrams: _Counts

    def loglikelihood(
        self, contexts: list[list[int]], continuations: list[list[int]]
    ) -> np.ndarray:
        """Σ ln p of each continuation, float64 [n]; a model of no documents is uniform."""
        return self.score(self.index.compile(contexts, continuations))

    def score(self, positions: Positions) -> np.ndarray:
        """Σ ln p of each compiled string, float64 [n]; an empty string is 0."""
        logs = np.log(self._probabilities(positions))[positions.gram_of]
        sums = np.concatenate([[0.0], np.cumsum(logs)])
        return sums[positions.first[1:]] - sums[positions.first[:-1]]

    def kneser_ney(self) -> NgramModel:
        """The same arm under interpolated Kneser-Ney smoothing.

        Below the trigram an n-gram counts the contexts that it follows, not its occurrences
        (Kneser and Ney 1995): a line repeated a thousand times is one context.
        """
        bigrams, trigrams = self.index._levels
        size = self.index.vocab_size
        shorter = _find(bigrams.keys, trigrams.keys[self.trigrams.types > 0] % (size * size))
        types = np.bincount(shorter, minlength=len(bigrams.keys)).astype(np.float64)
        totals = np.bincount(bigrams.context_of, types, len(bigrams.contexts))
        kinds = np.bincount(bigrams.context_of, types > 0, len(bigrams.contexts))
        seen = bigrams.keys[self.bigrams.types > 0] % size
        words = np.bincount(seen, minlength=size).astype(np.float64)
        return NgramModel(self.index, words, _Counts(types, totals, kinds), self.trigrams)

    def _probabilities(self, positions: Positions) -> np.ndarray:
        """p3 of each listed n-gram, float64 [n_grams]."""
        total, size = self.words.sum(), self.index.vocab_size
        if total == 0:
            return np.full(len(positions.word), 1.0 / size)
        rest = DISCOUNT * np.count_nonzero(self.words) / total / size
        p1 = np.maximum(self.words - DISCOUNT, 0.0) / total + rest
        p = p1[positions.word]
        for counts, types, contexts in (
            (self.bigrams, positions.bi, positions.bi_context),
            (self.trigrams, positions.tri, positions.tri_context),
        ):
            _interpolate(counts.types, counts.totals, counts.kinds, types, contexts, p)
        return p


@kernel
def _count_words(word, first, copies, size):
    """float64 [size]: how often the arm has each word."""
    counts = np.zeros(size)
    for document in range(len(copies)):
        if copies[document] > 0:
            for at in range(first[document], first[document + 1]):
                counts[word[at]] += copies[document]
    return counts


@kernel
def _count(type_of, context_of, first, copies, types, totals, kinds):
    """Fill one order's counts; touches only the arm's own events, whatever the pool has."""
    for document in range(len(copies)):
        weight = copies[document]
        if weight > 0:
            for at in range(first[document], first[document + 1]):
                kind = type_of[at]
                context = context_of[kind]
                if types[kind] == 0:
                    kinds[context] += 1
                types[kind] += weight
                totals[context] += weight


@kernel
def _interpolate(counts, totals, kinds, types, contexts, p):
    """Turn the shorter order's probabilities `p` into this order's, in place."""
    for at in range(len(p)):
        context = contexts[at]
        if context >= 0 and totals[context] > 0:
            estimate = 0.0
            if types[at] >= 0 and counts[types[at]] > DISCOUNT:
                estimate = counts[types[at]] - DISCOUNT
            p[at] = (estimate + DISCOUNT * kinds[context] * p[at]) / totals[context]
