"""Orders, samples of domains and draws."""

import numpy as np
import pytest

from decant.ablations import hashing
from decant.ablations.arms.pool import Pool, draw


def make_pool(lengths, domains=None):
    n = len(lengths)
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    domain = np.array(domains if domains is not None else range(n), dtype=np.uint64)
    tokens = np.arange(first[-1], dtype=np.int32) % 7
    identity = hashing.hash_strings(f"doc {k}" for k in range(n))
    return Pool(tokens, first, np.array(lengths) * 4, identity, hashing.mix(domain, 5), 8, 7)


def take(pool, mask, budget, seed=1):
    return draw(pool.lengths, pool.lengths, np.array(mask), pool.priority(seed), budget)


def test_documents_common_to_two_arms_are_read_in_the_same_order():
    pool = make_pool([5] * 40)
    mask = np.arange(40) % 3 != 0
    whole, part = take(pool, np.ones(40, bool), 200), take(pool, mask, 200)
    common = [d for d in whole.documents if mask[d]]
    assert part.documents[: len(common)].tolist() == common


def test_orders_of_two_seeds_differ():
    pool = make_pool([5] * 40)
    assert (pool.priority(1) != pool.priority(2)).any()
    assert sorted(pool.priority(1)) == list(range(40))


def test_order_follows_the_identity_not_the_place():
    pool = make_pool([5] * 30)
    turned = Pool(pool.tokens, pool.first, pool.size_bytes, pool.identity[::-1], pool.domain, 8, 7)
    assert turned.priority(3)[::-1].tolist() == pool.priority(3).tolist()


def test_a_budget_is_filled_to_the_token_where_small_documents_are_left():
    pool = make_pool([50, 50, 50, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    read = take(pool, np.ones(13, bool), 57)
    assert read.tokens == 57
    assert read.epochs == 1.0


def test_an_arm_smaller_than_its_budget_is_read_again_in_the_same_order():
    pool = make_pool([3, 4, 5])
    read = take(pool, [True, True, False], 7 * 2 + 3)
    order = read.documents[:2].tolist()
    assert read.documents[2:4].tolist() == order
    assert read.tokens in (17, 18 - 1)
    assert read.unique_tokens == 7
    assert read.epochs == read.tokens / 7
    assert read.copies.sum() == len(read.documents)


def test_an_empty_arm_reads_nothing():
    read = take(make_pool([3, 4]), [False, False], 10)
    assert (read.tokens, read.unique_tokens, read.epochs) == (0, 0, 0.0)


def test_empty_documents_are_never_read():
    assert take(make_pool([0, 4, 0]), [True] * 3, 10).documents.tolist() == [1, 1]


def test_no_domain_is_split_between_data_seeds():
    rng = np.random.default_rng(1)
    domains = rng.integers(0, 25, size=300)
    pool = make_pool(rng.integers(1, 50, size=300).tolist(), domains)
    part = pool.data_seeds(3, seed=9)
    for domain in np.unique(domains):
        assert len(np.unique(part[domains == domain])) == 1
    shares = np.bincount(part, weights=pool.lengths) / pool.lengths.sum()
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


def test_document_share_counts_documents_not_tokens():
    pool = make_pool([7, 3])  # tokens 0-6, then 0-2
    assert pool.document_share.tolist() == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0]


def test_mixed_hashes_are_uniform_and_seeds_are_independent():
    hashes = hashing.hash_strings(str(k) for k in range(4000))
    one, other = hashing.uniform(hashes, 1), hashing.uniform(hashes, 2)
    assert abs(one.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 4000)
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(4000)


def test_a_reading_order_keeps_the_documents_and_spreads_the_small_ones_that_fill_up():
    lengths = [50] * 20 + [1] * 20
    pool = make_pool(lengths)
    everything = np.ones(40, dtype=bool)
    place = pool.priority(1)
    plain = draw(pool.lengths, pool.lengths, everything, place, 515)
    reading = hashing.mix(pool.identity, 7)
    shuffled = draw(pool.lengths, pool.lengths, everything, place, 515, reading)
    assert sorted(shuffled.documents) == sorted(plain.documents)
    assert shuffled.tokens == plain.tokens == 515
    small = {k for k, d in enumerate(plain.documents) if lengths[d] == 1}
    last = max(k for k, d in enumerate(plain.documents) if lengths[d] == 50)
    assert any(k > last for k in small)  # the budget is filled up with small ones, at the end
    at = [k for k, d in enumerate(shuffled.documents) if lengths[d] == 1]
    assert min(at) < len(shuffled.documents) / 2


def test_every_pass_over_a_small_arm_has_an_order_of_its_own():
    pool = make_pool([5] * 10)
    read = draw(pool.lengths, pool.lengths, np.ones(10, bool), pool.priority(1), 100, pool.identity)
    first, second = read.documents[:10].tolist(), read.documents[10:].tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
