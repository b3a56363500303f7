"""From measurements to an outcome: signals that are no number, retries that learn too little."""

from dataclasses import replace

import numpy as np

from decant.ablations.judging.outcome import conclude, to_confirm
from decant.ablations.judging.verdict import HELPS, INCONCLUSIVE, Settings
from decant.ablations.measuring.effects import Measured
from tests.ablations.judging.test_verdict import SIGNALS, make_own_orders

FALLING = np.array([1.3, 1.2, 1.0])[:, None, None, None] * np.ones((3, 1, 1, len(SIGNALS)))


def measured(effect, rate=1.0, health=FALLING, **changes):
    return Measured("elsewhere", rate, {0: effect}, health, {0: {}}, curves={0: {}}, **changes)


def test_a_signal_that_is_no_number_in_some_training_is_left_out_with_a_line():
    effect = make_own_orders(0.02, noise=0.001)
    effect.null["domains"][3, 0, 2] = np.nan
    outcome = conclude(SIGNALS, Settings(), [measured(effect)], "")
    assert [s.reason for s in outcome.health] == [
        "", "", "is no number in some training", "", "",
    ]  # fmt: skip
    (verdict,) = outcome.verdicts
    assert verdict.label == HELPS
    assert list(verdict.signals) == [s for k, s in enumerate(SIGNALS) if k != 2]


def test_a_control_arm_that_diverged_at_one_fraction_is_read_at_the_others():
    health = FALLING.copy()
    health[0] = np.nan
    outcome = conclude(SIGNALS, Settings(), [measured(make_own_orders(0.02), health=health)], "")
    assert all(state.healthy for state in outcome.health)
    health[-1] = np.nan
    outcome = conclude(SIGNALS, Settings(), [measured(make_own_orders(0.02), health=health)], "")
    assert {state.reason for state in outcome.health} == {"is no number"}


def test_a_retry_is_weighed_by_what_its_model_learns_over_the_start():
    first = measured(make_own_orders(0.02), start=np.full(len(SIGNALS), 2.0))
    assert to_confirm(SIGNALS, Settings(), first) == [0]
    against = make_own_orders(-0.02, seed=3)
    # Of one bit per byte learnt from 2.0 on, the retry learns 0.6 or 0.4.
    for level, label in ((1.4, INCONCLUSIVE), (1.6, HELPS)):
        health = np.full((1, 1, 1, len(SIGNALS)), level)
        again = measured(against, 0.1, health, start=np.full(len(SIGNALS), 2.0))
        (verdict,) = conclude(SIGNALS, Settings(), [first, again], "").verdicts
        assert verdict.label == label
    assert "not retried at 0.1 of the rate: the model learns 40%" in verdict.caveats[-1]


def test_a_rate_that_was_retried_is_listed_with_its_control_arm():
    again = replace(measured(make_own_orders(0.02)), rate=0.1)
    outcome = conclude(SIGNALS, Settings(), [measured(make_own_orders(0.02)), again], "")
    assert outcome.rates == (1.0, 0.1)
    smoothed = replace(again, rate=1.0, smoothing="Kneser-Ney")
    outcome = conclude(SIGNALS, Settings(), [measured(make_own_orders(0.02)), smoothed], "")
    assert outcome.rates == (1.0,)
    assert "under Kneser-Ney smoothing" in outcome.verdicts[0].caveats[-1]
