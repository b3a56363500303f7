"""HELPS, HURTS, NEUTRAL or INCONCLUSIVE: from measured effects to words, and how sure they are.

A signal is a held-out reference set or a benchmark task; its effect is in bits per byte, positive
where the rule helps. Three sources of doubt are kept apart:

- sampling: the spread of token placebos (the same number of tokens dropped at random);
- taste: the widest spread among all kinds of placebos, since whole domains or an arbitrary topic
  can be dropped without any quality in it;
- genre: the spread of the effect over signals. A rule that removes junk helps them all alike,
  one that only prefers a genre helps some and hurts others.

The overall effect is the mean over signals, and its error is taste or genre, whichever is wider: a
placebo's signals disagree too, so that adding the two would count the same doubt twice. From four
data seeds on, the spread between them is a third candidate.

HELPS needs an adjusted p-value under alpha, an effect of at least the margin, and no signal that it
hurts. HURTS is the mirror image. NEUTRAL needs the sampling interval inside the margin: the
smallest effect that anyone would act on, or two sd of what taste does beyond sampling where that is
more, if the effect could be nothing at all. So a rule can be called neutral for doing no more than
an arbitrary drop, but never for the study's own noise, and never where it surely does something.
All else is INCONCLUSIVE, and so is every verdict whose budget is over half the pool.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from decant.ablations import statistics
from decant.ablations.measuring.effects import Effect
from decant.ablations.statistics import Spread

HELPS, HURTS, NEUTRAL, INCONCLUSIVE = "HELPS", "HURTS", "NEUTRAL", "INCONCLUSIVE"

# Over half the pool two runs share most documents, and the placebos understate the noise.
LARGEST_POOL_SHARE = 0.5


# Past four passes the worth of repeated text decays (Muennighoff et al. 2023, arXiv 2305.16264).
MANY_EPOCHS = 4.0

# Two data seeds leave one degree of freedom, t = 12.7 at 5 %: until four, placebos stand for them.
FEWEST_SEEDS = 4


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
    verdicts: dict[int, RuleVerdict] = {}
    adjust = statistics.holm if settings.correction == "holm" else statistics.benjamini_hochberg
    for design in dict.fromkeys(e.design for e in effects):
        family = [k for k, e in enumerate(effects) if e.design == design]
        judged = [k for k in family if effects[k].judged and not effects[k].problem]
        errors = [overall_error(effects[k]) for k in judged]
        centres = [effects[k].values.mean() for k in judged]
        p = np.array([p_value(c, e) for c, e in zip(centres, errors, strict=True)])
        for k, error, pi, qi in zip(judged, errors, p, adjust(p), strict=True):
            verdicts[k] = _judge_one(effects[k], signals, settings, error, float(pi), float(qi))
    return [verdicts.get(k) or _unjudged(e, signals, settings) for k, e in enumerate(effects)]


def _judge_one(
    effect: Effect, signals: list[str], settings: Settings, error: Spread, p: float, q: float
) -> RuleVerdict:
    per_signal = _judge_signals(effect, signals, settings)
    taste, sampling = _taste(effect), _sampling(effect)
    margin = _margin(taste, sampling, settings)
    value = float(effect.values.mean())
    low, high = statistics.interval(value, error, 1.0 - settings.alpha)
    against = [n for n, s in per_signal.items() if s.q < settings.alpha and s.effect * value < 0]
    label = _label(value, q, margin, sampling, settings, blocked=bool(against))
    capped = effect.pool_share > LARGEST_POOL_SHARE + 1e-9
    overall = Judged(
        value, low, high, p, q, margin,
        statistics.detectable_effect(error, settings.alpha, settings.power),
        INCONCLUSIVE if capped else label,
    )  # fmt: skip
    caveats = _caveats(effect, per_signal, settings, overall, error, capped)
    null = np.concatenate([v.mean(axis=(1, 2)) for v in effect.null.values()])
    return RuleVerdict(effect, overall, per_signal, caveats, statistics.placebo_rank_p(value, null))


def _label(
    value: float, q: float, margin: float, sampling: Spread, settings: Settings, blocked: bool
) -> str:
    if q < settings.alpha and abs(value) >= margin and not blocked:
        return HELPS if value > 0 else HURTS
    # Two one-sided tests at alpha: the 1 - 2 alpha interval lies inside the margin.
    low, high = statistics.interval(value, sampling, 1.0 - 2.0 * settings.alpha)
    furthest = max(abs(low), abs(high))
    nothing = p_value(value, sampling) >= settings.alpha
    if furthest < settings.margin_bpb or (furthest < margin and nothing):
        return NEUTRAL
    return INCONCLUSIVE


def _judge_signals(effect: Effect, signals: list[str], settings: Settings) -> dict[str, Judged]:
    """Each signal on its own against its own placebos; q-values hold the rate over signals."""
    values = effect.values.mean(axis=0)
    spreads = [_taste(effect, j) for j in range(len(signals))]
    p = np.array([p_value(v, s) for v, s in zip(values, spreads, strict=True)])
    q = statistics.benjamini_hochberg(p)
    judged = {}
    for j, name in enumerate(signals):
        value, error = float(values[j]), spreads[j]
        sampling = _sampling(effect, j)
        margin = _margin(error, sampling, settings)
        label = _label(value, float(q[j]), margin, sampling, settings, blocked=False)
        low, high = statistics.interval(value, error, 1.0 - settings.alpha)
        detectable = statistics.detectable_effect(error, settings.alpha, settings.power)
        judged[name] = Judged(value, low, high, float(p[j]), float(q[j]), margin, detectable, label)
    return judged


def _null_means(effect: Effect, kind: str, signal: int | None) -> np.ndarray:
    """A kind's placebo effects over data seeds, on one signal or over all, float64 [draws]."""
    means = effect.null[kind].mean(axis=1)
    return means.mean(axis=1) if signal is None else means[:, signal]


def _prediction(null: np.ndarray) -> Spread:
    """The variance of one more draw around the null's true centre, estimated from `null`."""
    found = statistics.spread(null)
    return Spread(found.variance * (1.0 + 1.0 / max(len(null), 1)), found.df)


def _taste(effect: Effect, signal: int | None = None) -> Spread:
    """The widest of the placebo kinds: what a drop without quality content can do."""
    kinds = [_prediction(_null_means(effect, kind, signal)) for kind in effect.null]
    return max(kinds, key=lambda s: s.variance)


def _sampling(effect: Effect, signal: int | None = None) -> Spread:
    """The token placebos' spread: what another sample of the same data would do."""
    kind = "tokens" if "tokens" in effect.null else next(iter(effect.null))
    return _prediction(_null_means(effect, kind, signal))


def _margin(taste: Spread, sampling: Spread, settings: Settings) -> float:
    """The equivalence margin in bits per byte: two sd of what is surely taste and not sampling.

    The sampling variance is counted at the upper end of what its estimate allows, else the widest
    of three equal kinds would pass for taste in every noisy study.
    """
    sure = statistics.variance_bound(sampling, taste.df)
    return max(settings.margin_bpb, 2.0 * float(np.sqrt(max(taste.variance - sure, 0.0))))


def overall_error(effect: Effect) -> Spread:
    """The widest of taste, genre and, from four data seeds on, the spread between these.

    Signals are a sample of all the text one could ask about. On drops without quality content
    taste and genre estimate the same: 0.0032 and 0.0020 bits per byte on made-up pools, 0.0088 and
    0.0071 on real pages, where placebos' own signals disagree by 0.0064.
    """
    kinds = [_taste(effect), _of_mean(effect.values.mean(axis=0))]
    if len(effect.values) >= FEWEST_SEEDS:
        kinds.append(_of_mean(effect.values.mean(axis=1)))
    return max(kinds, key=lambda s: s.variance)


def _of_mean(values: np.ndarray) -> Spread:
    """The variance of the mean of `values`."""
    found = statistics.spread(values)
    return Spread(found.variance / max(len(values), 1), found.df)


def p_value(value: float, error: Spread) -> float:
    """The two-sided p-value of no effect; 1 for nothing over nothing."""
    if error.variance == 0.0:
        return 1.0 if value == 0.0 else 0.0
    return statistics.two_sided_p(float(value) / error.sd, error.df)


def _caveats(
    effect: Effect,
    signals: dict[str, Judged],
    settings: Settings,
    overall: Judged,
    error: Spread,
    capped: bool,
) -> tuple[str, ...]:
    notes = []
    gains = [n for n, s in signals.items() if s.q < settings.alpha and s.effect > 0]
    losses = [n for n, s in signals.items() if s.q < settings.alpha and s.effect < 0]
    if gains and losses:
        notes.append(
            f"shifts the distribution towards {', '.join(gains)}, away from {', '.join(losses)}"
        )
    elif gains and overall.verdict != HELPS:
        notes.append(f"shifts the distribution towards {', '.join(gains)}")
    elif losses and overall.verdict != HURTS:
        notes.append(f"shifts the distribution away from {', '.join(losses)}")
    if capped:
        notes.append(f"the budget is {effect.pool_share:.0%} of the pool: no verdict over half")
    if effect.epochs > MANY_EPOCHS:
        notes.append(f"an arm is read {effect.epochs:.1f} times over")
    if effect.placebo_scale > 1.0:
        notes.append(
            f"placebos dropped less than the rule and were scaled x{effect.placebo_scale:.1f}"
        )
    if overall.verdict == NEUTRAL and overall.margin > settings.margin_bpb:
        notes.append(f"no further from nothing than arbitrary drops go (± {overall.margin:.4f})")
    if overall.verdict == INCONCLUSIVE and not capped:
        notes.append(_settle(effect, overall, error, settings))
    return tuple(notes)


def _settle(effect: Effect, overall: Judged, error: Spread, settings: Settings) -> str:
    """What would decide: more disjoint data, as far as noise falls with it.

    Sampling noise does; what an arbitrary taste does, or signals that disagree, stays.
    """
    if overall.p < settings.alpha <= overall.q:
        return f"p = {overall.p:.3f} alone, not among all rules of the design"
    target = max(abs(overall.effect), overall.margin)
    allowed = error.variance * (target / overall.detectable) ** 2
    if allowed >= error.variance:
        return "detectable at this size, but signals disagree: more such data would not decide"
    lasting = max(error.variance - statistics.variance_bound(_sampling(effect), error.df), 0.0)
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
        f"to see {target:.4f}"
    )


def _unjudged(effect: Effect, signals: list[str], settings: Settings) -> RuleVerdict:
    """A contrast without verdict: what went wrong, or a diagnostic's bare effects."""
    if effect.problem:
        return RuleVerdict(effect, None, {}, (effect.problem,))
    values = effect.values.mean(axis=0)
    nan = float("nan")
    bare = {
        name: Judged(float(v), nan, nan, nan, nan, settings.margin_bpb, nan, "")
        for name, v in zip(signals, values, strict=True)
    }
    overall = Judged(float(values.mean()), nan, nan, nan, nan, settings.margin_bpb, nan, "")
    note = f"diagnostic, not judged; an arm is read {effect.epochs:.1f} times over"
    return RuleVerdict(effect, overall, bare, (note,))
