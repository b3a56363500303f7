"""The training runs that a study needs of a neural rung: each once, whoever shares it.

Which documents a run reads follows from the arms alone, so that a study's runs are known before
the first is trained: by going through every contrast with a score that only takes notes. Each
distinct run is one task; contrasts then read likelihoods that are already there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw, Pool
from decant.ablations.measuring import effects, shared, trainers
from decant.ablations.measuring.contrasts import frozen, health_values, thawed
from decant.ablations.measuring.effects import Design
from decant.ablations.measuring.terms import VERSION, digest, gpus_of, group_size
from decant.pipeline.engine.execute import Engine, Job, Task

HEALTH = -1  # the number of the health check among the contrasts


@dataclass(frozen=True)
class Training:
    """One model to train: what it reads, and where it is met first."""

    key: str  # names its documents, their order and the order of the study it belongs to
    contrast: int  # or HEALTH
    number: int  # among the reads of that contrast
    tokens: int  # with the end of each document
    epochs: float


class _Notes:
    """A score that trains nothing: zero for every run, which is written down."""

    def __init__(self) -> None:
        self.reads: list[tuple[Draw, int]] = []

    def __call__(self, read: Draw, order: int) -> np.ndarray:
        self.reads.append((read, order))
        return np.zeros(1)


def reads(
    pool: Pool,
    contrasts: Sequence[Contrast],
    number: int,
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
) -> list[tuple[Draw, int]]:
    """(documents, order) of every run that a contrast, or the health check, asks for, in order."""
    notes = _Notes()
    if number == HEALTH:
        health_values(pool, contrasts, design, budget, fractions, 1, notes)
    else:
        effects.measure(pool, contrasts[number], design, budget, notes)
    return notes.reads


def distinct(
    pool: Pool,
    contrasts: Sequence[Contrast],
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
    chosen: Sequence[int],
) -> list[Training]:
    """Every run that the chosen contrasts and the health check ask for, where it is met first."""
    found: dict[str, Training] = {}
    for contrast in (HEALTH, *chosen):
        asked = reads(pool, contrasts, contrast, design, budget, fractions)
        for number, (read, order) in enumerate(asked):
            key = _key(read, order)
            tokens = read.tokens + len(read.documents)
            found.setdefault(key, Training(key, contrast, number, tokens, read.epochs))
    return list(found.values())


def _key(read: Draw, order: int) -> str:
    state = xxhash.xxh3_64(f"{order} ".encode())
    state.update(read.documents.astype(np.int64).tobytes())
    return state.hexdigest()


def train_all(engine: Engine, step: str, wanted: Sequence[Training], told: dict[str, Any]) -> None:
    """Trains and scores every run that is not there yet; `told` is what each task is told.

    Runs are tasks side by side; one that takes several GPUs has them to itself, started from here.
    """
    tasks = [
        Task(run.key, {**told, "contrast": run.contrast, "number": run.number}) for run in wanted
    ]
    workers = group_size(told["neural"])
    if workers > 1:
        from decant.ablations.rungs import distributed  # torch is imported only where it is needed

        distributed.connect(workers, engine.ray_address)
        engine = Engine(engine.store, engine.config, 0, progress=engine.progress)
    engine.map(f"{step}/runs", train_run, tasks, digest(told), VERSION, gpus_of(told))


def train_run(job: Job) -> dict[str, Any]:
    """What one run was: trained, if it is not there yet, and scored on every signal."""
    args = job.task.args
    asked = _asked(job.store.url, args["address"], args["contrast"], frozen(args))
    read, order = asked[args["number"]]
    trainers.trainer_of(job).signals(read, order)
    return {"tokens": read.tokens, "unique_tokens": read.unique_tokens}


@lru_cache(maxsize=2)
def _asked(url: str, address: str, contrast: int, terms: str) -> list[tuple[Draw, int]]:
    """The reads of a contrast, once per process for all of its runs."""
    study = shared.load(url, address)
    design, budget, fractions = thawed(terms)
    return reads(study.pool, study.contrasts, contrast, design, budget, fractions)
