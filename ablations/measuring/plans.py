"""Which models a contrast takes: every training, what it reads and the part it plays.

All arms of a data seed read the same number of tokens, and choose their documents by one hash of
the document's id, so that two arms share what they can. The placebos repeat what the rule does
with drops that mean nothing.

The n-gram rung does not see the order of documents: its arms are read in the same few orders, and
differ order by order. A neural rung does: the same documents in another order moved the smallest
by 0.042 bits per byte (one sd), as much as most rules. There every training has an order and an
initialisation of its own, so that the placebos' spread holds that noise once, like the effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from decant.ablations import hashing
from decant.ablations.arms.arms import Contrast, only_in
from decant.ablations.arms.placebo import placebo_drop
from decant.ablations.arms.pool import Draw, Pool, draw
from decant.ablations.measuring.design import Design, find_problem, sizes

WITHOUT, WITH, PLACEBO, CONTROL = "without", "with", "placebo", "control"

READING = 0x4EAD  # the hash stream of reading orders, apart from those that choose documents


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
    """The trainings of the control arm at fractions of the budget, as `fraction_plan` has them."""
    control = control_arm(pool, contrasts, design)
    return fraction_plan(pool, control, design, budget, fractions, orders)


def fraction_plan(
    pool: Pool,
    arm: np.ndarray,
    design: Design,
    budget: np.ndarray,
    fractions: Sequence[float],
    orders: int,
) -> list[Training]:
    """The trainings of one arm at fractions of the budget: fractions × data seeds × orders."""
    part = pool.data_seeds(design.data_seeds, design.seed)
    reader = _Reader(pool, design, orders)
    return [
        Training(
            CONTROL, seed, k, *reader.read(arm & (part == seed), k, fraction * budget[seed]),
            number=number,
        )
        for number, fraction in enumerate(fractions)
        for seed in range(design.data_seeds)
        for k in range(orders)
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
    """What a training on a mask of documents reads, and in which order."""

    def __init__(self, pool: Pool, design: Design, orders: int) -> None:
        self.pool, self.design = pool, design
        self.size = sizes(pool, design)
        # Under own orders one hash chooses the documents of every training: two arms differ in what
        # the rule does, and not in a sample of it.
        choices = 1 if design.own_orders else orders
        self._places = [pool.priority(design.seed * 1000 + order) for order in range(choices)]

    def read(self, mask: np.ndarray, repeat: int, budget: float) -> tuple[int, Draw]:
        """(order, documents) of training `repeat` of an arm."""
        if self.design.match == "epochs":
            budget = self.design.epochs * float(self.size[mask].sum())
        if not self.design.own_orders:
            place = self._places[repeat]
            return repeat, draw(self.pool.lengths, self.size, mask, place, budget)
        order = own_order(mask, repeat, self.design.seed)
        reading = hashing.mix(self.pool.identity, order, READING)
        place = self._places[0]
        return order, draw(self.pool.lengths, self.size, mask, place, budget, reading)


def own_order(mask: np.ndarray, repeat: int, seed: int) -> int:
    """The order of training `repeat` of an arm: 31 bits of a hash of its documents."""
    state = xxhash.xxh3_64(f"{seed} {repeat} ".encode())
    state.update(np.packbits(mask).tobytes())
    return state.intdigest() >> 33


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
        here, counts = self.part == seed, self._counts()
        shift = counts[WITH] if self.contrast.design == "a-a" else 0
        arms = {WITHOUT: self.contrast.without & here, WITH: self.contrast.with_rule & here}
        return [
            Training(role, seed, repeat, *self._read(arms[role], seed, repeat + first))
            for repeat in range(max(counts.values()))
            for role, first in ((WITHOUT, shift), (WITH, 0))
            if repeat < counts[role]
        ]

    def _counts(self) -> dict[str, int]:
        """How often each arm is trained on a data seed."""
        orders = self.design.orders
        return {WITHOUT: orders, WITH: self.design.with_trainings if self._own else orders}

    @property
    def _own(self) -> bool:
        return self.design.own_orders

    def placebo(self, kind: str, seed: int, number: int) -> list[Training]:
        """Set `number` of a kind: as much of the rule's arm dropped for no reason, each order."""
        kept = self.contrast.with_rule & (self.part == seed)
        target, possible = self._fractions(seed)
        drop = placebo_drop(self.pool, kind, kept, possible, self.design.seed, number)
        # A shift of the mixture grows with the odds of what was dropped.
        scale = _odds(target) / _odds(possible) if possible < target else 1.0
        again = 1 if self._own and number < self.design.reruns else 0
        return [
            Training(
                PLACEBO, seed, repeat, *self._read(kept & ~drop, seed, repeat), kind, number, scale
            )
            for repeat in range(self.design.orders + again)
        ]

    def pool_share(self, seed: int) -> float:
        """What a training reads as a share of the larger arm on this data seed.

        In epochs it is the share of each arm itself, whose supply is its budget.
        """
        if self.design.match == "epochs":
            return min(self.design.epochs, 1.0)
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

    def _read(self, mask: np.ndarray, seed: int, repeat: int) -> tuple[int, Draw]:
        return self._reader.read(mask, repeat, self.budget[seed])


def _share(pool: Pool, part: np.ndarray, whole: np.ndarray) -> float:
    return float(pool.lengths[part].sum() / max(pool.lengths[whole].sum(), 1))


def _odds(fraction: float) -> float:
    return fraction / (1.0 - fraction)
