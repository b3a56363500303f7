"""HELPS, HURTS, NEUTRAL or INCONCLUSIVE: from measured effects to words, and how sure they are.

How far an effect goes by chance is `errors.py`'s business. HELPS needs an adjusted p-value under
alpha, an effect of at least the margin, and no signal that it hurts. HURTS is the mirror image.
NEUTRAL needs the 1 - 2 alpha interval of the effect inside the user's margin, the smallest effect
that anyone would act on: two one-sided tests. So no rule is neutral for the study's noise, nor for
doing no more than an arbitrary drop. All else is INCONCLUSIVE, and so is every verdict whose budget
is over half the pool.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from decant.ablations import statistics
from decant.ablations.judging.errors import (
    margin,
    overall_error,
    p_value,
    sampling,
    set_variance,
    taste,
    training_noise,
)
from decant.ablations.measuring.effects import Effect
from decant.ablations.statistics import Spread

HELPS, HURTS, NEUTRAL, INCONCLUSIVE = "HELPS", "HURTS", "NEUTRAL", "INCONCLUSIVE"

# Over half the pool two runs share most documents, and the placebos understate the noise.
LARGEST_POOL_SHARE = 0.5

# Past four passes the worth of repeated text decays (Muennighoff et al. 2023, arXiv 2305.16264).
MANY_EPOCHS = 4.0

# Placebo sets of a kind, on a rung whose trainings have noise of their own: with seven rules and
# Holm an effect must be 3.3 errors away with 12 sets, and 3.8 with 8.
LEAST_SETS = 12


@dataclass(frozen=True)
class Settings:
    """When a verdict is given; `margin_bpb` is the smallest effect anyone would act on."""

    alpha: float = 0.05
    margin_bpb: float = 0.002
    correction: str = "holm"  # holm | bh
    power: float = 0.8


@dataclass(frozen=True)
class Judged:
    """One effect with its interval and verdict: overall, or on one signal."""

    effect: float
    low: float
    high: float
    p: float
    q: float  # adjusted over rules (overall) or over signals (one signal)
    margin: float
    detectable: float
    verdict: str


@dataclass(frozen=True)
class RuleVerdict:
    """What is said of one contrast."""

    effect: Effect
    overall: Judged | None
    signals: dict[str, Judged] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    rank_p: float = 1.0

    @property
    def label(self) -> str:
        """The overall verdict; INCONCLUSIVE where nothing was measured, "" for a diagnostic."""
        if not self.effect.judged:
            return ""
        return self.overall.verdict if self.overall else INCONCLUSIVE


def judge(effects: list[Effect], signals: list[str], settings: Settings) -> list[RuleVerdict]:
    """The verdict of each contrast, in the order given; p-values are adjusted within a design.

    The rules of one design are one family. Leaving a rule out and adding it alone are two
    questions about it, and the first cumulative step is the second of them once more.
    """
    effects = [_with_enough_sets(effect) for effect in effects]
    verdicts: dict[int, RuleVerdict] = {}
    adjust = statistics.holm if settings.correction == "holm" else statistics.benjamini_hochberg
    for design in dict.fromkeys(e.design for e in effects):
        family = [k for k, e in enumerate(effects) if e.design == design]
        judged = [k for k in family if effects[k].judged and not effects[k].problem]
        errors = [overall_error(effects[k]) for k in judged]
        centres = [effects[k].mean.mean() for k in judged]
        p = np.array([p_value(c, e) for c, e in zip(centres, errors, strict=True)])
        for k, error, pi, qi in zip(judged, errors, p, adjust(p), strict=True):
            tested = _Tested(error, float(pi), float(qi), len(judged))
            verdicts[k] = _judge_one(effects[k], signals, settings, tested)
    return [verdicts.get(k) or _unjudged(e, signals, settings) for k, e in enumerate(effects)]


def _with_enough_sets(effect: Effect) -> Effect:
    """The effect, or why its placebo sets are too few to tell it from noise."""
    if effect.problem or not effect.judged or effect.repeats is None:
        return effect
    fewest = min((len(null) for null in effect.null.values()), default=0)
    if fewest >= LEAST_SETS:
        return effect
    lost = f" ({effect.repeats.missing} trainings diverged)" if effect.repeats.missing else ""
    problem = f"{fewest} placebo sets of a kind{lost}: a verdict needs {LEAST_SETS}"
    return replace(effect, problem=problem)


@dataclass(frozen=True)
class _Tested:
    """An overall effect's error, and its p-value alone and among the rules of its design."""

    error: Spread
    p: float
    q: float
    rules: int


def _judge_one(
    effect: Effect, signals: list[str], settings: Settings, tested: _Tested
) -> RuleVerdict:
    per_signal = _judge_signals(effect, signals, settings)
    least = margin(effect, settings.margin_bpb)
    value, error = float(effect.mean.mean()), tested.error
    low, high = statistics.interval(value, error, 1.0 - settings.alpha)
    against = [n for n, s in per_signal.items() if s.q < settings.alpha and s.effect * value < 0]
    label = _label(value, tested.q, least, error, settings, blocked=bool(against))
    capped = effect.pool_share > LARGEST_POOL_SHARE + 1e-9
    overall = Judged(
        value, low, high, tested.p, tested.q, least,
        # The first step of Holm's: what one rule among all must pass.
        statistics.detectable_effect(error, settings.alpha / tested.rules, settings.power),
        INCONCLUSIVE if capped else label,
    )  # fmt: skip
    caveats = _caveats(effect, per_signal, settings, overall, error, capped)
    null = np.concatenate([effect.null_means(kind).mean(axis=1) for kind in effect.null])
    return RuleVerdict(effect, overall, per_signal, caveats, statistics.placebo_rank_p(value, null))


def _label(
    value: float, q: float, least: float, error: Spread, settings: Settings, blocked: bool
) -> str:
    if q < settings.alpha and abs(value) >= least and not blocked:
        return HELPS if value > 0 else HURTS
    # Two one-sided tests at alpha: the 1 - 2 alpha interval lies inside the user's margin.
    low, high = statistics.interval(value, error, 1.0 - 2.0 * settings.alpha)
    return NEUTRAL if max(abs(low), abs(high)) < settings.margin_bpb else INCONCLUSIVE


def _judge_signals(effect: Effect, signals: list[str], settings: Settings) -> dict[str, Judged]:
    """Each signal on its own against its own placebos; q-values hold the rate over signals."""
    values = effect.mean
    spreads = [taste(effect, j) for j in range(len(signals))]
    p = np.array([p_value(v, s) for v, s in zip(values, spreads, strict=True)])
    q = statistics.benjamini_hochberg(p)
    judged = {}
    for j, name in enumerate(signals):
        value, error = float(values[j]), spreads[j]
        least = margin(effect, settings.margin_bpb, j)
        label = _label(value, float(q[j]), least, error, settings, blocked=False)
        low, high = statistics.interval(value, error, 1.0 - settings.alpha)
        detectable = statistics.detectable_effect(error, settings.alpha, settings.power)
        judged[name] = Judged(value, low, high, float(p[j]), float(q[j]), least, detectable, label)
    return judged


def _caveats(
    effect: Effect,
    signals: dict[str, Judged],
    settings: Settings,
    overall: Judged,
    error: Spread,
    capped: bool,
) -> tuple[str, ...]:
    notes = [*_shifts(signals, settings, overall)]
    if capped:
        notes.append(f"the budget is {effect.pool_share:.0%} of the pool: no verdict over half")
    if effect.epochs > MANY_EPOCHS:
        notes.append(f"an arm is read {effect.epochs:.1f} times over")
    if effect.placebo_scale > 1.0:
        notes.append(
            f"placebos dropped less than the rule and were scaled x{effect.placebo_scale:.1f}"
        )
    if effect.repeats and effect.repeats.missing:
        notes.append(f"{effect.repeats.missing} trainings diverged and are left out")
    if overall.verdict == INCONCLUSIVE and not capped:
        notes.append(_settle(effect, overall, error, settings))
    return tuple(notes)


def _shifts(signals: dict[str, Judged], settings: Settings, overall: Judged) -> list[str]:
    """The signals that move although, or against where, the rule as a whole does."""
    gains = [n for n, s in signals.items() if s.q < settings.alpha and s.effect > 0]
    losses = [n for n, s in signals.items() if s.q < settings.alpha and s.effect < 0]
    if gains and losses:
        return [
            f"shifts the distribution towards {', '.join(gains)}, away from {', '.join(losses)}"
        ]
    if gains and overall.verdict != HELPS:
        return [f"shifts the distribution towards {', '.join(gains)}"]
    if losses and overall.verdict != HURTS:
        return [f"shifts the distribution away from {', '.join(losses)}"]
    return []


def _settle(effect: Effect, overall: Judged, error: Spread, settings: Settings) -> str:
    """What would decide: more disjoint data, as far as noise falls with it.

    Sampling noise and the trainings' do; what an arbitrary taste does, or signals that disagree,
    stays.
    """
    if overall.p < settings.alpha <= overall.q:
        return f"p = {overall.p:.3f} alone, not among all rules of the design"
    target = max(abs(overall.effect), overall.margin)
    allowed = error.variance * (target / overall.detectable) ** 2
    if allowed >= error.variance:
        return "detectable at this size, but signals disagree: more such data would not decide"
    lasting = _lasting(effect, error)
    if allowed <= lasting:
        reach = 2.0 * float(np.sqrt(lasting))
        return (
            f"arbitrary drops of this size, or the signals' disagreement, go to ± {reach:.4f} "
            "beyond sampling noise: more such data would not decide"
        )
    ratio = (error.variance - lasting) / (allowed - lasting)
    needed = int(np.ceil(effect.values.shape[0] * ratio))
    tokens = needed * effect.run_tokens / 1e6
    return (
        f"needs about {needed} disjoint data seeds ({tokens:.1f} million tokens an arm) "
        f"to see {target:.4f}{_noise_shares(effect)}"
    )


def _lasting(effect: Effect, error: Spread) -> float:
    """The part of an error that more disjoint data would not lessen."""
    if effect.repeats:
        return max(error.variance - taste(effect).variance, 0.0)
    return max(error.variance - statistics.variance_bound(sampling(effect), error.df), 0.0)


def _noise_shares(effect: Effect) -> str:
    """The noise of one training and what placebo sets differ by beyond it, where it is known."""
    noise = training_noise(effect)
    if not noise.df:
        return ""
    sets = float(np.sqrt(set_variance(effect)))
    return f"; a training's noise is {noise.sd:.4f} (one sd), that of placebo sets {sets:.4f}"


def _unjudged(effect: Effect, signals: list[str], settings: Settings) -> RuleVerdict:
    """A contrast without verdict: what went wrong, or a diagnostic's bare effects."""
    if effect.problem:
        return RuleVerdict(effect, None, {}, (effect.problem,))
    values = effect.mean
    nan = float("nan")
    bare = {
        name: Judged(float(v), nan, nan, nan, nan, settings.margin_bpb, nan, "")
        for name, v in zip(signals, values, strict=True)
    }
    overall = Judged(float(values.mean()), nan, nan, nan, nan, settings.margin_bpb, nan, "")
    note = f"diagnostic, not judged; an arm is read {effect.epochs:.1f} times over"
    return RuleVerdict(effect, overall, bare, (note,))
