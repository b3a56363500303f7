"""Placebos drop what they should, as much as they should, and never what the rule drops."""

import numpy as np
import pytest

from decant.ablations import hashing
from decant.ablations.arms.placebo import KINDS, drop_highest, placebo_drop, word_share
from decant.ablations.arms.pool import Pool


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(1)
    lengths = rng.integers(5, 60, size=400)
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = rng.zipf(1.5, size=first[-1]).clip(max=99).astype(np.int32)
    identity = hashing.hash_strings(map(str, range(400)))
    domain = hashing.mix(rng.integers(0, 80, size=400), 3)
    return Pool(tokens, first, lengths * 4, identity, domain, 101, 100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_a_placebo_drops_its_fraction_of_the_kept_documents_only(pool, kind, fraction):
    kept = np.arange(400) % 5 != 0
    drop = placebo_drop(pool, kind, kept, fraction, seed=1, number=4)
    assert not (drop & ~kept).any()
    share = pool.lengths[drop].sum() / pool.lengths[kept].sum()
    assert fraction - 60 / pool.lengths[kept].sum() <= share <= fraction


@pytest.mark.parametrize("kind", KINDS)
def test_draws_differ_and_repeat(pool, kind):
    everything = np.ones(400, dtype=bool)
    draws = [placebo_drop(pool, kind, everything, 0.2, 1, k) for k in (0, 1, 0)]
    assert (draws[0] != draws[1]).any()
    assert (draws[0] == draws[2]).all()


def test_domains_leave_as_a_whole_but_for_the_last(pool):
    drop = placebo_drop(pool, "domains", np.ones(400, dtype=bool), 0.3, 1, 0)
    split = [d for d in np.unique(pool.domain) if 0 < drop[pool.domain == d].mean() < 1]
    assert len(split) <= 1


def test_topics_leave_by_the_share_of_one_word(pool):
    share = word_share(pool, 3)
    expected = [
        np.mean(pool.tokens[a:b] == 3) for a, b in zip(pool.first, pool.first[1:], strict=False)
    ]
    assert share == pytest.approx(expected)
    drop = drop_highest(pool, share, np.zeros(400), np.ones(400, dtype=bool), 0.2)
    assert share[drop].min() >= share[~drop].max() - 1e-12


@pytest.mark.parametrize("number", range(5))
def test_a_small_drop_reaches_its_share_past_documents_that_are_too_large_for_it(number):
    """Every third document is larger than the whole drop: the first of them would end it."""
    lengths = np.where(np.arange(300) % 3 == 0, 1000, 10)
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    identity = hashing.hash_strings(map(str, range(300)))
    tokens = np.zeros(first[-1], dtype=np.int32)
    pool = Pool(tokens, first, lengths * 4, identity, identity, 2, 1)
    drop = placebo_drop(pool, "tokens", np.ones(300, dtype=bool), 0.002, 1, number)
    target = 0.002 * lengths.sum()  # 204 tokens: twenty small documents
    assert 0.9 * target <= lengths[drop].sum() <= target
