"""Sweeps with a planted trend and sweeps of noise, judged by their slope."""

import numpy as np
import pytest

from decant.ablations.judging.trend import FALLS, RISES, UNCLEAR, trends
from decant.ablations.judging.verdict import Settings
from tests.ablations.judging.test_verdict import SIGNALS, make_effect

BOUNDS = (0.5, 0.4, 0.3, 0.2)  # of an at_most: loosest first


def make_sweep(values, noise=0.001, rule="rule", seed=0, **changes):
    """Effects under each bound; the k-th placebos of all bounds move together, as nested drops."""
    rng = np.random.default_rng(seed)
    kinds = ("tokens", "domains", "topics")
    shared = {kind: rng.normal(size=(20, 2, len(SIGNALS))) for kind in kinds}
    effects = []
    for bound, value in zip(BOUNDS, values, strict=True):
        null = {
            kind: noise * (shared[kind] + 0.5 * rng.normal(size=shared[kind].shape))
            for kind in kinds
        }
        name = f"{rule} at_most {bound:g}"
        plain = {"name": name, "design": "threshold-sweep", "null": null, **changes}
        effects.append(make_effect([value] * len(SIGNALS), **plain))
    return effects


def one(effects):
    (found,) = trends(effects, Settings())
    return found


def test_an_effect_that_grows_with_strictness_rises():
    found = one(make_sweep([0.002, 0.004, 0.006, 0.008]))
    assert (found.sweep, found.bounds) == ("rule at_most", BOUNDS)
    assert found.slope == pytest.approx(0.002)
    assert found.tau == 1.0
    assert found.low < 0.002 < found.high
    assert found.trend == RISES


def test_an_effect_that_shrinks_with_strictness_falls():
    found = one(make_sweep([0.008, 0.006, 0.004, 0.002]))
    assert found.slope == pytest.approx(-0.002)
    assert (found.tau, found.trend) == (-1.0, FALLS)


def test_bounds_of_an_at_least_get_stricter_upwards():
    rising = make_sweep([0.002, 0.004, 0.006, 0.008])
    renamed = [
        make_effect([0.002 * (4 - k)] * 5, name=f"rule at_least {b:g}", design="threshold-sweep",
                    null=rising[k].null)
        for k, b in enumerate(BOUNDS)
    ]  # fmt: skip
    found = one(renamed)
    assert found.bounds == (0.2, 0.3, 0.4, 0.5)
    assert found.slope == pytest.approx(0.002)


def test_an_effect_that_is_the_same_at_every_bound_has_no_trend():
    found = one(make_sweep([0.02, 0.02, 0.02, 0.02]))
    assert found.slope == pytest.approx(0.0)
    assert found.trend == UNCLEAR


def test_noise_is_called_a_trend_about_as_seldom_as_alpha_says():
    called = 0
    for seed in range(300):
        rng = np.random.default_rng(10_000 + seed)
        common = rng.normal(size=(2, len(SIGNALS)))
        effects = make_sweep([0.0] * 4, seed=seed)
        for effect in effects:
            effect.values[:] = 0.001 * (common + 0.5 * rng.normal(size=common.shape))
        called += one(effects).trend != UNCLEAR
    # 15 expected at most (the widest of three kinds is the null); 24 is 15 + 2.4 binomial sd.
    assert called <= 24


def test_two_bounds_are_no_trend_and_say_so():
    effects = make_sweep([0.002, 0.004, 0.006, 0.008])
    for effect in effects[2:]:
        object.__setattr__(effect, "problem", "removes nothing here")
    found = one(effects)
    assert found.trend == UNCLEAR
    assert found.problem is not None and "2 measured bounds" in found.problem


def test_p_values_are_adjusted_over_the_sweeps_of_a_study():
    effects = make_sweep([0.002, 0.004, 0.006, 0.008]) + make_sweep([0.0] * 4, rule="other")
    first, second = trends(effects, Settings())
    assert first.q == pytest.approx(2 * first.p)
    assert second.sweep == "other at_most"


def test_a_study_without_sweeps_has_no_trends():
    assert trends([make_effect([0.02] * 5)], Settings()) == []
