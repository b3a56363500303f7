"""Which models a contrast takes: every training, what it reads and the part it plays.

All arms of a data seed read the same number of tokens, and choose their documents by one hash of
the document's id, so that two arms share what they can. The placebos repeat what the rule does
with drops that mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decant.ablations.arms.arms import Contrast, only_in
from decant.ablations.arms.placebo import placebo_drop
from decant.ablations.arms.pool import Draw, Pool, draw
from decant.ablations.measuring.design import Design, find_problem, sizes

WITHOUT, WITH, PLACEBO, CONTROL = "without", "with", "placebo", "control"


@dataclass(frozen=True)
class Training:
    """One model of a contrast: what it reads and the part it plays."""

    role: str  # WITHOUT the rule, WITH it, a PLACEBO, or CONTROL of the health check
    seed: int  # the data seed
    repeat: int  # among the trainings of this arm on this data seed
    order: int  # names the order of its documents, and seeds its initialisation
    reads: Draw
    kind: str = ""  # of a placebo
    number: int = 0  # of the placebo's set, or of the fraction of the budget of a control
    scale: float = 1.0  # of a placebo's effect: over 1 where it could not drop as much as the rule


@dataclass(frozen=True)
class ContrastPlan:
    """The trainings of one contrast, or the problem that stands in their way.

    share: of the tokens without the rule that only that arm has; changed: documents of one arm
    alone; pool_share: the largest budget as a share of its data seed's larger arm.
    """

    contrast: Contrast
    design: Design
    trainings: tuple[Training, ...]
    share: float
    changed: int
    pool_share: float = 0.0
    problem: str | None = None


def plan(pool: Pool, contrast: Contrast, design: Design, budget: np.ndarray) -> ContrastPlan:
    """Every training of a contrast, in order: each data seed's two arms, then the placebos."""
    lost = only_in(pool, contrast.without, contrast.with_rule)
    changed = lost | only_in(pool, contrast.with_rule, contrast.without)
    share, number = _share(pool, lost, contrast.without), int(changed.sum())
    problem = find_problem(pool, contrast, design, budget)
    if problem:
        return ContrastPlan(contrast, design, (), share, number, problem=problem)
    arms = _Arms(pool, contrast, design, budget)
    seeds = range(design.data_seeds)
    trainings = [training for seed in seeds for training in arms.pair(seed)]
    for kind in design.kinds if contrast.judged else ():
        for k in range(design.draws):
            trainings += [t for seed in seeds for t in arms.placebo(kind, seed, k)]
    pool_share = max(arms.pool_share(seed) for seed in seeds)
    return ContrastPlan(contrast, design, tuple(trainings), share, number, pool_share)


def health_plan(
    pool: Pool,
    contrasts: Sequence[Contrast],
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
    orders: int,
) -> list[Training]:
    """The trainings of the control arm at fractions of the budget: fractions × seeds × orders."""
    part = pool.data_seeds(design.data_seeds, design.seed)
    control = control_arm(pool, contrasts, design)
    reader = _Reader(pool, design, orders)
    return [
        Training(
            CONTROL, seed, order, order,
            reader.draw(control & (part == seed), order, fraction * budget[seed]), number=k,
        )
        for k, fraction in enumerate(fractions)
        for seed in range(design.data_seeds)
        for order in range(orders)
    ]  # fmt: skip


def control_arm(pool: Pool, contrasts: Sequence[Contrast], design: Design) -> np.ndarray:
    """The first contrast's arm with its rule, or the next arm that no data seed leaves empty."""
    part = pool.data_seeds(design.data_seeds, design.seed)
    arms = [c.with_rule for c in contrasts] + [c.without for c in contrasts]
    for arm in arms:
        if len(np.unique(part[arm])) == design.data_seeds:
            return arm
    return arms[0]


class _Reader:
    """What a training on a mask of documents reads."""

    def __init__(self, pool: Pool, design: Design, orders: int) -> None:
        self.pool, self.design = pool, design
        self.size = sizes(pool, design)
        self._places = [pool.priority(design.seed * 1000 + order) for order in range(orders)]

    def draw(self, mask: np.ndarray, order: int, budget: float) -> Draw:
        if self.design.match == "epochs":
            budget = self.design.epochs * float(self.size[mask].sum())
        return draw(self.pool.lengths, self.size, mask, self._places[order], budget)


class _Arms:
    """The trainings of one contrast on each data seed."""

    def __init__(self, pool: Pool, contrast: Contrast, design: Design, budget: np.ndarray) -> None:
        self.pool, self.contrast, self.design, self.budget = pool, contrast, design, budget
        self.part = pool.data_seeds(design.data_seeds, design.seed)
        # As many orders again for a-a, whose two arms differ in nothing else.
        self._reader = _Reader(pool, design, 2 * design.orders)
        self.size = self._reader.size

    def pair(self, seed: int) -> list[Training]:
        """The arms without the rule and with it, in each order."""
        here = self.part == seed
        shift = self.design.orders if self.contrast.design == "a-a" else 0
        trainings = []
        for order in range(self.design.orders):
            without = self._draw(self.contrast.without & here, seed, order + shift)
            trainings.append(Training(WITHOUT, seed, order, order + shift, without))
            reads = self._draw(self.contrast.with_rule & here, seed, order)
            trainings.append(Training(WITH, seed, order, order, reads))
        return trainings

    def placebo(self, kind: str, seed: int, number: int) -> list[Training]:
        """Set `number` of a kind: as much of the rule's arm dropped for no reason, each order."""
        kept = self.contrast.with_rule & (self.part == seed)
        target, possible = self._fractions(seed)
        drop = placebo_drop(self.pool, kind, kept, possible, self.design.seed, number)
        # A shift of the mixture grows with the odds of what was dropped.
        scale = _odds(target) / _odds(possible) if possible < target else 1.0
        return [
            Training(
                PLACEBO, seed, order, order, self._draw(kept & ~drop, seed, order), kind, number,
                scale,
            )
            for order in range(self.design.orders)
        ]  # fmt: skip

    def pool_share(self, seed: int) -> float:
        """The budget as a share of the larger arm on this data seed."""
        here = self.part == seed
        arms = (self.contrast.without, self.contrast.with_rule)
        return float(self.budget[seed] / max(*(self.size[arm & here].sum() for arm in arms), 1))

    def _fractions(self, seed: int) -> tuple[float, float]:
        """(what the rule changes, what a placebo drops and still fills the budget)."""
        here = self.part == seed
        pair = (self.contrast.without & here, self.contrast.with_rule & here)
        larger, smaller = sorted(pair, key=lambda arm: -self.pool.lengths[arm].sum())
        alone = only_in(self.pool, larger, smaller)
        target = min(_share(self.pool, alone, larger), 0.95)
        supply = self.size[self.contrast.with_rule & here].sum()
        room = max(1.0 - self.budget[seed] / max(supply, 1), 0.05)
        share = self.design.placebo_share
        return target, min(target if share is None else share, room)

    def _draw(self, mask: np.ndarray, seed: int, order: int) -> Draw:
        return self._reader.draw(mask, order, self.budget[seed])


def _share(pool: Pool, part: np.ndarray, whole: np.ndarray) -> float:
    return float(pool.lengths[part].sum() / max(pool.lengths[whole].sum(), 1))


def _odds(fraction: float) -> float:
    return fraction / (1.0 - fraction)
