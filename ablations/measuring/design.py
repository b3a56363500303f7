"""How much is spent on a contrast, and why some contrasts cannot be measured at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.placebo import KINDS
from decant.ablations.arms.pool import Pool

SMALLEST_SHARE = 0.05  # of the larger arm, for an arm that decides the budget of all


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
    budget: int | None = None  # a training's, in the unit of `match`; None: what the least arm has
    epochs: float = 1.0  # of each arm's supply, for match: epochs
    # Every training reads in an order of its own: for rungs whose score depends on the order. Else
    # all arms are read in the same orders, and their differences are taken order by order.
    own_orders: bool = False
    with_trainings: int = 1  # of the arm with the rule on each data seed, under own_orders
    reruns: int = 0  # placebo sets of each kind that are trained twice, under own_orders


def budgets(pool: Pool, contrasts: list[Contrast], design: Design) -> np.ndarray:
    """The budget of a training on each data seed, float64 [seeds], in the unit of `design.match`.

    The smallest arm decides, less a fifth that the placebos need to drop from; never over half of
    a data seed's larger arm, so that two trainings can differ in more than a few documents.
    Diagnostics and arms under a twentieth of their partner do not decide: they are read several
    times over.
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
