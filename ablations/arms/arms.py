"""Arms as views over a finished run: masks made from stored verdicts and measures.

A run that measured every rule on every document holds every corpus that could be made from its
rules. A `Contrast` is a pair of such corpora that differ by one thing.

Each arm is deduplicated among its survivors, from the signatures of the run. Which document of a
cluster stays depends on who else is there: a rule that drops the first copy leaves the second. So
each arm closes its own clusters, over the band keys that the pool shares, with the pipeline's own
kernels: transitive closure, the smallest row key survives.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from decant.ablations.arms.placebo import placebo_drop
from decant.ablations.arms.pool import Pool
from decant.ablations.config import ArmsConfig, SweepConfig
from decant.filters.rule import Bounds, at_least, at_most
from decant.pipeline.dedup.closure import flatten, unite


def without_duplicates(pool: Pool, mask: np.ndarray) -> np.ndarray:
    """The documents of `mask` that survive deduplication among themselves, bool [n]."""
    rows = np.flatnonzero(mask & pool.may_repeat)
    parent = np.arange(len(rows), dtype=np.int64)
    for band in range(pool.bands.shape[1]):
        keys = pool.bands[rows, band]
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        unite(parent, order[same], order[same + 1])
    flatten(parent, 0, len(parent))
    survivors = mask.copy()
    survivors[rows[parent != np.arange(len(rows))]] = False
    return survivors


@dataclass(frozen=True)
class Contrast:
    """Two arms that differ by what is judged: masks over the pool, bool [n].

    `judged` is false for diagnostics (A/A, removed-only), which get effects but no verdict.
    """

    name: str
    design: str
    without: np.ndarray
    with_rule: np.ndarray
    judged: bool = True


def only_in(pool: Pool, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The documents of `one` that `other` has not, bool [n].

    Two runs of one crawl stand end to end in a pool: what both keep is told by the document's id.
    """
    left = one & ~other
    left[left] = ~np.isin(pool.identity[left], pool.identity[other])
    return left


DEDUP = "dedup"
PLACEBO_FRACTION = 0.2


class ArmsError(Exception):
    """The configured arms do not fit the run's recipe; lists what would."""


@dataclass(frozen=True)
class RecipeSteps:
    """The recipe cut into judged steps, in recipe order: name, the rules in it; dedup last."""

    names: tuple[str, ...]
    rules: Mapping[str, tuple[str, ...]]

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name != DEDUP)


def recipe_steps(rules: Sequence[str], config: ArmsConfig) -> RecipeSteps:
    """The steps that the study judges; rules in no group are part of every arm's base."""
    patterns_of = config.groups if config.groups is not None else {r: (r,) for r in rules}
    groups = {name: _expand(name, patterns, rules) for name, patterns in patterns_of.items()}
    place = {rule: k for k, rule in enumerate(rules)}
    ordered = sorted(groups, key=lambda g: min(place[m] for m in groups[g]))
    names = (*ordered, DEDUP) if config.dedup else tuple(ordered)
    return RecipeSteps(names, groups)


def _expand(group: str, patterns: Sequence[str], rules: Sequence[str]) -> tuple[str, ...]:
    """The rules that the patterns name (`gopher_top_*`), in recipe order; each must name some."""
    for pattern in patterns:
        if not fnmatch.filter(rules, pattern):
            raise ArmsError(
                f"arms.groups.{group}: {pattern!r} names no rule of this run; it has: {list(rules)}"
            )
    members = tuple(r for r in rules if any(fnmatch.fnmatchcase(r, p) for p in patterns))
    if not members or group == DEDUP:
        raise ArmsError(f"arms.groups.{group}: a group needs rules, and another name than {DEDUP}")
    return members


class Arms:
    """Makes masks: which documents pass which steps, deduplicated where dedup is one of them."""

    def __init__(self, pool: Pool, steps: RecipeSteps) -> None:
        self.pool, self.steps = pool, steps
        column = {rule: k for k, rule in enumerate(pool.rules)}
        self._fails = {
            step: pool.failed[:, [column[r] for r in steps.rules[step]]].any(axis=1)
            for step in steps.filters
        }
        judged = {r for members in steps.rules.values() for r in members}
        outside = [column[r] for r in pool.rules if r not in judged]
        self._base = ~pool.failed[:, outside].any(axis=1)

    def keep(self, steps: Sequence[str], extra: np.ndarray | None = None) -> np.ndarray:
        """The documents that pass these steps (and `extra`), bool [n]."""
        fails = [self._fails[step] for step in steps if step != DEDUP]
        mask = np.logical_and.reduce([self._base, *(~f for f in fails)])
        if extra is not None:
            mask = np.logical_and(mask, extra)
        return without_duplicates(self.pool, mask) if DEDUP in steps else mask

    def without(self, step: str) -> np.ndarray:
        """The whole recipe but one step."""
        return self.keep([s for s in self.steps.names if s != step])


def contrasts(pool: Pool, config: ArmsConfig, other: np.ndarray | None = None) -> list[Contrast]:
    """Every contrast of the configured designs; `other` is the mask of the run compared with."""
    steps = recipe_steps(pool.rules, config)
    arms = Arms(pool, steps)
    by_design = {
        "leave-one-out": _leave_one_out,
        "add-one-in": _add_one_in,
        "cumulative": _cumulative,
        "removed-only": _removed_only,
        "a-a": _same_twice,
        "placebo": _placebos,
    }
    if other is not None and config.designs != ("recipe-vs-recipe",):
        raise ArmsError("a study against another run compares the two recipes and nothing else")
    chosen: list[Contrast] = []
    for design in config.designs:
        if design in by_design:
            chosen += by_design[design](arms)
        elif design == "threshold-sweep":
            chosen += _sweeps(arms, config.sweeps)
        elif other is None:
            raise ArmsError("arms.against names no run to compare with")
        else:
            mine = arms.keep(steps.names)
            chosen.append(Contrast("this recipe", design, without=other, with_rule=mine))
    return chosen


def _leave_one_out(arms: Arms) -> list[Contrast]:
    """All rules against all but one: what the rule adds where the others already are."""
    full = arms.keep(arms.steps.names)
    return [Contrast(s, "leave-one-out", arms.without(s), full) for s in arms.steps.names]


def _add_one_in(arms: Arms) -> list[Contrast]:
    """One rule against none: what the rule does alone."""
    base = arms.keep([])
    return [Contrast(s, "add-one-in", base, arms.keep([s])) for s in arms.steps.names]


def _cumulative(arms: Arms) -> list[Contrast]:
    """Each step of the recipe on top of those before it, in the recipe's order."""
    names = arms.steps.names
    masks = [arms.keep(names[:k]) for k in range(len(names) + 1)]
    return [
        Contrast(f"+ {name}", "cumulative", masks[k], masks[k + 1]) for k, name in enumerate(names)
    ]


def _removed_only(arms: Arms) -> list[Contrast]:
    """What a rule removes against what the whole recipe keeps: is the removed text worse?"""
    full = arms.keep(arms.steps.names)
    return [
        Contrast(s, "removed-only", arms.without(s) & ~full, full, judged=False)
        for s in arms.steps.names
    ]


def _same_twice(arms: Arms) -> list[Contrast]:
    """The same documents in both arms: the difference must be zero, and the noise shows."""
    full = arms.keep(arms.steps.names)
    return [Contrast("same documents", "a-a", full, full, judged=False)]


def _placebos(arms: Arms) -> list[Contrast]:
    """A fifth of the tokens dropped for nothing, judged as if it were a rule."""
    full = arms.keep(arms.steps.names)
    return [
        Contrast(f"random {kind}", "placebo", full, full & ~drop)
        for kind in ("tokens", "domains")
        # Numbered far beyond the draws that make the null.
        for drop in [placebo_drop(arms.pool, kind, full, PLACEBO_FRACTION, 0, 10**6)]
    ]


def _sweeps(arms: Arms, sweeps: Sequence[SweepConfig]) -> list[Contrast]:
    """The recipe with one rule's bound moved, against the recipe without that rule's step."""
    found = []
    column = {rule: k for k, rule in enumerate(arms.pool.rules)}
    for sweep in sweeps:
        if sweep.rule not in column:
            raise ArmsError(f"arms.sweeps: no rule {sweep.rule!r}; it has: {sorted(column)}")
        values = arms.pool.measures[:, column[sweep.rule]]
        owner = [s for s in arms.steps.filters if sweep.rule in arms.steps.rules[s]]
        others = [s for s in arms.steps.names if s not in owner]
        beside = [column[r] for s in owner for r in arms.steps.rules[s] if r != sweep.rule]
        passed = np.logical_not(arms.pool.failed[:, beside].any(axis=1))
        without = arms.keep(others, passed)
        for name, bounds in _bounds(sweep):
            kept = arms.keep(others, np.logical_and(passed, bounds.keeps_array(values)))
            found.append(Contrast(f"{sweep.rule} {name}", "threshold-sweep", without, kept))
    return found


def _bounds(sweep: SweepConfig) -> list[tuple[str, Bounds]]:
    lower = [(f"at_least {x:g}", at_least(x)) for x in sweep.at_least]
    return lower + [(f"at_most {x:g}", at_most(x)) for x in sweep.at_most]
