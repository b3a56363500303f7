"""From a rung's measurements to its verdicts: unhealthy signals out, learning rates agreeing.

At one fixed rate, small changes of it reorder data recipes (Wang et al., arXiv 2512.24503). The
first rate gives the verdict; HELPS and HURTS stand only where the effect has the same sign at
every rate. Rules without one of the two are not trained at the other rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from decant.ablations.judging.trend import Trend, trends
from decant.ablations.judging.verdict import (
    HELPS,
    HURTS,
    INCONCLUSIVE,
    RuleVerdict,
    Settings,
    judge,
)
from decant.ablations.measuring.effects import Effect, Measured


def agree(verdict: RuleVerdict, first: float, others: Mapping[float, float]) -> RuleVerdict:
    """The verdict of rate `first`, or INCONCLUSIVE where an effect of `others` (by rate) differs.

    An effect of exactly zero agrees with nothing.
    """
    if verdict.overall is None or verdict.label not in (HELPS, HURTS):
        return verdict
    sign = np.sign(verdict.overall.effect)
    if all(np.sign(effect) == sign for effect in others.values()):
        return verdict
    every = {first: verdict.overall.effect, **others}
    shown = ", ".join(f"{every[rate]:+.4f} at {rate:g}" for rate in sorted(every, reverse=True))
    note = f"the sign changes with the learning rate: {shown}"
    overall = replace(verdict.overall, verdict=INCONCLUSIVE)
    return replace(verdict, overall=overall, caveats=(*verdict.caveats, note))


def lines(rates: Sequence[float], control: Sequence[float]) -> list[str]:
    """What to say of the rates: bits per byte of the control arm at each, and where the best lies.

    `rates` are times the rung's own; the first gives the verdict.
    """
    if len(rates) < 2:
        return []
    shown = ", ".join(f"{bpb:.4f} at {rate:g}" for rate, bpb in zip(rates, control, strict=True))
    found = [
        f"Learning rates, times the rung's own, and the bits per byte that the control arm "
        f"reaches: {shown}. The verdicts are of rate {rates[0]:g}; where it says HELPS or HURTS, "
        "all rates must agree in sign."
    ]
    best = rates[int(np.argmin(control))]
    if best != rates[0]:
        found.append(f"The control arm is better at {best:g} than at the rate of the verdicts.")
    if len(rates) > 2 and best in (min(rates), max(rates)):
        end = "lowest" if best == min(rates) else "highest"
        found.append(
            f"The best rate is the {end} that was tried: a better one may lie beyond it. Widen "
            "neural.learning_rates."
        )
    return found


# A signal must fall by this many times its own noise when the data grows fourfold.
LEAST_SIGNAL_TO_NOISE = 3.0

NGRAM_SAYS = (
    "surface-statistics verdict: it sees which words follow which, not facts or long-range order, "
    "rewards diversity and likeness to the references, and cannot tell quality from genre"
)


@dataclass(frozen=True)
class Health:
    """Whether a signal says anything about data at this scale."""

    signal: str
    small: float  # bits per byte at a quarter of the budget
    full: float  # and at all of it
    noise: float  # sd between document orders; NaN where only one was run
    healthy: bool
    reason: str


@dataclass(frozen=True)
class RungOutcome:
    """One rung's verdicts with what they rest on."""

    rung: str
    says: str
    health: list[Health]
    verdicts: list[RuleVerdict]
    tasks: list[dict[str, Any]]
    rates: tuple[float, ...]  # the one of the verdicts first
    control: tuple[float, ...]  # mean bits per byte of the control arm at each rate
    trends: list[Trend]  # of threshold sweeps


def health(names: Sequence[str], values: np.ndarray) -> list[Health]:
    """The health of each signal; values: [fractions, seeds, orders, signals], fractions rising."""
    means = values.mean(axis=(1, 2))
    orders = values.shape[2]
    found = []
    for j, name in enumerate(names):
        series = means[:, j]
        # Orders share their documents' domains: their spread is the noise of drawing documents.
        spread = values[-1, :, :, j].var(axis=1, ddof=1).mean() if orders > 1 else np.nan
        noise = float(np.sqrt(spread))
        gain = float(series[0] - series[-1])
        falls = bool(np.all(np.diff(series) < 0))
        clear = not gain <= LEAST_SIGNAL_TO_NOISE * noise  # one order alone: nothing is known
        reason = "" if falls and clear else ("does not fall with data" if not falls else "noisy")
        found.append(
            Health(name, float(series[0]), float(series[-1]), noise, falls and clear, reason)
        )
    return found


def conclude(
    signals: Sequence[str], settings: Settings, measured: Sequence[Measured], says: str
) -> RungOutcome:
    """The verdicts of one rung from its measurements at one or more learning rates.

    All contrasts are measured at the first rate; at the others those that `to_confirm` names.
    """
    first = measured[0]
    states, kept = _healthy(signals, first)
    effects = _readable(first, kept)
    verdicts = []
    for k, verdict in enumerate(judge(effects, _names(signals, kept), settings)):
        others = {m.rate: _mean(m.effects[k], kept) for m in measured[1:] if k in m.effects}
        verdicts.append(agree(verdict, first.rate, others))
    control = [float(m.health[-1][..., kept or slice(None)].mean()) for m in measured]
    return RungOutcome(
        first.rung, says, states, verdicts, list(first.tasks.values()),
        tuple(m.rate for m in measured), tuple(control), trends(effects, settings),
    )  # fmt: skip


def to_confirm(signals: Sequence[str], settings: Settings, first: Measured) -> list[int]:
    """The numbers of the contrasts that HELP or HURT at the first rate: others need no second."""
    _, kept = _healthy(signals, first)
    judged = judge(_readable(first, kept), _names(signals, kept), settings)
    return [k for k, verdict in enumerate(judged) if verdict.label in (HELPS, HURTS)]


def _healthy(signals: Sequence[str], first: Measured) -> tuple[list[Health], list[int]]:
    """(the health of every signal, the numbers of those that are healthy)."""
    states = health(signals, first.health)
    return states, [j for j, state in enumerate(states) if state.healthy]


def _names(signals: Sequence[str], kept: list[int]) -> list[str]:
    return [signals[j] for j in kept]


def _readable(measured: Measured, kept: list[int]) -> list[Effect]:
    """The effects of all contrasts on healthy signals, or why they say nothing."""
    return [_short(_only(effect, kept), measured.rung) for effect in measured.effects.values()]


def _mean(effect: Effect, kept: list[int]) -> float:
    """The mean effect on healthy signals; NaN where nothing was measured."""
    values = _only(effect, kept).values
    return float(values.mean()) if values.size else float("nan")


def _only(effect: Effect, kept: list[int]) -> Effect:
    """The effect on healthy signals only; none left is a problem of its own."""
    if effect.problem:
        return effect
    if not kept:
        return replace(effect, problem="no signal falls with data at this budget: nothing to read")
    null = {kind: values[:, :, kept] for kind, values in effect.null.items()}
    return replace(effect, values=effect.values[:, kept], null=null)


def _short(effect: Effect, rung: str) -> Effect:
    """The effect, or why runs this short cannot carry a verdict on a neural rung."""
    if effect.problem or rung == "ngram":
        return effect
    from decant.ablations.rungs.ladder import rung as named

    steps, least = named(rung).steps(effect.run_tokens), named(rung).min_steps
    if not least:
        return replace(effect, problem=f"rung {rung} gives no verdicts ({named(rung).says})")
    if steps < least:
        problem = f"{steps} optimiser steps a run: under {least} training noise hides any effect"
        return replace(effect, problem=problem)
    return effect
