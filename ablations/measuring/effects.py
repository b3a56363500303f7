"""What a rule does to the scores, beside what drops of the same size do that mean nothing.

An effect is bits per byte without the rule minus bits per byte with it: positive helps. It is
measured on disjoint samples of domains (data seeds); the placebos repeat exactly that with drops
of their own. `plans.plan` says which models that takes, `reduce` what their scores come to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw, Pool
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.plans import PLACEBO, WITH, WITHOUT, ContrastPlan, plan

ABSOLUTE, KNESER_NEY = "absolute-discount", "Kneser-Ney"

# Bits per byte on every signal (reference set or task) of a model trained on a draw: float64 [m].
Measure = Callable[[Draw, int], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """One rung's measurements on one set of terms: effects by the number of their contrast."""

    rung: str
    rate: float  # times the rung's own learning rate
    effects: dict[int, Effect]
    health: np.ndarray  # [fractions, seeds, orders, signals]
    tasks: dict[int, dict[str, Any]]
    smoothing: str = ABSOLUTE  # of the n-gram rung
    curves: dict[int, dict[str, Any]] = field(default_factory=dict)  # as `arm_scores.curves`
    diverged: int = 0  # trainings that did, and are left out
    start: np.ndarray | None = None  # the signals of an untrained model, float64 [m]


@dataclass(frozen=True)
class Repeats:
    """Trainings of one and the same documents: how far apart their scores lie is noise alone.

    groups: float64 [trainings, seeds, m] of every arm that was trained more than once.
    """

    with_trainings: int  # of the arm with the rule on each data seed
    arm_trainings: int  # of the arm without it, and of each placebo set
    groups: tuple[np.ndarray, ...]
    missing: int = 0  # trainings that diverged, in no number here


@dataclass(frozen=True)
class Effect:
    """One contrast, measured.

    values: float64 [seeds, m]; null[kind]: float64 [draws, seeds, m], the placebos' effects. Where
    `repeats` is None (the n-gram rung) the trainings of all arms share their orders, and the null
    is scaled to the rule's size; else each has an order of its own, and `placebo_scale` says how
    many times the odds of a placebo the rule's are. `weights`: float64 [seeds], each data seed's
    share of the tokens; None: equal ones.
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
    weights: np.ndarray | None = None
    repeats: Repeats | None = None

    @property
    def share(self) -> np.ndarray:
        """The weight of each data seed, float64 [seeds], one in all."""
        n = len(self.values)
        return np.full(n, 1.0 / n) if self.weights is None else self.weights

    @property
    def mean(self) -> np.ndarray:
        """The effect over data seeds, float64 [m]."""
        return self.values.mean(axis=0) if self.weights is None else self.weights @ self.values

    def null_means(self, kind: str) -> np.ndarray:
        """The effects of a kind's placebos over data seeds, float64 [draws, m]."""
        if self.weights is None:
            return self.null[kind].mean(axis=1)
        return np.einsum("s,dsm->dm", self.weights, self.null[kind])

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
    """The effect that the scores of a plan's trainings come to, float64 [trainings, m].

    A row that is NaN throughout is a training that diverged: it is left out and counted. A placebo
    set without scores on one data seed is left out whole.
    """
    if planned.problem:
        return Effect.unmeasured(planned, planned.problem)
    table = (_OwnOrders if planned.design.own_orders else _SharedOrders)(planned, scores)
    problem = table.problem()
    if problem:
        return Effect.unmeasured(planned, problem)
    contrast, trainings = planned.contrast, planned.trainings
    with_rule = [t.reads for t in trainings if t.role == WITH]
    kinds = dict.fromkeys(t.kind for t in trainings if t.role == PLACEBO)
    return Effect(
        name=contrast.name,
        design=contrast.design,
        judged=contrast.judged,
        values=table.values(),
        null={kind: table.null(kind) for kind in kinds},
        removed_fraction=planned.share,
        removed_documents=planned.changed,
        run_tokens=float(np.mean([d.tokens for d in with_rule])),
        unique_tokens=float(np.mean([d.unique_tokens for d in with_rule])),
        epochs=max(t.reads.epochs for t in trainings),
        pool_share=planned.pool_share,
        placebo_scale=max((t.scale for t in trainings), default=1.0),
        weights=table.weights(),
        repeats=table.repeats(),
    )


class _Scores:
    """Scores of trainings by the part that each plays; a training that diverged has none."""

    def __init__(self, planned: ContrastPlan, scores: np.ndarray) -> None:
        self.design, self._trainings = planned.design, planned.trainings
        self._arms: dict[tuple[str, str, int, int], list[np.ndarray]] = {}
        self.missing = 0
        for t, row in zip(planned.trainings, scores, strict=True):
            arm = self._arms.setdefault((t.role, t.kind, t.number, t.seed), [])
            if np.isnan(row).all():
                self.missing += 1
            else:
                arm.append(row)
        self.scale = {(t.kind, t.number, t.seed): t.scale for t in planned.trainings}

    def problem(self) -> str | None:
        """The arm that no training of a data seed is left of, in words."""
        for seed in self.seeds:
            for role in (WITHOUT, WITH):
                if not self.arm(role, seed):
                    return f"every training {role} the rule diverged in data seed {seed}"
        return None

    def arm(self, role: str, seed: int, kind: str = "", number: int = 0) -> list[np.ndarray]:
        """The scores of one arm's trainings on a data seed, float64 [m] each."""
        return self._arms.get((role, kind, number, seed), [])

    @property
    def seeds(self) -> range:
        return range(self.design.data_seeds)


class _SharedOrders(_Scores):
    """Effects where all arms read in the same orders: differences are taken order by order."""

    def values(self) -> np.ndarray:
        """Without the rule minus with it, mean over orders, float64 [seeds, m]."""
        return np.stack([
            np.mean([a - b for a, b in zip(self.arm(WITHOUT, s), self.arm(WITH, s), strict=True)],
                    axis=0)
            for s in self.seeds
        ])  # fmt: skip

    def null(self, kind: str) -> np.ndarray:
        """With the rule minus a placebo, float64 [draws, seeds, m]."""
        return np.stack([
            [self._placebo(kind, number, seed) for seed in self.seeds]
            for number in range(self.design.draws)
        ])  # fmt: skip

    def _placebo(self, kind: str, number: int, seed: int) -> np.ndarray:
        pairs = zip(self.arm(WITH, seed), self.arm(PLACEBO, seed, kind, number), strict=True)
        return np.mean([a - b for a, b in pairs], axis=0) * self.scale[kind, number, seed]

    def weights(self) -> None:
        """Data seeds are cut to equal tokens, and weigh the same."""

    def repeats(self) -> None:
        """A fit has no noise of its own."""


class _OwnOrders(_Scores):
    """Effects where every training has an order of its own: differences of means over trainings."""

    def values(self) -> np.ndarray:
        """Without the rule minus with it, float64 [seeds, m]."""
        return np.stack([self._mean(WITHOUT, s) - self._mean(WITH, s) for s in self.seeds])

    def null(self, kind: str) -> np.ndarray:
        """With the rule minus each placebo set, float64 [sets, seeds, m].

        A set counts with its first trainings: a rerun is there to tell noise from sets, and would
        make its own set quieter than the others.
        """
        sets = [
            [self.arm(PLACEBO, s, kind, k)[: self.design.orders] for s in self.seeds]
            for k in range(self.design.draws)
        ]
        whole = [one for one in sets if all(len(rows) == self.design.orders for rows in one)]
        means = np.array([[np.mean(rows, axis=0) for rows in one] for one in whole])
        with_rule = np.stack([self._mean(WITH, s) for s in self.seeds])
        return with_rule - means.reshape(-1, *with_rule.shape)

    def weights(self) -> np.ndarray:
        """Each data seed's share of the tokens read by the arm with the rule, float64 [seeds]."""
        reads = {t.seed: t.reads.tokens for t in self._trainings if t.role == WITH}
        tokens = np.array([reads[seed] for seed in self.seeds], dtype=np.float64)
        return tokens / tokens.sum()

    def repeats(self) -> Repeats:
        """What arms that were trained more than once say of noise."""
        numbers = dict.fromkeys((t.role, t.kind, t.number) for t in self._trainings)
        groups = []
        for role, kind, number in numbers:
            rows = [self.arm(role, seed, kind, number) for seed in self.seeds]
            least = min(len(r) for r in rows)
            if least > 1:
                groups.append(np.array([r[:least] for r in rows]).transpose(1, 0, 2))
        fewest = min(len(self.arm(WITH, seed)) for seed in self.seeds)
        return Repeats(fewest, self.design.orders, tuple(groups), self.missing)

    def _mean(self, role: str, seed: int) -> np.ndarray:
        return np.mean(self.arm(role, seed), axis=0)
