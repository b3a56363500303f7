"""The trigram against a dictionary-of-counts version written from the formula."""

import math
from collections import Counter

import numpy as np
import pytest

from decant.ablations.rungs.ngram import DISCOUNT, NgramIndex

VOCAB, EOS = 9, 8


def make_documents(seed, n=25):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, EOS, rng.integers(0, 12)).tolist() for _ in range(n)]


def make_index(documents):
    first = np.concatenate([[0], np.cumsum([len(d) for d in documents])])
    flat = np.array([t for d in documents for t in d], dtype=np.int32)
    return NgramIndex(flat, first.astype(np.int64), VOCAB, EOS)


class SlowTrigram:
    """The formula of the module's docstring, count by count."""

    def __init__(self, documents, copies):
        self.counts = [Counter(), Counter(), Counter()]
        for document, times in zip(documents, copies, strict=True):
            padded = [EOS, EOS, *document, EOS]
            for at in range(2, len(padded)):
                for order in range(3):
                    self.counts[order][tuple(padded[at - order : at + 1])] += int(times)
        self.counts = [Counter({k: c for k, c in one.items() if c}) for one in self.counts]

    def p(self, history, word):
        if not history:
            total = sum(self.counts[0].values())
            if not total:
                return 1 / VOCAB
            own = max(self.counts[0][(word,)] - DISCOUNT, 0)
            return own / total + DISCOUNT * len(self.counts[0]) / total / VOCAB
        shorter = self.p(history[1:], word)
        after = {k: c for k, c in self.counts[len(history)].items() if k[:-1] == tuple(history)}
        total = sum(after.values())
        if not total:
            return shorter
        own = max(after.get((*history, word), 0) - DISCOUNT, 0)
        return (own + DISCOUNT * len(after) * shorter) / total


@pytest.mark.parametrize("seed", range(8))
def test_likelihoods_equal_the_formula_count_by_count(seed):
    documents = make_documents(seed)
    copies = np.random.default_rng(seed + 100).integers(0, 3, len(documents))
    model = make_index(documents).fit(copies)
    slow = SlowTrigram(documents, copies)
    contexts = [[], [3], [1, 2], [5, 6, 7, 0]]
    continuations = [[0, 1, 2], [4, 4], [7], []]
    found = model.loglikelihood(contexts, continuations)
    for context, continuation, value in zip(contexts, continuations, found, strict=True):
        padded = [EOS, EOS, *context, *continuation]
        start = len(padded) - len(continuation)
        expected = sum(
            math.log(slow.p(padded[at - 2 : at], padded[at])) for at in range(start, len(padded))
        )
        assert value == pytest.approx(expected, abs=1e-9)


def test_probabilities_after_any_context_sum_to_one():
    model = make_index(make_documents(1)).fit(np.ones(25))
    for context in ([], [1], [1, 2], [EOS, EOS], [0, EOS]):
        total = np.exp(model.loglikelihood([context] * VOCAB, [[w] for w in range(VOCAB)])).sum()
        assert total == pytest.approx(1.0)


def test_a_model_of_no_documents_is_uniform():
    model = make_index(make_documents(2)).fit(np.zeros(25))
    assert model.loglikelihood([[]], [[1, 2]])[0] == pytest.approx(2 * math.log(1 / VOCAB))


def test_an_arm_is_scored_as_an_index_of_that_arm_alone():
    documents = make_documents(3)
    arm = np.arange(25) % 3 == 0
    own = make_index([d for d, kept in zip(documents, arm, strict=True) if kept])
    strings = [[1, 2, 3], [7, 7, 0, 4]]
    whole = make_index(documents).fit(arm).loglikelihood([[], []], strings)
    assert whole == pytest.approx(own.fit(np.ones(int(arm.sum()))).loglikelihood([[], []], strings))


def test_the_order_of_documents_does_not_matter():
    documents = make_documents(4)
    strings = [[2, 3, 4, 5]]
    one = make_index(documents).fit(np.ones(25)).loglikelihood([[]], strings)
    other = make_index(documents[::-1]).fit(np.ones(25)).loglikelihood([[]], strings)
    assert one == pytest.approx(other)


def test_token_ids_outside_the_vocabulary_are_refused():
    index = make_index(make_documents(5))
    with pytest.raises(ValueError, match="outside"):
        index.compile([[]], [[VOCAB]])
    with pytest.raises(ValueError, match="outside"):
        NgramIndex(np.array([VOCAB]), np.array([0, 1]), VOCAB, EOS)


class SlowKneserNey:
    """Interpolated Kneser-Ney from lists of distinct n-grams: below the trigram, types count."""

    def __init__(self, documents, copies):
        self.trigrams = Counter()
        for document, times in zip(documents, copies, strict=True):
            padded = [EOS, EOS, *document, EOS]
            for at in range(2, len(padded)):
                self.trigrams[tuple(padded[at - 2 : at + 1])] += int(times)
        self.trigrams = Counter({k: c for k, c in self.trigrams.items() if c})
        self.bigrams = Counter(k[1:] for k in self.trigrams)  # contexts that each one follows
        self.words = Counter(word for _, word in self.bigrams)

    def p(self, history, word):
        if not history:
            total = sum(self.words.values())
            own = max(self.words[word] - DISCOUNT, 0)
            return own / total + DISCOUNT * len(self.words) / total / VOCAB
        counts = self.trigrams if len(history) == 2 else self.bigrams
        after = {k: c for k, c in counts.items() if k[:-1] == tuple(history)}
        total, shorter = sum(after.values()), self.p(history[1:], word)
        if not total:
            return shorter
        own = max(after.get((*history, word), 0) - DISCOUNT, 0)
        return (own + DISCOUNT * len(after) * shorter) / total


@pytest.mark.parametrize("seed", range(4))
def test_kneser_ney_equals_the_formula_type_by_type(seed):
    documents = make_documents(seed)
    copies = np.random.default_rng(seed + 100).integers(0, 3, len(documents))
    model, slow = make_index(documents).fit(copies).kneser_ney(), SlowKneserNey(documents, copies)
    strings = [[0, 1, 2], [4, 4], [7], [3, 3, 3, 0]]
    for string, value in zip(strings, model.loglikelihood([[]] * 4, strings), strict=True):
        padded = [EOS, EOS, *string]
        expected = sum(
            math.log(slow.p(padded[at - 2 : at], padded[at])) for at in range(2, len(padded))
        )
        assert value == pytest.approx(expected, abs=1e-9)


def test_under_kneser_ney_a_line_repeated_within_documents_counts_its_contexts():
    once, often = [[1, 2, 3]] * 2, [[1, 2, 3] * 9] * 2
    rest = make_documents(6)
    gains = []
    for smoothed in (False, True):
        scores = []
        for lines in (once, often):
            model = make_index([*rest, *lines]).fit(np.ones(len(rest) + 2))
            model = model.kneser_ney() if smoothed else model
            scores.append(float(model.loglikelihood([[5, 6]], [[2]])[0]))
        gains.append(scores[1] - scores[0])
    assert gains[1] < gains[0]  # what repetition lends an unseen context is less
