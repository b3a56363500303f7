"""Several learning rates: what must agree, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest

from decant.ablations.judging.outcome import agree, lines
from decant.ablations.judging.verdict import HELPS, HURTS, INCONCLUSIVE, NEUTRAL
from tests.ablations.judging.test_verdict import make_effect, one

HELPFUL = one(make_effect([0.02, 0.021, 0.019, 0.02, 0.022]))


@pytest.mark.parametrize("others", [{}, {0.25: 0.004}, {0.5: 0.01, 0.25: 1e-6}])
def test_rates_of_one_sign_leave_the_verdict_alone(others):
    assert agree(HELPFUL, 1.0, others) == HELPFUL


@pytest.mark.parametrize("others", [{0.25: -0.001}, {0.5: 0.01, 0.25: -1e-6}, {2.0: 0.0}])
def test_one_rate_of_another_sign_takes_a_verdict_back_and_shows_every_rate(others):
    verdict = agree(HELPFUL, 1.0, others)
    assert (HELPFUL.label, verdict.label) == (HELPS, INCONCLUSIVE)
    note = verdict.caveats[-1]
    for rate, effect in {1.0: HELPFUL.overall.effect, **others}.items():
        assert f"{effect:+.4f} at {rate:g}" in note


def test_a_rate_that_measured_nothing_agrees_with_nothing():
    assert agree(HELPFUL, 1.0, {0.25: float("nan")}).label == INCONCLUSIVE


def test_only_helps_and_hurts_need_agreement():
    neutral = one(make_effect([0.0001, -0.0002, 0, 0.0001, 0]))
    assert agree(neutral, 1.0, {0.25: -0.5}).label == NEUTRAL
    worse = one(make_effect([-0.02, -0.021, -0.019, -0.02, -0.022]))
    assert agree(worse, 1.0, {0.25: -0.5}).label == HURTS
    missing = replace(HELPFUL, overall=None)
    assert agree(missing, 1.0, {0.25: -0.5}) == missing


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
