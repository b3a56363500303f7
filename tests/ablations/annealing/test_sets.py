"""Sets of documents: none twice, and placebos that match theirs one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from decant.ablations import hashing
from decant.ablations.annealing.sets import DocumentSet, match_of, matched_set, removed_set
from decant.ablations.arms.pool import Pool


def make_pool(lengths, domains):
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    numbers = np.arange(len(lengths))
    return Pool(
        np.zeros(first[-1], np.int32), first, 4 * np.array(lengths),
        hashing.mix(numbers, 1), hashing.mix(np.array(domains), 2), 100, 99,
    )  # fmt: skip


@pytest.fixture
def pool():
    """400 documents of 10 to 120 tokens on 60 domains of unequal sizes."""
    rng = np.random.default_rng(0)
    domains = np.minimum(rng.pareto(1.0, 400) * 8, 59).astype(int)
    return make_pool(rng.integers(10, 121, 400), domains)


def halves(pool):
    """(what a rule removes, what it keeps): every fourth document, and the others."""
    removed = np.arange(len(pool)) % 4 == 0
    return removed, ~removed


def test_a_removed_set_fills_its_tokens_and_reads_no_document_twice(pool):
    removed, _ = halves(pool)
    one = removed_set(pool, removed, 2_000, 60, seed=1, number=0)
    assert one.tokens in (1_999, 2_000)  # a rest of one token would be an end without a document
    assert len(set(one.documents)) == len(one)
    assert removed[one.documents].all()
    assert one.cut.max() <= 60


def test_sets_of_other_numbers_are_other_documents_and_the_same_number_is_the_same(pool):
    removed, _ = halves(pool)
    sets = [removed_set(pool, removed, 1_000, 60, 1, number) for number in (0, 0, 1)]
    assert sets[0].documents.tolist() == sets[1].documents.tolist()
    assert sets[0].documents.tolist() != sets[2].documents.tolist()


def test_a_placebo_has_the_documents_domains_and_lengths_of_its_set(pool):
    removed, kept = halves(pool)
    for number in range(8):
        one = removed_set(pool, removed, 2_000, 60, 1, number)
        placebo = matched_set(pool, kept, one, 1, number)
        assert kept[placebo.documents].all()
        assert len(set(placebo.documents)) == len(placebo) == len(one)
        sizes = [Counter(Counter(pool.domain[s.documents]).values()) for s in (one, placebo)]
        assert sizes[0] == sizes[1]  # as many domains with one document, with two, …
        assert placebo.cut.tolist() == one.cut.tolist()
        match = match_of(pool, one, placebo)
        assert match.tokens[0] == match.tokens[1]


def test_domains_that_no_kept_one_can_answer_are_shared_among_the_largest():
    pool = make_pool([10] * 12, [0] * 5 + [1] * 3 + [2] * 2 + [3] * 2)
    like = DocumentSet(np.arange(5), np.full(5, 10))
    kept = np.arange(12) >= 5
    placebo = matched_set(pool, kept, like, 1, 0)
    assert len(placebo) == 5
    # Three of the largest, and two of a second.
    assert sorted(Counter(pool.domain[placebo.documents]).values()) == [2, 3]


def test_kept_documents_too_short_are_read_whole_and_too_few_leave_a_smaller_placebo():
    pool = make_pool([50, 50, 8, 9], [0, 0, 1, 2])
    like = DocumentSet(np.array([0, 1]), np.array([50, 50]))
    placebo = matched_set(pool, np.arange(4) >= 2, like, 1, 0)
    assert sorted(placebo.cut.tolist()) == [8, 9]
    fewer = matched_set(pool, np.arange(4) == 3, like, 1, 0)
    assert fewer.cut.tolist() == [9]


@pytest.mark.parametrize(
    ("tokens", "cut"), [(0, []), (1, []), (2, [1]), (11, [10]), (12, [10]), (13, [10, 1])]
)
def test_the_head_of_a_set_is_cut_to_the_token_but_never_to_an_end_alone(tokens, cut):
    whole = DocumentSet(np.array([4, 7]), np.array([10, 10]))
    assert whole.head(tokens).cut.tolist() == cut
