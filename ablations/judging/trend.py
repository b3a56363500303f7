"""Whether a rule's effect rises or falls as its bound gets stricter: one test per sweep.

A trend is a contrast of effects: the slope of the effect on the rank of the bound, from loosest to
strictest. Its null is the same slope over the placebos: draw k drops the first documents of one
and the same order at every bound, more of them where the bound is stricter, so the k-th placebos of
a sweep are a sweep of their own that means nothing. Taste and genre enter as they do in a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from decant.ablations import statistics
from decant.ablations.judging.errors import overall_error, p_value
from decant.ablations.judging.verdict import Settings
from decant.ablations.measuring.effects import Effect

RISES, FALLS, UNCLEAR = "RISES", "FALLS", "UNCLEAR"
DESIGN = "threshold-sweep"
LEAST_BOUNDS = 3  # two bounds always lie on a line


@dataclass(frozen=True)
class Trend:
    """One sweep's slope in bits per byte per step of the bound, loosest to strictest."""

    sweep: str  # the rule and the side of its bound, as `rule at_most`
    bounds: tuple[float, ...]  # loosest first
    effects: tuple[float, ...]
    slope: float
    low: float
    high: float
    p: float
    q: float  # adjusted over the study's sweeps
    tau: float  # Kendall's, of effect against strictness: 1 where every step rises
    trend: str
    problem: str | None = None


def trends(effects: Sequence[Effect], settings: Settings) -> list[Trend]:
    """The trend of each sweep among the effects, in the order they first appear."""
    sweeps: dict[str, list[tuple[float, Effect]]] = {}
    for effect in effects:
        if effect.design == DESIGN:
            sweep, bound = effect.name.rsplit(" ", 1)
            sweeps.setdefault(sweep, []).append((float(bound), effect))
    found = [_trend(sweep, points, settings) for sweep, points in sweeps.items()]
    tested = [k for k, one in enumerate(found) if one.problem is None]
    adjusted = statistics.holm(np.array([found[k].p for k in tested]))
    for k, q in zip(tested, adjusted, strict=True):
        label = UNCLEAR if q >= settings.alpha else RISES if found[k].slope > 0 else FALLS
        found[k] = replace(found[k], q=float(q), trend=label)
    return found


def _trend(sweep: str, points: list[tuple[float, Effect]], settings: Settings) -> Trend:
    """One sweep's slope with its interval, not yet adjusted for other sweeps."""
    measured = sorted(
        ((bound, effect) for bound, effect in points if not effect.problem),
        key=lambda point: point[0],
        reverse=sweep.endswith("at_most"),
    )
    bounds = tuple(bound for bound, _ in measured)
    values = np.array([float(effect.mean.mean()) for _, effect in measured])
    shown = (sweep, bounds, tuple(values.tolist()))
    if len(measured) < LEAST_BOUNDS:
        nan = float("nan")
        problem = f"{len(measured)} measured bounds: a trend needs {LEAST_BOUNDS}"
        return Trend(*shown, nan, nan, nan, nan, nan, nan, UNCLEAR, problem)
    slope = _slope([effect for _, effect in measured])
    error = overall_error(slope)
    centre = float(slope.mean.mean())
    low, high = statistics.interval(centre, error, 1.0 - settings.alpha)
    p = p_value(centre, error)
    tau = statistics.kendall_tau(np.arange(len(values)), values)
    return Trend(*shown, centre, low, high, p, p, tau, UNCLEAR)


def _slope(effects: Sequence[Effect]) -> Effect:
    """The least-squares slope over bounds, seed by seed, signal by signal, draw by draw."""
    rank = np.arange(len(effects)) - (len(effects) - 1) / 2
    weight = rank / np.sum(rank**2)
    values = np.tensordot(weight, np.stack([e.values for e in effects]), 1)
    null = {
        kind: np.tensordot(weight, np.stack([e.null[kind] for e in effects]), 1)
        for kind in effects[0].null
    }
    repeats = effects[0].repeats and replace(effects[0].repeats, groups=())
    return replace(effects[0], values=values, null=null, repeats=repeats)
