"""What a rule does to the scores, beside what drops of the same size do that mean nothing.

An effect is bits per byte without the rule minus bits per byte with it: positive helps. It is
measured on disjoint samples of domains (data seeds) and averaged over several document orders; the
placebos repeat exactly that with their own drops. All arms of a data seed read the same number of
tokens and share the order of the documents they share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from decant.ablations.arms.arms import Contrast, only_in
from decant.ablations.arms.placebo import KINDS, placebo_drop
from decant.ablations.arms.pool import Draw, Pool, draw


@dataclass(frozen=True)
class Measured:
    """One rung's measurements: effects by the number of their contrast, at one learning rate."""

    rung: str
    rate: float  # times the rung's own learning rate
    effects: dict[int, Effect]
    health: np.ndarray  # [fractions, seeds, orders, signals]
    tasks: dict[int, dict[str, Any]]


# Past four passes the worth of repeated text decays (Muennighoff et al. 2023, arXiv 2305.16264).
MANY_EPOCHS = 4.0
SMALLEST_SHARE = 0.05  # of the larger arm, for an arm that decides the budget of all

# Bits per byte on every signal (reference set or task) of a model trained on a draw: float64 [m].
Measure = Callable[[Draw, int], np.ndarray]


@dataclass(frozen=True)
class Design:
    """How much is spent: the same for every contrast of a study."""

    data_seeds: int = 2
    orders: int = 2
    draws: int = 20  # placebos of each kind
    kinds: tuple[str, ...] = KINDS
    placebo_share: float | None = None  # of tokens that placebos drop; None: as much as the rule
    seed: int = 1
    match: str = "tokens"  # tokens | bytes | epochs
    budget: int | None = None  # per run, in the unit of `match`; None: what the smallest arm has
    epochs: float = 1.0  # of each arm's own supply, for match: epochs


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
    run_tokens: float  # mean over runs of the arm with the rule
    unique_tokens: float
    epochs: float  # the most of either arm
    pool_share: float  # largest budget as a share of its data seed's unfiltered tokens
    placebo_scale: float  # 1 where the placebos could drop as much as the rule
    problem: str | None = None


def budgets(pool: Pool, contrasts: list[Contrast], design: Design) -> np.ndarray:
    """The budget of a run on each data seed, float64 [seeds], in the unit of `design.match`.

    The smallest arm decides, less a fifth that the placebos need to drop from; never over half of
    a data seed's larger arm, so that two runs can differ in more than a few documents. Diagnostics
    and arms under a twentieth of their partner do not decide: they are read several times over.
    """
    if design.budget is not None:
        return np.full(design.data_seeds, float(design.budget))
    size = sizes(pool, design)
    part = pool.data_seeds(design.data_seeds, design.seed)
    result = np.full(design.data_seeds, np.inf)
    for contrast in contrasts:
        for seed in range(design.data_seeds if contrast.judged else 0):
            arms = [size[m & (part == seed)].sum() for m in (contrast.without, contrast.with_rule)]
            if min(arms) >= SMALLEST_SHARE * max(arms):
                result[seed] = min(result[seed], 0.5 * max(arms), 0.8 * min(arms))
    return np.floor(np.where(np.isfinite(result), result, 0.0))


def sizes(pool: Pool, design: Design) -> np.ndarray:
    """What a document takes of a budget, int64 [n]: its tokens, or its bytes."""
    return pool.size_bytes if design.match == "bytes" else pool.lengths


def measure(
    pool: Pool, contrast: Contrast, design: Design, budget: np.ndarray, score: Measure
) -> Effect:
    """The contrast's effect on every signal and its placebos'; `problem` says why there is none."""
    problem = find_problem(pool, contrast, design, budget)
    lost = only_in(pool, contrast.without, contrast.with_rule)
    changed = lost | only_in(pool, contrast.with_rule, contrast.without)
    share = _share(pool, lost, contrast.without)
    runs = _Runs(pool, contrast, design, budget, score)
    if problem:
        empty = np.zeros((design.data_seeds, 0))
        return Effect(
            contrast.name, contrast.design, contrast.judged, empty, {}, share,
            int(changed.sum()), 0.0, 0.0, 0.0, 0.0, 1.0, problem,
        )  # fmt: skip
    values = np.stack([runs.effect(seed) for seed in range(design.data_seeds)])
    null = {}
    for kind in design.kinds if contrast.judged else ():
        null[kind] = np.stack(
            [
                [runs.placebo(kind, seed, number) for seed in range(design.data_seeds)]
                for number in range(design.draws)
            ]
        )
    draws = runs.arms
    return Effect(
        contrast.name, contrast.design, contrast.judged, values, null, share, int(changed.sum()),
        float(np.mean([d.tokens for d in draws])), float(np.mean([d.unique_tokens for d in draws])),
        runs.epochs, runs.pool_share, runs.placebo_scale,
    )  # fmt: skip


def find_problem(pool: Pool, contrast: Contrast, design: Design, budget: np.ndarray) -> str | None:
    """Why this contrast cannot be measured, in words for the verdict table; None where it can."""
    if not (contrast.without ^ contrast.with_rule).any() and contrast.judged:
        return "removes nothing here: both arms are the same documents"
    part = pool.data_seeds(design.data_seeds, design.seed)
    size = sizes(pool, design)
    for name, mask in (("without", contrast.without), ("with", contrast.with_rule)):
        for seed in range(design.data_seeds):
            supply = size[mask & (part == seed)].sum()
            if supply == 0:
                return f"the arm {name} the rule is empty in data seed {seed}"
            smallest = size[mask & (part == seed)].min()
            if budget[seed] < smallest:
                return (
                    f"a budget of {int(budget[seed])} {design.match} does not hold one document "
                    f"of the arm {name} the rule in data seed {seed}"
                )
    return None


def _share(pool: Pool, part: np.ndarray, whole: np.ndarray) -> float:
    return float(pool.lengths[part].sum() / max(pool.lengths[whole].sum(), 1))


class _Runs:
    """The runs of one contrast; the arm with the rule is scored once per order."""

    def __init__(
        self, pool: Pool, contrast: Contrast, design: Design, budget: np.ndarray, score: Measure
    ):
        self.pool, self.contrast, self.design, self.score = pool, contrast, design, score
        self.part = pool.data_seeds(design.data_seeds, design.seed)
        # As many orders again for a-a, whose two arms differ in nothing else.
        self.places = [pool.priority(design.seed * 1000 + o) for o in range(2 * design.orders)]
        self.size = sizes(pool, design)
        self.budget = budget
        self.arms: list[Draw] = []
        self.pool_share = 0.0
        self.epochs = 0.0
        self.placebo_scale = 1.0
        self._with: dict[tuple[int, int], np.ndarray] = {}

    def effect(self, seed: int) -> np.ndarray:
        """Bits per byte without the rule minus with it, mean over orders, float64 [m]."""
        here = self.part == seed
        arms = (self.contrast.without, self.contrast.with_rule)
        wide = max(self.size[arm & here].sum() for arm in arms)
        self.pool_share = max(self.pool_share, float(self.budget[seed] / max(wide, 1)))
        rows = []
        shift = self.design.orders if self.contrast.design == "a-a" else 0
        for order in range(self.design.orders):
            without = self._run(self.contrast.without & here, seed, order + shift)
            rows.append(without - self._arm(seed, order))
        return np.mean(rows, axis=0)

    def placebo(self, kind: str, seed: int, number: int) -> np.ndarray:
        """The effect of dropping as much of the rule's own arm for no reason, float64 [m]."""
        kept = self.contrast.with_rule & (self.part == seed)
        wanted, possible = self._fractions(seed)
        drop = placebo_drop(self.pool, kind, kept, possible, self.design.seed, number)
        rows = [
            self._arm(seed, order) - self._run(kept & ~drop, seed, order)
            for order in range(self.design.orders)
        ]
        # A shift of the mixture grows with the odds of what was dropped.
        scale = _odds(wanted) / _odds(possible) if possible < wanted else 1.0
        self.placebo_scale = max(self.placebo_scale, scale)
        return np.mean(rows, axis=0) * scale

    def _fractions(self, seed: int) -> tuple[float, float]:
        """(what the rule changes, what a placebo drops and still fills the budget)."""
        here = self.part == seed
        pair = (self.contrast.without & here, self.contrast.with_rule & here)
        larger, smaller = sorted(pair, key=lambda arm: -self.pool.lengths[arm].sum())
        alone = only_in(self.pool, larger, smaller)
        wanted = min(_share(self.pool, alone, larger), 0.95)
        supply = self.size[self.contrast.with_rule & here].sum()
        room = max(1.0 - self.budget[seed] / max(supply, 1), 0.05)
        share = self.design.placebo_share
        return wanted, min(wanted if share is None else share, room)

    def _arm(self, seed: int, order: int) -> np.ndarray:
        if (seed, order) not in self._with:
            mask = self.contrast.with_rule & (self.part == seed)
            self._with[seed, order] = self._run(mask, seed, order, keep=True)
        return self._with[seed, order]

    def _run(self, mask: np.ndarray, seed: int, order: int, keep: bool = False) -> np.ndarray:
        budget = self.budget[seed]
        if self.design.match == "epochs":
            budget = self.design.epochs * self.size[mask].sum()
        read = draw(self.pool.lengths, self.size, mask, self.places[order], budget)
        if keep:
            self.arms.append(read)
        self.epochs = max(self.epochs, read.epochs)
        return self.score(read, order)


def _odds(fraction: float) -> float:
    return fraction / (1.0 - fraction)
