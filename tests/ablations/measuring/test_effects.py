"""The trainings of a contrast, and the effect that their scores come to."""

from __future__ import annotations

import numpy as np
import pytest

from decant.ablations.arms.arms import Contrast
from decant.ablations.measuring.design import Design, budgets
from decant.ablations.measuring.effects import Effect, measure, reduce
from decant.ablations.measuring.plans import PLACEBO, WITH, WITHOUT, plan
from tests.bench.calibration_pools import make_study

DESIGN = Design(data_seeds=2, orders=2, draws=3, kinds=("tokens", "domains"))


@pytest.fixture(scope="module")
def study():
    return make_study(3, 300, {"menu": 0.2}, 0.1)


@pytest.fixture(scope="module")
def contrast(study):
    everything = np.ones(len(study.pool), dtype=bool)
    return Contrast("menu", "add-one-in", everything, ~study.drops["menu"])


@pytest.fixture(scope="module")
def planned(study, contrast):
    return plan(study.pool, contrast, DESIGN, budgets(study.pool, [contrast], DESIGN))


def test_a_plan_names_every_training_before_one_is_scored(planned):
    roles = [training.role for training in planned.trainings]
    assert roles.count(WITHOUT) == roles.count(WITH) == 2 * 2  # data seeds × orders
    assert roles.count(PLACEBO) == 2 * 3 * 2 * 2  # kinds × draws × data seeds × orders
    assert planned.share == pytest.approx(0.2, abs=0.01)


def test_an_effect_is_the_score_without_the_rule_minus_the_score_with_it(planned):
    """Scores that are the part of a training: 3 without, 1 with, and 2 for every placebo."""
    worth = {WITHOUT: 3.0, WITH: 1.0, PLACEBO: 2.0}
    effect = reduce(planned, np.array([[worth[t.role]] for t in planned.trainings]))
    assert effect.values.tolist() == [[2.0], [2.0]]
    assert effect.null["tokens"].shape == (3, 2, 1)
    assert set(effect.null["domains"].ravel().tolist()) == {(1.0 - 2.0) * effect.placebo_scale}


def test_the_n_gram_rung_measures_what_it_measured_before_plans_were_lists(study, contrast):
    budget = budgets(study.pool, [contrast], DESIGN)
    effect = measure(study.pool, contrast, DESIGN, budget, study.score)
    assert effect.values.mean() == pytest.approx(0.06405343069492984, rel=1e-9)
    spread = {kind: rows.mean(axis=(1, 2)).std(ddof=1) for kind, rows in effect.null.items()}
    assert spread == pytest.approx(
        {"tokens": 0.001292560664830982, "domains": 0.0019022921239173574}, rel=1e-9
    )


def test_a_rule_that_removes_nothing_takes_no_training_and_says_why(study):
    everything = np.ones(len(study.pool), dtype=bool)
    same = Contrast("nothing", "leave-one-out", everything, everything)
    planned = plan(study.pool, same, DESIGN, np.full(2, 1000.0))
    assert planned.trainings == ()
    effect = reduce(planned, np.zeros((0, 4)))
    assert effect.problem == "removes nothing here: both arms are the same documents"
    assert effect.values.shape == (2, 0)


def test_an_unmeasured_contrast_keeps_its_name_and_its_size(planned):
    effect = Effect.unmeasured(planned, "every training diverged")
    assert (effect.name, effect.design, effect.judged) == ("menu", "add-one-in", True)
    assert effect.removed_documents == planned.changed > 0
    assert effect.problem == "every training diverged"
