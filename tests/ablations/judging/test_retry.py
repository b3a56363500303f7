"""HELPS and HURTS on other terms: what takes a verdict back, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest

from decant.ablations.judging.outcome import lines
from decant.ablations.judging.retry import LEAST_GAIN, Retry, confirm, retried
from decant.ablations.judging.verdict import HELPS, HURTS, INCONCLUSIVE, NEUTRAL
from decant.ablations.statistics import Spread
from tests.ablations.judging.test_verdict import make_effect, make_own_orders, one

HELPFUL = one(make_effect([0.02, 0.021, 0.019, 0.02, 0.022]))
UNKNOWN = Spread(0.0, 0.0)
ALPHA = 0.05


def retry(effect, sd=0.0, df=0.0, gain=1.0):
    error = Spread(sd**2, df)
    return Retry("at 0.1 of the rate", effect, error, error, gain)


@pytest.mark.parametrize(
    "again",
    [
        retry(0.004),
        retry(0.02, 0.001, 20),
        retry(0.004, 0.001, 20),  # a fifth of the effect, as surely above nothing: 4 errors
        retry(-0.0001, 0.02, 20),  # so wide that it excludes nothing
    ],
)
def test_a_retry_that_does_not_contradict_leaves_the_verdict_and_shows_its_effect(again):
    verdict = confirm(HELPFUL, again, ALPHA)
    assert verdict.label == HELPS
    assert f"{again.effect:+.4f} at 0.1 of the rate" in verdict.caveats[-1]


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (retry(-0.001), "the sign changes"),  # without an interval the sign alone decides
        (retry(0.0), "the sign changes"),
        (retry(-0.004, 0.001, 20), "the sign changes"),  # the interval ends below nothing
        (retry(0.0001, 0.001, 20), "gone on other terms"),  # 20 errors from the first effect
        (retry(float("nan")), "nothing was measured"),
    ],
)
def test_a_retry_that_contradicts_takes_the_verdict_back_with_the_reason(again, reason):
    verdict = confirm(HELPFUL, again, ALPHA)
    assert verdict.label == INCONCLUSIVE
    assert reason in verdict.caveats[-1]


@pytest.mark.parametrize(("gain", "label"), [(LEAST_GAIN, INCONCLUSIVE), (0.49, HELPS)])
def test_a_retry_that_learns_less_than_half_is_refused_and_says_nothing(gain, label):
    verdict = confirm(HELPFUL, retry(-0.004, 0.001, 20, gain), ALPHA)
    assert verdict.label == label
    assert ("the model learns 49% there" in verdict.caveats[-1]) is (label == HELPS)


def test_only_helps_and_hurts_are_retried():
    neutral = one(make_effect([0.0001, -0.0002, 0, 0.0001, 0]))
    assert confirm(neutral, retry(-0.5), ALPHA).label == NEUTRAL
    worse = one(make_effect([-0.02, -0.021, -0.019, -0.02, -0.022]))
    assert confirm(worse, retry(-0.5), ALPHA).label == HURTS
    missing = replace(HELPFUL, overall=None)
    assert confirm(missing, retry(-0.5), ALPHA) == missing


def test_under_another_smoothing_the_placebos_of_both_make_the_errors():
    first = make_effect([0.02] * 5)
    again = replace(first, values=first.values / 2)
    found = retried("under Kneser-Ney smoothing", first, again)
    assert found.effect == pytest.approx(0.01)
    assert found.error.df == 19
    assert found.difference.variance == 0.0  # the same placebos, drop by drop
    assert confirm(one(first), found, ALPHA).label == HELPS


def test_at_another_rate_the_trainings_noise_makes_the_errors():
    first, again = make_own_orders(0.02, noise=0.002), make_own_orders(0.01, noise=0.001, seed=1)
    found = retried("at 0.1 of the rate", first, again)
    groups = again.repeats.groups[0].mean(axis=2)  # [4 trainings, 2 seeds]
    expected = sum(0.25 * groups[:, s].var(ddof=1) for s in range(2)) * (1 + 1 / 4)
    assert found.error.variance == pytest.approx(expected)
    assert found.difference.variance > found.error.variance


def test_a_retry_without_numbers_is_one_that_measured_nothing():
    first = make_effect([0.02] * 5)
    lost = replace(first, values=np.zeros((2, 0)), problem="every training diverged")
    assert np.isnan(retried("at 0.1 of the rate", first, lost).effect)


def test_one_rate_needs_no_words():
    assert lines([1.0], [2.5]) == []


def test_two_rates_are_shown_and_the_better_one_named():
    (shown,) = lines([1.0, 0.25], [2.4, 2.5])
    assert "2.4000 at 1, 2.5000 at 0.25" in shown
    assert lines([1.0, 0.25], [2.5, 2.4])[1].startswith("The control arm is better at 0.25")


@pytest.mark.parametrize(
    ("control", "end"), [([2.4, 2.5, 2.3], "highest"), ([2.4, 2.3, 2.5], "lowest")]
)
def test_a_sweep_whose_best_rate_is_at_its_end_says_so(control, end):
    assert f"best rate is the {end}" in lines([1.0, 0.25, 4.0], control)[-1]


def test_a_sweep_whose_best_rate_lies_inside_says_nothing_of_ends():
    said = lines([1.0, 0.25, 4.0], np.array([2.3, 2.4, 2.5]).tolist())
    assert len(said) == 1
