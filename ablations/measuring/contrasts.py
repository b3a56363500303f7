"""What a worker does: score the models of one contrast on one rung.

Each task maps the study's shared files, so that tasks carry numbers only. Finished tasks are found
by their manifest; a neural training, a task of its own (`trainings.py`), by its directory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xxhash

from decant.ablations import statistics
from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw, Pool, draw
from decant.ablations.measuring import shared
from decant.ablations.measuring.design import Design, sizes
from decant.ablations.measuring.effects import Measure, measure
from decant.ablations.measuring.plans import health_plan
from decant.ablations.measuring.shared import Prepared
from decant.ablations.measuring.trainers import Trainer, trainer_of
from decant.ablations.scoring import scored
from decant.pipeline.engine.execute import Job


def measure_contrast(job: Job) -> dict[str, Any]:
    """The effect of one contrast, its tasks' metrics, and its option rows on storage.

    `tasks` is false where only the effect is asked for.
    """
    args = job.task.args
    study = shared.load(job.store.url, args["address"])
    contrast = study.contrasts[args["contrast"]]
    design, budget, _ = thawed(frozen(args))
    at_work = trainer_of(job)
    effect = measure(study.pool, contrast, design, budget, at_work.signals)
    tasks = {}
    if args["tasks"] and not effect.problem:
        tasks = _tasks(job, study, contrast, design, budget, at_work)
    return {"effect": shared.effect_to_json(effect), "tasks": tasks}


def measure_health(job: Job) -> dict[str, Any]:
    """The signals of the control arm at fractions of the budget, as `health_values`."""
    args = job.task.args
    study = shared.load(job.store.url, args["address"])
    design, budget, fractions = thawed(frozen(args))
    orders = 2 if args["rung"] == "ngram" else 1
    score = trainer_of(job).signals
    values = health_values(study.pool, study.contrasts, design, budget, fractions, orders, score)
    return {"values": values.tolist()}


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


def _read(pool: Pool, design: Design, mask: np.ndarray, order: int, budget: float) -> Draw:
    size = sizes(pool, design)
    place = pool.priority(design.seed * 1000 + order)
    if design.match == "epochs":
        budget = design.epochs * float(size[mask].sum())
    return draw(pool.lengths, size, mask, place, budget)


def _tasks(
    job: Job,
    study: Prepared,
    contrast: Contrast,
    design: Design,
    budget: np.ndarray,
    at_work: Trainer,
) -> dict[str, Any]:
    """Each task's metrics with and without the rule, and its question-level interval.

    Per question the difference is averaged over data seeds; the interval is clustered and
    conditional on these models: shown, never deciding.
    """
    part = study.pool.data_seeds(design.data_seeds, design.seed)
    arms = {"without": contrast.without, "with": contrast.with_rule}
    found: dict[str, list[scored.TaskScores]] = {"without": [], "with": []}
    for seed in range(design.data_seeds):
        for name, mask in arms.items():
            read = _read(study.pool, design, mask & (part == seed), 0, budget[seed])
            scores = scored.score_options(at_work.model(read, 0), study.scored)
            found[name].append(scores)
            _write_samples(job, study, scores, mask, seed)
    result = {}
    for task, encoded in study.scored.tasks:
        means = {
            name: {
                metric: float(np.mean([s.metrics[task][metric].mean() for s in runs]))
                for metric in runs[0].metrics[task]
            }
            for name, runs in found.items()
        }
        gain = np.mean([
            a.metrics[task]["gold_bpb"] - b.metrics[task]["gold_bpb"]
            for a, b in zip(found["without"], found["with"], strict=True)
        ], axis=0)  # fmt: skip
        clusters = np.array([q.cluster for q in encoded.questions])
        error = statistics.clustered_se(gain, clusters)
        right = [s.metrics[task]["acc"] for s in (found["without"][0], found["with"][0])]
        result[task] = {
            **means,
            "questions": len(gain),
            "clusters": len(np.unique(clusters)),
            "gold_bpb_gain": float(gain.mean()),
            "clustered_se": None if np.isnan(error) else error,
            "mcnemar_p": statistics.mcnemar_p(
                int(np.sum(right[0] > right[1])), int(np.sum(right[1] > right[0]))
            ),
        }
    return result


def _write_samples(
    job: Job, study: Prepared, scores: scored.TaskScores, mask: np.ndarray, seed: int
) -> None:
    """Option rows of one run, named by what it read; an arm of many contrasts is written once."""
    rung = job.task.args["rung"]
    if not study.scored.tasks:
        return
    terms = f"{job.task.args['address']} {frozen(job.task.args)} ".encode()
    run = f"{xxhash.xxh3_64_hexdigest(terms + np.packbits(mask).tobytes())}-{seed}"
    path = f"samples/{rung}/{run}.parquet"
    if job.store.exists(path):
        return
    table = scored.option_rows(study.scored, scores, {"run": run, "rung": rung})
    with job.store.table_writer(path, table.schema) as writer:
        writer.write(table)
