"""What a worker does: score the models of one contrast on one rung.

Each task maps the study's shared files, so that tasks carry numbers only. Finished tasks are found
by their manifest; a neural training, a task of its own (`trainings.py`), by its directory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Pool
from decant.ablations.measuring import shared
from decant.ablations.measuring.arm_scores import curves, task_scores
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import Measure, reduce
from decant.ablations.measuring.plans import health_plan, plan
from decant.ablations.measuring.trainers import trainer_of
from decant.pipeline.engine.execute import Job


def measure_contrast(job: Job) -> dict[str, Any]:
    """The effect of one contrast; its tasks' metrics, its arms' curves, option rows on storage.

    `tasks` is false where only the effect is asked for.
    """
    args = job.task.args
    study = shared.load(job.store.url, args["address"])
    design, budget, _ = thawed(frozen(args))
    planned = plan(study.pool, study.contrasts[args["contrast"]], design, budget)
    at_work = trainer_of(job)
    scores = [at_work.signals(t.reads, t.order) for t in planned.trainings]
    effect = reduce(planned, np.array(scores))
    result = {"effect": shared.effect_to_json(effect), "tasks": {}, "curves": {}}
    if args["tasks"] and not effect.problem:
        result["tasks"] = task_scores(job, study, planned, at_work)
        result["curves"] = curves(study, planned, budget, at_work)
    return result


def measure_health(job: Job) -> dict[str, Any]:
    """The signals of the control arm at fractions of the budget, as `health_values`."""
    args = job.task.args
    study = shared.load(job.store.url, args["address"])
    design, budget, fractions = thawed(frozen(args))
    orders = 2 if args["rung"] == "ngram" else 1
    score = trainer_of(job).signals
    values = health_values(study.pool, study.contrasts, design, budget, fractions, orders, score)
    start = trainer_of(job).start()
    return {"values": values.tolist(), "start": None if start is None else start.tolist()}


def health_values(
    pool: Pool,
    contrasts: Sequence[Contrast],
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
    orders: int,
    score: Measure,
) -> np.ndarray:
    """Signals of the control arm at fractions of the budget: [fractions, seeds, orders, m].

    A signal that does not fall with data, or falls less than its noise between orders, tells
    nothing about data.
    """
    trainings = health_plan(pool, contrasts, design, budget, fractions, orders)
    rows = [score(training.reads, training.order) for training in trainings]
    return np.array(rows).reshape(len(fractions), design.data_seeds, orders, -1)


def frozen(args: Mapping[str, Any]) -> str:
    """What a task's arguments say about its design, as text that can name it."""
    kept = {name: args[name] for name in ("design", "budget", "fractions")}
    return json.dumps(kept, sort_keys=True)


def thawed(terms: str) -> tuple[Design, np.ndarray, tuple[float, ...]]:
    """(design, budget of each data seed, fractions of it for the health check): of `frozen`."""
    kept = json.loads(terms)
    design = Design(**{**kept["design"], "kinds": tuple(kept["design"]["kinds"])})
    return design, np.array(kept["budget"]), tuple(kept["fractions"])
