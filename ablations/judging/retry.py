"""HELPS and HURTS measured once more on other terms: a verdict that turns with them is none.

At one fixed learning rate, small changes of it reorder data recipes, and small rates rank data as
larger models do (Wang et al., arXiv 2512.24503): a neural rung is retried at a fraction of its
rate. The n-gram rung has no rate; it is retried under Kneser-Ney smoothing, which counts contexts
where absolute discounting counts occurrences, and is less impressed by repetition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from decant.ablations import statistics
from decant.ablations.judging.errors import overall_error, p_value, retry_error
from decant.ablations.judging.verdict import HELPS, HURTS, INCONCLUSIVE, RuleVerdict
from decant.ablations.measuring.effects import Effect
from decant.ablations.statistics import Spread

# Of what the first terms learn over an untrained model: at a rate that learns less (1e-5 for 0.4
# million parameters learns nothing) data makes no difference, and the retry would say so of all.
LEAST_GAIN = 0.5


@dataclass(frozen=True)
class Retry:
    """An effect on other terms. An error without degrees of freedom is one that is not known."""

    terms: str  # in words, as "at 0.1 of the rate"
    effect: float  # NaN where nothing was measured
    error: Spread
    difference: Spread  # the error of the first effect minus this one
    gain: float = 1.0  # learnt over the start, as a share of what the first terms learn


def retried(terms: str, first: Effect, again: Effect, gain: float = 1.0) -> Retry:
    """The retry of one contrast, of two effects on the same signals."""
    if again.problem or not again.values.size:
        return Retry(terms, float("nan"), Spread(0.0, 0.0), Spread(0.0, 0.0), gain)
    effect = float(again.mean.mean())
    if first.repeats is None:
        null = {kind: first.null[kind] - again.null[kind] for kind in first.null}
        apart = replace(first, values=first.values - again.values, null=null)
        return Retry(terms, effect, overall_error(again), overall_error(apart), gain)
    one, other = retry_error(first), retry_error(again)
    difference = statistics.total(one, other) if one.df and other.df else Spread(0.0, 0.0)
    return Retry(terms, effect, other, difference, gain)


def confirm(verdict: RuleVerdict, retry: Retry, alpha: float) -> RuleVerdict:
    """The verdict with what its retry says, or INCONCLUSIVE with the reason.

    It falls where the retry's interval lies on the other side of nothing, or reaches nothing and
    differs significantly from the first. An effect that is smaller, but as surely of the same sign,
    stands. Only HELPS and HURTS are retried.
    """
    if verdict.overall is None or verdict.label not in (HELPS, HURTS):
        return verdict
    effect = verdict.overall.effect
    if np.isnan(retry.effect):
        return _taken_back(verdict, f"{retry.terms} nothing was measured")
    if retry.gain < LEAST_GAIN:
        note = (
            f"not retried {retry.terms}: the model learns {retry.gain:.0%} there of what it learns "
            f"here, and under {LEAST_GAIN:.0%} says nothing"
        )
        return replace(verdict, caveats=(*verdict.caveats, note))
    shown = f"{effect:+.4f}, and {retry.effect:+.4f} {retry.terms}"
    sign = np.sign(effect)
    if not retry.error.df:
        if np.sign(retry.effect) == sign:
            return _noted(verdict, shown)
        return _taken_back(verdict, f"the sign changes: {shown}")
    low, high = statistics.interval(retry.effect, retry.error, 1.0 - alpha)
    shown += f" ({low:+.4f} … {high:+.4f})"
    nearest, furthest = (low, high) if sign > 0 else (-high, -low)
    if furthest < 0:
        return _taken_back(verdict, f"the sign changes: {shown}")
    apart = p_value(effect - retry.effect, retry.difference) < alpha
    if nearest <= 0 and retry.difference.df and apart:
        return _taken_back(verdict, f"the effect is gone on other terms: {shown}")
    return _noted(verdict, shown)


def _noted(verdict: RuleVerdict, shown: str) -> RuleVerdict:
    return replace(verdict, caveats=(*verdict.caveats, f"effect {shown}"))


def _taken_back(verdict: RuleVerdict, note: str) -> RuleVerdict:
    assert verdict.overall is not None
    overall = replace(verdict.overall, verdict=INCONCLUSIVE)
    return replace(verdict, overall=overall, caveats=(*verdict.caveats, note))
