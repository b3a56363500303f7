"""The models that a study takes on a neural rung: each trained once, whoever shares it.

What a training reads follows from the arms alone, so that a study's trainings are known before the
first starts. Each distinct one is a task; contrasts then read likelihoods that are already there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Pool
from decant.ablations.measuring import shared, trainers
from decant.ablations.measuring.contrasts import frozen, thawed
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.plans import CONTROL, WITH, WITHOUT, Training, health_plan, plan
from decant.ablations.measuring.terms import VERSION, digest, gpus_of, group_size
from decant.pipeline.engine.execute import Engine, Job, Task

HEALTH = -1  # the number of the health check among the contrasts


@dataclass(frozen=True)
class TrainingTask:
    """One model to train, named by what it reads, and where it is met first."""

    key: str  # of its documents, their order and the order of the study it belongs to
    contrast: int  # or HEALTH
    number: int  # among the trainings of that contrast
    tokens: int  # with the end of each document
    epochs: float


def planned(
    pool: Pool,
    contrasts: Sequence[Contrast],
    number: int,
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
) -> Sequence[Training]:
    """Every training of a contrast, or of the health check, in order."""
    if number == HEALTH:
        return health_plan(pool, contrasts, design, budget, fractions, 1)
    return plan(pool, contrasts[number], design, budget).trainings


def distinct(
    pool: Pool,
    contrasts: Sequence[Contrast],
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
    chosen: Sequence[int],
) -> list[TrainingTask]:
    """Every training of the chosen contrasts and the health check, where it is met first."""
    tasks: dict[str, TrainingTask] = {}
    for contrast in (HEALTH, *chosen):
        trainings = planned(pool, contrasts, contrast, design, budget, fractions)
        for number, training in enumerate(trainings):
            key, reads = training_key(training), training.reads
            tokens = reads.tokens + len(reads.documents)
            tasks.setdefault(key, TrainingTask(key, contrast, number, tokens, reads.epochs))
    return list(tasks.values())


def training_key(training: Training) -> str:
    """The name of what a training reads, in its order: 16 hex digits."""
    state = xxhash.xxh3_64(f"{training.order} ".encode())
    state.update(training.reads.documents.astype(np.int64).tobytes())
    return state.hexdigest()


def train_all(
    engine: Engine, step: str, trainings: Sequence[TrainingTask], args: dict[str, Any]
) -> int:
    """Trains and scores every model that is not there yet; how many diverged. `args` go to all.

    Trainings are tasks side by side; one that takes several GPUs has them to itself, started here.
    """
    tasks = [Task(t.key, {**args, "contrast": t.contrast, "number": t.number}) for t in trainings]
    workers = group_size(args["neural"])
    if workers > 1:
        from decant.ablations.rungs import distributed  # torch is imported only where it is needed

        distributed.connect(workers, engine.ray_address)
        engine = Engine(engine.store, engine.config, 0, progress=engine.progress)
    done = engine.map(f"{step}/runs", train_one, tasks, digest(args), VERSION, gpus_of(args))
    return sum(one["diverged"] for one in done.values())


def train_one(job: Job) -> dict[str, Any]:
    """What one model read: trained, if it is not there yet, and scored on every signal."""
    args = job.task.args
    trainings = _planned(job.store.url, args["address"], args["contrast"], frozen(args))
    training = trainings[args["number"]]
    at_work, reads = trainers.trainer_of(job), training.reads
    if args["tasks"] and training.role in (WITHOUT, WITH, CONTROL):
        at_work.curve(reads, training.order)
    diverged = bool(np.isnan(at_work.signals(reads, training.order)).all())
    return {
        "tokens": reads.tokens, "unique_tokens": reads.unique_tokens, "diverged": diverged,
    }  # fmt: skip


@lru_cache(maxsize=2)
def _planned(url: str, address: str, contrast: int, terms: str) -> Sequence[Training]:
    """The trainings of a contrast, once per process for all of its tasks."""
    study = shared.load(url, address)
    design, budget, fractions = thawed(terms)
    return planned(study.pool, study.contrasts, contrast, design, budget, fractions)
