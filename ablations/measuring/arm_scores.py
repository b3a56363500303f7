"""What the two arms of a contrast score for themselves: every task's metrics, and their curves.

None of it decides: it is what a reader expects beside a verdict.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xxhash

from decant.ablations import statistics
from decant.ablations.measuring.plans import WITH, WITHOUT, ContrastPlan, Training, fraction_plan
from decant.ablations.measuring.shared import Prepared
from decant.ablations.measuring.terms import HEALTH_FRACTIONS
from decant.ablations.measuring.trainers import Trainer
from decant.ablations.scoring import scored
from decant.ablations.scoring.score import EncodedQuestions
from decant.ablations.scoring.scored import TaskScores
from decant.pipeline.engine.execute import Job


def task_scores(
    job: Job, study: Prepared, planned: ContrastPlan, at_work: Trainer
) -> dict[str, Any]:
    """Each task's metrics with and without the rule, and its question-level interval.

    Means and sds are over the trainings of an arm. Per question the difference is of these means;
    the interval is clustered and conditional on these models.
    """
    arms: dict[str, list[TaskScores]] = {WITHOUT: [], WITH: []}
    for training in planned.trainings:
        # Fits differ by the documents alone: of the n-gram rung, one order stands for all.
        if training.role in arms and (planned.design.own_orders or training.repeat == 0):
            values = at_work.signals(training.reads, training.order)
            if np.isnan(values).all():
                continue  # it diverged
            scores = scored.score_options(
                at_work.model(training.reads, training.order), study.scored
            )
            arms[training.role].append(scores)
            _write_samples(job, study, scores, training)
    return {task: _metrics(task, encoded, arms) for task, encoded in study.scored.tasks}


def _metrics(
    task: str, encoded: EncodedQuestions, arms: dict[str, list[TaskScores]]
) -> dict[str, Any]:
    """One task's means and sds of every metric, and the gain in bits per byte of right answers."""
    metrics = {role: [s.metrics[task] for s in trainings] for role, trainings in arms.items()}
    gold = {role: np.mean([m["gold_bpb"] for m in ms], axis=0) for role, ms in metrics.items()}
    gain = gold[WITHOUT] - gold[WITH]
    clusters = np.array([q.cluster for q in encoded.questions])
    error = statistics.clustered_se(gain, clusters)
    without, with_rule = (metrics[role][0]["acc"] for role in (WITHOUT, WITH))
    return {
        **{role: _over(ms, np.mean) for role, ms in metrics.items()},
        **{f"{role}_sd": _over(ms, _sd) for role, ms in metrics.items()},
        "trainings": {role: len(ms) for role, ms in metrics.items()},
        "questions": len(gain),
        "clusters": len(np.unique(clusters)),
        "gold_bpb_gain": float(gain.mean()),
        "clustered_se": None if np.isnan(error) else error,
        "mcnemar_p": statistics.mcnemar_p(
            int(np.sum(without > with_rule)), int(np.sum(with_rule > without))
        ),
    }


def _over(metrics: list[dict[str, np.ndarray]], summary: Any) -> dict[str, float]:
    return {name: float(summary([one[name].mean() for one in metrics])) for name in metrics[0]}


def _sd(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def curves(study: Prepared, planned: ContrastPlan, budget: np.ndarray, at_work: Trainer) -> dict:
    """Each arm's signals as its models read more: shares of the budget, then [shares, n, m] an arm.

    The n-gram rung is fitted to fractions of the budget. A neural training is scored at snapshots
    along the way, before its rate has decayed: only the last point is the model that is judged.
    """
    if planned.design.own_orders:
        return _snapshot_curves(planned, at_work)
    contrast, shares = planned.contrast, HEALTH_FRACTIONS
    result: dict[str, Any] = {"shares": list(shares)}
    for role, mask in ((WITHOUT, contrast.without), (WITH, contrast.with_rule)):
        trainings = fraction_plan(study.pool, mask, planned.design, budget, shares, 1)
        rows = np.array([at_work.signals(t.reads, t.order) for t in trainings])
        result[role] = rows.reshape(len(shares), planned.design.data_seeds, -1).tolist()
    return result


def _snapshot_curves(planned: ContrastPlan, at_work: Trainer) -> dict[str, Any]:
    """The curves of neural arms; a training that has fewer points shortens them all."""
    arms: dict[str, list[np.ndarray]] = {WITHOUT: [], WITH: []}
    shares: list[float] = []
    for training in planned.trainings:
        if training.role in arms:
            along, values = at_work.curve(training.reads, training.order)
            if along:  # none where it diverged
                arms[training.role].append(values)
                shares = along if not shares or len(along) < len(shares) else shares
    last = len(shares)
    rows = {role: np.array([row[-last:] for row in arm]) for role, arm in arms.items()}
    return {"shares": shares, **{r: one.transpose(1, 0, 2).tolist() for r, one in rows.items()}}


def _write_samples(job: Job, study: Prepared, scores: TaskScores, training: Training) -> None:
    """Option rows of one model, named by what it read; an arm of many contrasts is written once."""
    rung = job.task.args["rung"]
    if not study.scored.tasks:
        return
    state = xxhash.xxh3_64(f"{job.task.args['address']} {training.order} ".encode())
    state.update(training.reads.documents.astype(np.int64).tobytes())
    run = f"{state.hexdigest()}-{training.seed}"
    path = f"samples/{rung}/{run}.parquet"
    if job.store.exists(path):
        return
    table = scored.option_rows(study.scored, scores, {"run": run, "rung": rung})
    with job.store.table_writer(path, table.schema) as writer:
        writer.write(table)
