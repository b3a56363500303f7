"""What a rule does to the scores, beside what drops of the same size do that mean nothing.

An effect is bits per byte without the rule minus bits per byte with it: positive helps. It is
measured on disjoint samples of domains (data seeds); the placebos repeat exactly that with drops
of their own. `plans.plan` says which models that takes, `reduce` what their scores come to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw, Pool
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.plans import PLACEBO, WITH, WITHOUT, ContrastPlan, plan

# Bits per byte on every signal (reference set or task) of a model trained on a draw: float64 [m].
Measure = Callable[[Draw, int], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """One rung's measurements: effects by the number of their contrast, at one learning rate."""

    rung: str
    rate: float  # times the rung's own learning rate
    effects: dict[int, Effect]
    health: np.ndarray  # [fractions, seeds, orders, signals]
    tasks: dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Effect:
    """One contrast, measured.

    values: float64 [seeds, m]; null[kind]: float64 [draws, seeds, m], scaled to the rule's size.
    """

    name: str
    design: str
    judged: bool
    values: np.ndarray
    null: dict[str, np.ndarray]
    removed_fraction: float
    removed_documents: int
    run_tokens: float  # mean over trainings of the arm with the rule
    unique_tokens: float
    epochs: float  # the most of any arm
    pool_share: float  # largest budget as a share of its data seed's unfiltered tokens
    placebo_scale: float  # 1 where the placebos could drop as much as the rule
    problem: str | None = None

    @classmethod
    def unmeasured(cls, of: ContrastPlan, problem: str) -> Effect:
        """A contrast without numbers, and why."""
        return cls(
            name=of.contrast.name, design=of.contrast.design, judged=of.contrast.judged,
            values=np.zeros((of.design.data_seeds, 0)), null={}, removed_fraction=of.share,
            removed_documents=of.changed, run_tokens=0.0, unique_tokens=0.0, epochs=0.0,
            pool_share=0.0, placebo_scale=1.0, problem=problem,
        )  # fmt: skip


def measure(
    pool: Pool, contrast: Contrast, design: Design, budget: np.ndarray, score: Measure
) -> Effect:
    """The contrast's effect on every signal and its placebos'; `problem` says why there is none."""
    planned = plan(pool, contrast, design, budget)
    scores: dict[tuple[bytes, int], np.ndarray] = {}
    for training in planned.trainings:
        key = training.reads.documents.tobytes(), training.order
        if key not in scores:
            scores[key] = score(training.reads, training.order)
    keys = [(t.reads.documents.tobytes(), t.order) for t in planned.trainings]
    return reduce(planned, np.array([scores[key] for key in keys]))


def reduce(planned: ContrastPlan, scores: np.ndarray) -> Effect:
    """The effect that the scores of a plan's trainings come to, float64 [trainings, m]."""
    if planned.problem:
        return Effect.unmeasured(planned, planned.problem)
    table = _Scores(planned, scores)
    contrast, trainings = planned.contrast, planned.trainings
    with_rule = [t.reads for t in trainings if t.role == WITH]
    kinds = dict.fromkeys(t.kind for t in trainings if t.role == PLACEBO)
    return Effect(
        name=contrast.name,
        design=contrast.design,
        judged=contrast.judged,
        values=np.stack([table.effect(seed) for seed in range(planned.design.data_seeds)]),
        null={kind: table.null(kind) for kind in kinds},
        removed_fraction=planned.share,
        removed_documents=planned.changed,
        run_tokens=float(np.mean([d.tokens for d in with_rule])),
        unique_tokens=float(np.mean([d.unique_tokens for d in with_rule])),
        epochs=max(t.reads.epochs for t in trainings),
        pool_share=planned.pool_share,
        placebo_scale=max((t.scale for t in trainings), default=1.0),
    )


class _Scores:
    """Scores of trainings found by the part that each plays, float64 [m]."""

    def __init__(self, planned: ContrastPlan, scores: np.ndarray) -> None:
        self.design = planned.design
        self._of = {
            (t.role, t.kind, t.number, t.seed, t.repeat): (row, t.scale)
            for t, row in zip(planned.trainings, scores, strict=True)
        }

    def effect(self, seed: int) -> np.ndarray:
        """Without the rule minus with it, mean over orders."""
        pairs = [(self._of[WITHOUT, "", 0, seed, k][0], self._with(seed, k)) for k in self._orders]
        return np.mean([without - other for without, other in pairs], axis=0)

    def null(self, kind: str) -> np.ndarray:
        """The placebos of a kind: with the rule minus a placebo, float64 [draws, seeds, m]."""
        return np.stack([
            [self._placebo(kind, number, seed) for seed in range(self.design.data_seeds)]
            for number in range(self.design.draws)
        ])  # fmt: skip

    def _placebo(self, kind: str, number: int, seed: int) -> np.ndarray:
        runs = [self._of[PLACEBO, kind, number, seed, k] for k in self._orders]
        rows = [self._with(seed, k) - row for k, (row, _) in zip(self._orders, runs, strict=True)]
        return np.mean(rows, axis=0) * runs[0][1]

    def _with(self, seed: int, order: int) -> np.ndarray:
        return self._of[WITH, "", 0, seed, order][0]

    @property
    def _orders(self) -> range:
        return range(self.design.orders)
