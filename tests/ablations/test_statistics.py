"""Every estimator against slow plain Python, printed tables or a simulation of known answer."""

import itertools
import math
import random

import numpy as np
import pytest

from decant.ablations import statistics
from decant.ablations.statistics import Spread


def slow_holm(p):
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, (len(p) - rank) * p[i])
        adjusted[i] = min(1.0, highest)
    return adjusted


def slow_benjamini_hochberg(p):
    return [
        min(
            1.0,
            min(
                len(p) * q / sum(r <= q for r in p) for q in p if q >= mine
            ),
        )
        for mine in p
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_holm_equals_the_step_by_step_definition(seed):
    p = [random.Random(seed).random() ** 3 for _ in range(1 + seed)]
    assert statistics.holm(np.array(p)) == pytest.approx(slow_holm(p))


@pytest.mark.parametrize("seed", range(20))
def test_benjamini_hochberg_equals_the_smallest_rate_at_which_it_is_rejected(seed):
    p = [random.Random(seed).random() ** 3 for _ in range(1 + seed)]
    expected = slow_benjamini_hochberg(p)
    assert statistics.benjamini_hochberg(np.array(p)) == pytest.approx(expected)


def test_benjamini_and_hochbergs_own_example_rejects_four_of_fifteen():
    # Benjamini and Hochberg 1995, section 3.2: at 5 % their method rejects the first four,
    # Bonferroni's and Holm's the first three.
    p = np.array([
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ])  # fmt: skip
    assert int((statistics.benjamini_hochberg(p) <= 0.05).sum()) == 4
    assert int((statistics.holm(p) <= 0.05).sum()) == 3


def test_no_p_values_give_no_adjusted_ones():
    assert statistics.holm(np.zeros(0)).shape == (0,)
    assert statistics.benjamini_hochberg(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    ("df", "quantile"), [(1, 12.706), (2, 4.303), (4, 2.776), (10, 2.228), (19, 2.093), (60, 2.000)]
)
def test_t_quantiles_are_those_of_the_printed_table(df, quantile):
    assert statistics.t_quantile(0.975, df) == pytest.approx(quantile, abs=5e-4)
    assert statistics.two_sided_p(quantile, df) == pytest.approx(0.05, abs=5e-4)


def test_an_infinite_t_has_no_probability_and_an_undefined_one_all_of_it():
    assert statistics.two_sided_p(math.inf, 5) == 0.0
    assert statistics.two_sided_p(math.nan, 5) == 1.0


def test_clustered_error_of_single_questions_is_the_plain_one():
    d = np.random.default_rng(1).normal(size=40)
    plain = math.sqrt(sum((x - d.mean()) ** 2 for x in d)) / 40
    assert statistics.clustered_se(d, np.arange(40)) == pytest.approx(plain)


def test_clustered_error_equals_the_sum_over_all_pairs_within_clusters():
    rng = np.random.default_rng(2)
    d, clusters = rng.normal(size=30), rng.integers(0, 7, size=30)
    mean = sum(d) / 30
    pairs = sum(
        (d[i] - mean) * (d[j] - mean)
        for i, j in itertools.product(range(30), repeat=2)
        if clusters[i] == clusters[j]
    )
    assert statistics.clustered_se(d, clusters) == pytest.approx(math.sqrt(pairs) / 30)


def test_copies_of_one_question_do_not_narrow_the_clustered_error():
    d = np.random.default_rng(3).normal(size=25)
    once = statistics.clustered_se(d, np.arange(25))
    tenfold = statistics.clustered_se(np.repeat(d, 10), np.repeat(np.arange(25), 10))
    assert tenfold == pytest.approx(once)


def test_one_cluster_has_no_clustered_error():
    assert math.isnan(statistics.clustered_se(np.array([1.0, 2.0]), np.array(["a", "a"])))


def test_mcnemar_is_the_binomial_tail_counted_out():
    for b, c in itertools.product(range(7), repeat=2):
        n = b + c
        outcomes = list(itertools.product((0, 1), repeat=n))
        far = sum(abs(sum(o) - n / 2) >= abs(b - n / 2) for o in outcomes)
        assert statistics.mcnemar_p(b, c) == pytest.approx(far / len(outcomes))


def test_rank_p_counts_the_placebos_that_are_as_far_out():
    null = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert statistics.placebo_rank_p(1.0, null) == (1 + 4) / 6
    assert statistics.placebo_rank_p(3.0, null) == 1 / 6


def test_total_of_two_equal_spreads_has_both_their_degrees_of_freedom():
    # Welch and Satterthwaite with equal variances v and df n: (2v)^2 / (2 v^2 / n) = 2n.
    both = statistics.total(Spread(3.0, 7.0), Spread(3.0, 7.0))
    assert both.variance == 6.0
    assert both.df == pytest.approx(14.0)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(2000):
        sample = rng.normal(loc=1.0, size=6)
        error = statistics.spread(sample)
        low, high = statistics.interval(sample.mean(), Spread(error.variance / 6, error.df), 0.9)
        hits += low < 1.0 < high
    # 0.9 +- 3 sd of a binomial share of 2,000
    assert abs(hits / 2000 - 0.9) < 3 * math.sqrt(0.9 * 0.1 / 2000)


def test_detectable_effect_is_found_four_times_in_five():
    rng = np.random.default_rng(10)
    error = Spread(1.0, 1e6)
    effect = statistics.detectable_effect(error, alpha=0.05)
    assert effect == pytest.approx(1.960 + 0.842, abs=1e-3)
    found = np.abs(rng.normal(loc=effect, size=20_000)) > 1.96
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_no_degrees_of_freedom_give_no_interval():
    assert statistics.interval(0.0, Spread(0.0, 0.0), 0.95) == (-math.inf, math.inf)
    assert statistics.detectable_effect(Spread(0.0, 0.0), 0.05) == math.inf


@pytest.mark.parametrize("seed", range(10))
def test_kendall_tau_equals_the_count_of_pairs(seed):
    rng = random.Random(seed)
    x = [rng.randrange(5) for _ in range(8)]
    y = [rng.randrange(5) for _ in range(8)]
    agree = ties_x = ties_y = 0
    for i, j in itertools.combinations(range(8), 2):
        a, b = (x[i] > x[j]) - (x[i] < x[j]), (y[i] > y[j]) - (y[i] < y[j])
        agree += a * b
        ties_x += a != 0
        ties_y += b != 0
    expected = agree / math.sqrt(ties_x * ties_y) if ties_x and ties_y else 0.0
    assert statistics.kendall_tau(np.array(x), np.array(y)) == pytest.approx(expected)


def test_variance_bound_is_the_printed_f_quantile():
    assert statistics.variance_bound(Spread(2.0, 19.0), 19.0) == pytest.approx(2 * 3.03, abs=0.01)
    assert statistics.variance_bound(Spread(1.0, 10.0), 5.0, 0.95) == pytest.approx(3.33, abs=0.01)
    assert statistics.variance_bound(Spread(0.0, 0.0), 5.0) == math.inf
