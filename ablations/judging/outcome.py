"""From a rung's measurements to its verdicts: unhealthy signals out, retries heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from decant.ablations.judging.retry import confirm, retried
from decant.ablations.judging.trend import Trend, trends
from decant.ablations.judging.verdict import HELPS, HURTS, RuleVerdict, Settings, judge
from decant.ablations.measuring.effects import Effect, Measured
from decant.ablations.rungs.ladder import RUNGS


def lines(rates: Sequence[float], control: Sequence[float]) -> list[str]:
    """What to say of the rates: bits per byte of the control arm at each, and where the best lies.

    `rates` are times the rung's own; the first gives the verdict.
    """
    if len(rates) < 2:
        return []
    shown = ", ".join(f"{bpb:.4f} at {rate:g}" for rate, bpb in zip(rates, control, strict=True))
    said = [
        f"Learning rates, times the rung's own, and the bits per byte that the control arm "
        f"reaches: {shown}. The verdicts are of rate {rates[0]:g}; HELPS and HURTS are retried at "
        "the others."
    ]
    best = rates[int(np.argmin(control))]
    if best != rates[0]:
        said.append(f"The control arm is better at {best:g} than at the rate of the verdicts.")
    if len(rates) > 2 and best in (min(rates), max(rates)):
        end = "lowest" if best == min(rates) else "highest"
        said.append(
            f"The best rate is the {end} that was tried: a better one may lie beyond it. Widen "
            "neural.learning_rates."
        )
    return said


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
    tasks: list[dict[str, Any]]  # as `arm_scores.task_scores`, a rule each
    curves: list[dict[str, Any]]  # as `arm_scores.curves`, a rule each
    rates: tuple[float, ...]  # the one of the verdicts first
    control: tuple[float, ...]  # mean bits per byte of the control arm at each rate
    trends: list[Trend]  # of threshold sweeps
    setup: str = ""  # how it was measured, where a study's design does not say it


def health(names: Sequence[str], values: np.ndarray) -> list[Health]:
    """The health of each signal; values: [fractions, seeds, orders, signals], fractions rising.

    Trainings that diverged are NaN, and left out of the means; so is a fraction that none is left
    of, unless it is the whole.
    """
    orders = values.shape[2]
    states = []
    for j, name in enumerate(names):
        at = values[..., j]
        lost = np.asarray(np.isnan(at).all(axis=(1, 2)))
        at = at[~lost]
        if lost[-1] or len(at) < min(2, len(lost)):
            nan = float("nan")
            states.append(Health(name, nan, nan, nan, False, "is no number"))
            continue
        series = np.nanmean(at, axis=(1, 2))
        # Orders share their documents' domains: their spread is the noise of drawing documents.
        spread = np.nanmean(at[-1].var(axis=1, ddof=1)) if orders > 1 else np.nan
        noise = float(np.sqrt(spread))
        gain = float(series[0] - series[-1])
        falls = bool(np.all(np.diff(series) < 0))
        clear = not gain <= LEAST_SIGNAL_TO_NOISE * noise  # one order alone: nothing is known
        reason = "" if falls and clear else ("does not fall with data" if not falls else "noisy")
        states.append(
            Health(name, float(series[0]), float(series[-1]), noise, falls and clear, reason)
        )
    return states


def conclude(
    signals: Sequence[str], settings: Settings, measured: Sequence[Measured], says: str
) -> RungOutcome:
    """The verdicts of one rung from its measurements on one or more terms, the verdicts' first.

    All contrasts are measured on the first terms; on the others those that `to_confirm` names.
    """
    first = measured[0]
    states, kept = _healthy(signals, first)
    effects = _readable(first, kept)
    verdicts = []
    judged = judge(effects, _names(signals, kept), settings)
    for k, effect, verdict in zip(first.effects, effects, judged, strict=True):
        for again in measured[1:]:
            if k in again.effects:
                retry = retried(
                    _terms(again, first), effect, _only(again.effects[k], kept),
                    _gain(first, again, kept),
                )  # fmt: skip
                verdict = confirm(verdict, retry, settings.alpha)
        verdicts.append(verdict)
    rates = [m for m in measured if m.smoothing == first.smoothing]
    return RungOutcome(
        first.rung, says, states, verdicts, list(first.tasks.values()),
        list(first.curves.values()),
        tuple(m.rate for m in rates), tuple(_control(m, kept) for m in rates),
        trends(effects, settings),
    )  # fmt: skip


def _terms(again: Measured, first: Measured) -> str:
    if again.smoothing != first.smoothing:
        return f"under {again.smoothing} smoothing"
    return f"at {again.rate / first.rate:.2g} of the rate"


def _control(measured: Measured, kept: list[int]) -> float:
    """Mean bits per byte of the control arm at the full budget."""
    values = measured.health[-1][..., kept or slice(None)]
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _gain(first: Measured, again: Measured, kept: list[int]) -> float:
    """What the control arm learns over an untrained model, as a share of what it learns first."""
    if first.start is None or again.start is None:
        return 1.0
    start = float(first.start[kept or slice(None)].mean())
    return (start - _control(again, kept)) / (start - _control(first, kept))


def to_confirm(signals: Sequence[str], settings: Settings, first: Measured) -> list[int]:
    """The numbers of the contrasts that HELP or HURT at the first rate: others need no second."""
    _, kept = _healthy(signals, first)
    judged = judge(_readable(first, kept), _names(signals, kept), settings)
    return [k for k, verdict in enumerate(judged) if verdict.label in (HELPS, HURTS)]


def _healthy(signals: Sequence[str], first: Measured) -> tuple[list[Health], list[int]]:
    """(the health of every signal, the numbers of those that are healthy)."""
    states = health(signals, first.health)
    for j in _broken(first):
        states[j] = replace(states[j], healthy=False, reason="is no number in some training")
    return states, [j for j, state in enumerate(states) if state.healthy]


def _broken(first: Measured) -> list[int]:
    """The signals that some training's score has no number for."""
    broken: set[int] = set()
    for effect in first.effects.values():
        if effect.values.size:
            tables = [effect.values, *effect.null.values()]
            tables += effect.repeats.groups if effect.repeats else ()
            for table in tables:
                lost = np.isnan(table).any(axis=tuple(range(table.ndim - 1)))
                broken.update(np.flatnonzero(lost).tolist())
    return sorted(broken)


def _names(signals: Sequence[str], kept: list[int]) -> list[str]:
    return [signals[j] for j in kept]


def _readable(measured: Measured, kept: list[int]) -> list[Effect]:
    """The effects of all contrasts on healthy signals, or why they say nothing."""
    return [_short(_only(effect, kept), measured.rung) for effect in measured.effects.values()]


def _only(effect: Effect, kept: list[int]) -> Effect:
    """The effect on healthy signals only; none left is a problem of its own."""
    if effect.problem:
        return effect
    if not kept:
        return replace(effect, problem="no signal falls with data at this budget: nothing to read")
    null = {kind: values[:, :, kept] for kind, values in effect.null.items()}
    repeats = effect.repeats
    if repeats:
        repeats = replace(repeats, groups=tuple(group[:, :, kept] for group in repeats.groups))
    return replace(effect, values=effect.values[:, kept], null=null, repeats=repeats)


def _short(effect: Effect, name: str) -> Effect:
    """The effect, or why trainings this short cannot carry a verdict on a rung of the ladder."""
    ladder = {rung.name: rung for rung in RUNGS}
    if effect.problem or name not in ladder:
        return effect
    rung = ladder[name]
    steps = rung.steps(effect.run_tokens)
    if not rung.min_steps:
        return replace(effect, problem=f"rung {name} gives no verdicts ({rung.says})")
    if steps < rung.min_steps:
        problem = f"{steps} optimiser steps a training: under {rung.min_steps} noise hides effects"
        return replace(effect, problem=problem)
    return effect
