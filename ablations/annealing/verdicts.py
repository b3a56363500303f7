"""Verdicts of the annealing rung: slopes scaled to each rule's share, adjusted over the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from decant.ablations import statistics
from decant.ablations.annealing.design import KEPT, REMOVED, RUNG, SAYS, BranchLayout
from decant.ablations.annealing.effect import BranchScores, Slope, run_variance, slope, slopes
from decant.ablations.judging.errors import p_value
from decant.ablations.judging.outcome import LEAST_SIGNAL_TO_NOISE, Health, RungOutcome
from decant.ablations.judging.verdict import (
    HELPS,
    HURTS,
    INCONCLUSIVE,
    NEUTRAL,
    Judged,
    RuleVerdict,
    Settings,
)
from decant.ablations.measuring.effects import Effect, Measured
from decant.ablations.statistics import Spread

Found = Mapping[int, tuple[BranchScores, dict[str, Any]]]


def conclude(
    layout: BranchLayout,
    signals: Sequence[str],
    settings: Settings,
    trunks: np.ndarray,
    found: Found,
) -> tuple[RungOutcome, Measured]:
    """The rung's verdicts on all contrasts, and its measurements for the figures.

    trunks: signals at each quarter of the trunks' tokens, [4, trunks, 1, signals].
    """
    states = health(signals, trunks, found)
    kept = [j for j, state in enumerate(states) if state.healthy]
    slopes_of = {k: slope(scores.on(kept)) for k, (scores, _) in found.items()} if kept else {}
    q = _adjusted(layout, found, slopes_of, kept, settings)
    verdicts, tasks = [], []
    for k in layout.judged:
        problem = layout.problem(k) or (None if kept else "no signal falls as the trunk reads on")
        effect = _effect(layout, k, found, kept, problem)
        one = slopes_of.get(k)
        if one is None:
            verdicts.append(RuleVerdict(effect, None, {}, (problem or "",)))
        else:
            names = [signals[j] for j in kept]
            scores = found[k][0].on(kept)
            verdicts.append(_judge(effect, scores, names, one, q[k], settings, layout.share(k)))
        tasks.append(found[k][1] if k in found else {})
    # At a quarter, a half and all of the trunk's tokens, as the other rungs' control arm.
    measured = Measured(
        RUNG, 1.0, {k: v.effect for k, v in enumerate(verdicts)}, trunks[[0, 1, 3]],
        dict(enumerate(tasks)),
    )  # fmt: skip
    placebos = [scores.on(kept).placebo.mean() for scores, _ in found.values() if kept]
    outcome = RungOutcome(
        rung=RUNG, says=SAYS, health=states, verdicts=verdicts, tasks=tasks,
        curves=[{} for _ in verdicts], rates=(1.0,),
        control=(float(np.mean(placebos)) if placebos else float("nan"),), trends=[],
        setup=setup(layout),
    )  # fmt: skip
    return outcome, measured


def setup(layout: BranchLayout) -> str:
    """How the rung was measured, for the report."""
    design = layout.design
    doses = ", ".join(f"{dose:g}" for dose in design.doses)
    removed, kept = (design.trunks * design.sets_of(arm) for arm in (REMOVED, KEPT))
    return (
        f"{design.trunks} trunks of {layout.trunk_tokens:,} tokens from disjoint domains "
        f"({design.rung}); for each rule {removed} sets of what it removes and {kept} placebo sets "
        "of the same number of documents, domains and lengths, each read in branches of at most "
        f"{design.branch_tokens:,} tokens at doses {doses}."
    )


def health(signals: Sequence[str], trunks: np.ndarray, found: Found) -> list[Health]:
    """Which signals fall while the trunks read on, by three times a branch's own run noise."""
    runs = np.array([
        [run_variance(scores.on([j])) for j in range(len(signals))] for scores, _ in found.values()
    ])  # fmt: skip
    known = len(runs) and np.isfinite(runs).all()
    noise = np.sqrt(runs.mean(axis=0)) if known else np.full(len(signals), np.nan)
    states = []
    for j, name in enumerate(signals):
        small, full = (float(trunks[at, :, :, j].mean()) for at in (0, -1))
        clear = not small - full <= LEAST_SIGNAL_TO_NOISE * noise[j]
        reason = "" if small > full and clear else "noisy" if small > full else (
            "does not fall with data"
        )  # fmt: skip
        states.append(Health(name, small, full, float(noise[j]), not reason, reason))
    return states


def _adjusted(
    layout: BranchLayout, found: Found, slopes_of: Mapping[int, Slope], kept: list[int],
    settings: Settings,
) -> dict[int, tuple[float, float, Spread, int]]:  # fmt: skip
    """(p, q, error of the slope, rules of its family) of each contrast; a design is a family."""
    adjust = statistics.holm if settings.correction == "holm" else statistics.benjamini_hochberg
    result = {}
    for design in dict.fromkeys(c.design for c in layout.contrasts):
        family = [k for k in slopes_of if layout.contrasts[k].design == design]
        errors = [_wider(slopes_of[k], found[k][0].on(kept)) for k in family]
        p = np.array([p_value(slopes_of[k].value, e) for k, e in zip(family, errors, strict=True)])
        for k, error, pi, qi in zip(family, errors, p, adjust(p), strict=True):
            result[k] = float(pi), float(qi), error, len(family)
    return result


def _wider(one: Slope, scores: BranchScores) -> Spread:
    """The slope's error, or the disagreement of signals where that is wider: a shift of genre."""
    removed, placebo = (slopes(a, scores.doses) for a in (scores.removed, scores.placebo))
    by_signal = (removed.mean(axis=1) - placebo.mean(axis=1)).mean(axis=0)
    among = statistics.spread(by_signal)
    genre = Spread(among.variance / max(len(by_signal), 1), among.df)
    return max((one.error, genre), key=lambda s: s.variance)


def _judge(
    effect: Effect,
    scores: BranchScores,
    names: Sequence[str],
    one: Slope,
    adjusted: tuple[float, float, Spread, int],
    settings: Settings,
    share: float,
) -> RuleVerdict:
    p, q, error, family = adjusted
    per_signal = _signals(scores, names, settings, share)
    value, scaled = one.value * share, Spread(error.variance * share**2, error.df)
    low, high = statistics.interval(value, scaled, 1.0 - settings.alpha)
    against = any(s.q < settings.alpha and s.effect * value < 0 for s in per_signal.values())
    label = _label(value, q, scaled, settings, against)
    # Holm's first step tests the smallest p-value at alpha over the number of rules.
    detectable = statistics.detectable_effect(scaled, settings.alpha / family, settings.power)
    overall = Judged(value, low, high, p, q, settings.margin_bpb, detectable, label)
    caveats = _caveats(one, overall, share, settings)
    return RuleVerdict(effect, overall, per_signal, caveats, _rank(scores))


def _label(value: float, q: float, error: Spread, settings: Settings, against: bool) -> str:
    if q < settings.alpha:
        clear = abs(value) >= settings.margin_bpb and not against
        return (HELPS if value > 0 else HURTS) if clear else INCONCLUSIVE
    low, high = statistics.interval(value, error, 1.0 - 2.0 * settings.alpha)
    return NEUTRAL if max(abs(low), abs(high)) < settings.margin_bpb else INCONCLUSIVE


def _signals(
    scores: BranchScores, names: Sequence[str], settings: Settings, share: float
) -> dict[str, Judged]:
    """Each signal on its own; q-values are adjusted over signals."""
    found = [slope(scores.on([j])) for j in range(len(names))]
    p = np.array([p_value(one.value, one.error) for one in found])
    q = statistics.benjamini_hochberg(p)
    judged = {}
    for name, one, pi, qi in zip(names, found, p, q, strict=True):
        value = one.value * share
        error = Spread(one.error.variance * share**2, one.error.df)
        low, high = statistics.interval(value, error, 1.0 - settings.alpha)
        judged[name] = Judged(
            value, low, high, float(pi), float(qi), settings.margin_bpb,
            statistics.detectable_effect(error, settings.alpha, settings.power),
            _label(value, float(qi), error, settings, False),
        )  # fmt: skip
    return judged


def _rank(scores: BranchScores) -> float:
    """The rank p-value of the removed sets' mean among the placebo sets."""
    removed, placebo = (
        slopes(arm, scores.doses).mean(axis=2) for arm in (scores.removed, scores.placebo)
    )
    centre = placebo.mean(axis=1, keepdims=True)
    return statistics.placebo_rank_p(
        float((removed.mean(axis=1, keepdims=True) - centre).mean()), (placebo - centre).ravel()
    )


def _caveats(one: Slope, overall: Judged, share: float, settings: Settings) -> tuple[str, ...]:
    doses = ", ".join(f"{value:+.4f} at dose {dose:g}" for dose, value in one.at_dose.items())
    trunks = ", ".join(f"{value * share:+.4f}" for value in one.trunks)
    notes = [
        f"annealed: {doses}, scaled to its share of {share:.2%}; by trunk {trunks}; sd of a run "
        f"{one.run_sd:.4f}, of a set {one.set_sd:.4f}"
    ]
    if overall.q < settings.alpha and abs(overall.effect) < settings.margin_bpb:
        side = "worse" if overall.effect > 0 else "better"
        notes.append(
            f"what it removes is {side} than what it keeps, but so little that it is under the "
            "margin"
        )
    return tuple(notes)


def _effect(
    layout: BranchLayout, number: int, found: Found, kept: list[int], problem: str | None
) -> Effect:
    """The contrast as the report shows it: effects of trunks in place of data seeds."""
    contrast, share, design = layout.contrasts[number], layout.share(number), layout.design
    values, null = np.zeros((design.trunks, 0)), {}
    if number in found and kept:
        scores = found[number][0].on(kept)
        removed, placebo = (
            slopes(arm, scores.doses) * share for arm in (scores.removed, scores.placebo)
        )
        centre = placebo.mean(axis=1)
        values = removed.mean(axis=1) - centre
        null = {"matched sets": (placebo - centre[:, None]).transpose(1, 0, 2)}
    tokens = float(layout.branch_tokens(number))
    return Effect(
        name=contrast.name, design=contrast.design, judged=True, values=values, null=null,
        removed_fraction=share, removed_documents=int(layout.removed(number).sum()),
        run_tokens=tokens, unique_tokens=tokens, epochs=1.0, pool_share=0.0, placebo_scale=1.0,
        problem=problem,
    )  # fmt: skip
