"""Slopes, their error, and how often noise passes for an effect."""

from __future__ import annotations

import numpy as np
import pytest

from decant.ablations.annealing.effect import BranchScores, run_variance, slope
from decant.ablations.statistics import two_sided_p

DOSES = (0.25, 0.5, 0.5)


def noise(rng, effect=0.0, set_sd=0.0, run_sd=0.01, among_trunks=0.0, overlap=0.0, sets=8):
    """Branches of two trunks; the removed sets share `overlap` of their variance."""
    dose = np.array(DOSES)[None, None, :]
    own = rng.normal(0, set_sd, (2, 2, sets, 1))
    common = rng.normal(0, set_sd, (2, 1, 1))
    removed = np.sqrt(overlap) * common + np.sqrt(1 - overlap) * own[0]
    removed = removed + effect + rng.normal(0, among_trunks, (2, 1, 1))
    arms = [
        3.0 + arm * dose + rng.normal(0, run_sd, (2, sets, len(DOSES))) for arm in (removed, own[1])
    ]
    return BranchScores(arms[0][..., None], arms[1][..., None], DOSES, (overlap, overlap))


def test_without_noise_the_slope_is_the_effect_of_a_full_dose():
    found = slope(noise(np.random.default_rng(0), effect=0.08, run_sd=0.0))
    assert found.value == pytest.approx(0.08)
    assert found.trunks == pytest.approx((0.08, 0.08))
    assert found.at_dose == pytest.approx({0.25: 0.02, 0.5: 0.04})
    assert found.run_sd == pytest.approx(0.0, abs=1e-12)


def test_run_noise_is_what_re_runs_differ_by_and_unknown_without_any():
    scores = noise(np.random.default_rng(1), run_sd=0.01, set_sd=0.5, sets=400)
    assert np.sqrt(run_variance(scores)) == pytest.approx(0.01, rel=0.1)
    single = BranchScores(
        scores.removed[:, :, :2], scores.placebo[:, :, :2], (0.25, 0.5), (0.0, 0.0)
    )
    assert np.isnan(run_variance(single))
    assert np.isfinite(slope(single).error.variance)


def test_the_spread_of_sets_is_told_apart_from_run_noise():
    scores = noise(np.random.default_rng(2), run_sd=0.01, set_sd=0.04, sets=400)
    assert slope(scores).set_sd == pytest.approx(0.5 * 0.04, rel=0.1)


def test_trunks_that_disagree_widen_the_error():
    rng = np.random.default_rng(3)
    scores = noise(rng, run_sd=1e-4)
    scores.removed[0] += 0.02
    scores.removed[1] -= 0.02
    found = slope(scores)
    gap = (found.trunks[0] - found.trunks[1]) / 2
    assert found.error.sd == pytest.approx(abs(gap), rel=0.01)  # sd of two, over root two
    assert found.error.df == pytest.approx(1.0, abs=0.05)


def test_removed_sets_that_are_one_set_cannot_average_the_choice_of_documents_away():
    rng = np.random.default_rng(4)
    apart, one = (noise(rng, set_sd=0.1, overlap=o, sets=200) for o in (0.0, 1.0))
    assert slope(one).error.variance > 20 * slope(apart).error.variance


@pytest.mark.parametrize("overlap", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("set_sd", [0.0, 0.02, 0.1])
def test_noise_passes_for_an_effect_no_more_often_than_promised(overlap, set_sd):
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(600):
        found = slope(noise(rng, set_sd=set_sd, overlap=overlap))
        false += two_sided_p(found.value / found.error.sd, found.error.df) < 0.05
    # 5 % of 600 is 30; 44 would be passed by chance once in 200.
    assert false <= 44
