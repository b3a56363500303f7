"""From a rung's measurements to its verdicts: unhealthy signals out, learning rates agreeing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from decant.ablations import rates
from decant.ablations.effects import Effect
from decant.ablations.study import Measured, Study
from decant.ablations.trend import Trend, trends
from decant.ablations.verdict import HELPS, HURTS, Settings, Verdict, judge

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
class Outcome:
    """One rung's verdicts with what they rest on."""

    rung: str
    says: str
    health: list[Health]
    verdicts: list[Verdict]
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


def conclude(study: Study, measured: Sequence[Measured], says: str) -> Outcome:
    """The verdicts of one rung from its measurements at one or more learning rates.

    All contrasts are measured at the first rate; at the others those that `to_confirm` names.
    """
    first = measured[0]
    states, kept = _healthy(study, first)
    effects, settings = _readable(first, kept), _settings(study)
    verdicts = []
    for k, verdict in enumerate(judge(effects, _names(study, kept), settings)):
        others = {m.rate: _mean(m.effects[k], kept) for m in measured[1:] if k in m.effects}
        verdicts.append(rates.agree(verdict, first.rate, others))
    control = [float(m.health[-1][..., kept or slice(None)].mean()) for m in measured]
    return Outcome(
        first.rung, says, states, verdicts, list(first.tasks.values()),
        tuple(m.rate for m in measured), tuple(control), trends(effects, settings),
    )  # fmt: skip


def to_confirm(study: Study, first: Measured) -> list[int]:
    """The numbers of the contrasts that HELP or HURT at the first rate: others need no second."""
    _, kept = _healthy(study, first)
    judged = judge(_readable(first, kept), _names(study, kept), _settings(study))
    return [k for k, verdict in enumerate(judged) if verdict.label in (HELPS, HURTS)]


def _healthy(study: Study, first: Measured) -> tuple[list[Health], list[int]]:
    """(the health of every signal, the numbers of those that are healthy)."""
    states = health(study.signals, first.health)
    return states, [j for j, state in enumerate(states) if state.healthy]


def _names(study: Study, kept: list[int]) -> list[str]:
    return [study.signals[j] for j in kept]


def _settings(study: Study) -> Settings:
    config = study.config.verdict
    return Settings(config.alpha, config.margin_bpb, config.correction, config.power)


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
    from decant.ablations.rungs import rung as named

    steps, least = named(rung).steps(effect.run_tokens), named(rung).min_steps
    if not least:
        return replace(effect, problem=f"rung {rung} gives no verdicts ({named(rung).says})")
    if steps < least:
        problem = f"{steps} optimiser steps a run: under {least} training noise hides any effect"
        return replace(effect, problem=problem)
    return effect
