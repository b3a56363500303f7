"""How far from nothing an effect goes by chance: the errors that verdicts are made of.

A signal is a held-out reference set or a benchmark task; its effect is in bits per byte, positive
where the rule helps. On the n-gram rung, whose fits have no noise of their own, three sources of
doubt are kept apart:

- sampling: the spread of token placebos (the same number of tokens dropped at random);
- taste: the widest spread among all kinds of placebos, since whole domains or an arbitrary topic
  can be dropped without any quality in it;
- genre: the spread of the effect over signals. A rule that removes junk helps them all alike,
  one that only prefers a genre helps some and hurts others.

The error of the overall effect, the mean over signals, is taste or genre, whichever is wider: a
placebo's signals disagree too, so that adding the two would count the same doubt twice. From four
data seeds on, the spread between them is a third candidate.

On a neural rung each training also has a noise of its own (its order, its initialisation). With
sigma² of it, tau² between placebo sets, b trainings of each set and of the arm without the rule,
and w of the arm with it:

    variance of an effect                    tau² + sigma² / b + sigma² / w
    variance S over P sets, t with P - 1     tau² + sigma² / b
    error                                    S · (1 + b / w)  >=  the effect's

so that the error is exact where nothing but noise is at work, and a little wide where sets differ.
All sets share the trainings with the rule: their spread alone would leave that noise out. Where
genre or data seeds are wider, the degrees of freedom stay at the fewest: chance would else choose
the estimate that is wide and certain at once.
"""

from __future__ import annotations

import numpy as np

from decant.ablations import statistics
from decant.ablations.measuring.effects import Effect
from decant.ablations.statistics import Spread

# Two data seeds leave one degree of freedom, t = 12.7 at 5 %: until four, placebos stand for them.
FEWEST_SEEDS = 4


def overall_error(effect: Effect) -> Spread:
    """The error of the mean effect: the widest of placebos, signals and, from four on, data seeds.

    Signals are a sample of all the text one could ask about. On drops without quality content
    taste and genre estimate the same: 0.0032 and 0.0020 bits per byte on made-up pools, 0.0088 and
    0.0071 on real pages, where placebos' signals disagree by 0.0064.
    """
    first = taste(effect)
    kinds = [first, _of_mean(effect.mean)]
    if len(effect.values) >= FEWEST_SEEDS:
        kinds.append(_of_mean(effect.values.mean(axis=1)))
    widest = max(kinds, key=lambda s: s.variance)
    if effect.repeats is None:
        return widest
    return Spread(widest.variance, min(first.df, widest.df))


def taste(effect: Effect, signal: int | None = None) -> Spread:
    """The widest of the placebo kinds: what a drop without quality content can do."""
    kinds = [_prediction(effect, kind, signal) for kind in effect.null]
    return max(kinds, key=lambda s: s.variance)


def sampling(effect: Effect, signal: int | None = None) -> Spread:
    """The token placebos' spread: what another sample of the same data would do."""
    kind = "tokens" if "tokens" in effect.null else next(iter(effect.null))
    return _prediction(effect, kind, signal)


def margin(effect: Effect, margin_bpb: float, signal: int | None = None) -> float:
    """The least effect that HELPS or HURTS, in bits per byte.

    On the n-gram rung two sd of what is surely taste and not sampling where that is over the
    user's: the sampling variance is counted at the upper end of what its estimate allows, else the
    widest of three equal kinds would pass for taste in every noisy study.
    """
    if effect.repeats:
        return margin_bpb
    wide = taste(effect, signal)
    sure = statistics.variance_bound(sampling(effect, signal), wide.df)
    return max(margin_bpb, 2.0 * float(np.sqrt(max(wide.variance - sure, 0.0))))


def training_noise(effect: Effect, signal: int | None = None) -> Spread:
    """The variance of one training's score, over data seeds; no degrees of freedom without reruns.

    Pooled over every arm that was trained more than once, data seed by data seed.
    """
    groups = effect.repeats.groups if effect.repeats else ()
    parts = []
    for seed, weight in enumerate(effect.share):
        rows = [_on(group[:, seed], signal) for group in groups]
        df = sum(len(row) - 1 for row in rows)
        if df:
            squares = sum(float(((row - row.mean()) ** 2).sum()) for row in rows)
            parts.append(Spread(weight**2 * squares / df, df))
    return statistics.total(*parts) if parts else Spread(0.0, 0.0)


def set_variance(effect: Effect, signal: int | None = None) -> float:
    """What placebo sets differ by beyond the noise of their trainings; the widest kind's."""
    noise = training_noise(effect, signal)
    each = effect.repeats.arm_trainings if effect.repeats else 1
    wide = max(statistics.spread(_null(effect, kind, signal)).variance for kind in effect.null)
    return max(wide - noise.variance / each, 0.0) if noise.df else wide


def retry_error(effect: Effect) -> Spread:
    """The error of an effect as far as its trainings' noise goes: no placebo says more of a retry.

    Without degrees of freedom where no arm was trained more than once.
    """
    noise = training_noise(effect)
    if effect.repeats is None or not noise.df:
        return Spread(0.0, 0.0)
    times = 1.0 / effect.repeats.arm_trainings + 1.0 / effect.repeats.with_trainings
    return Spread(noise.variance * times, noise.df)


def p_value(value: float, error: Spread) -> float:
    """The two-sided p-value of no effect; 1 for nothing over nothing."""
    if error.variance == 0.0:
        return 1.0 if value == 0.0 else 0.0
    return statistics.two_sided_p(float(value) / error.sd, error.df)


def _prediction(effect: Effect, kind: str, signal: int | None) -> Spread:
    """The variance of an effect of nothing, estimated from the placebos of a kind.

    Shared orders: of one more draw around the null's true centre. Own orders: of two arms' means.
    """
    null = _null(effect, kind, signal)
    sets = statistics.spread(null)
    if effect.repeats is None:
        return Spread(sets.variance * (1.0 + 1.0 / max(len(null), 1)), sets.df)
    each, arms = effect.repeats.arm_trainings, effect.repeats.with_trainings
    variance = sets.variance * (1.0 + each / arms)
    if effect.placebo_scale > 1.0:  # a shift of the mixture grows with the odds, noise does not
        noise = training_noise(effect, signal)
        beyond = max(sets.variance - noise.variance / each, 0.0) if noise.df else sets.variance
        variance += (effect.placebo_scale**2 - 1.0) * beyond
    return Spread(variance, sets.df)


def _null(effect: Effect, kind: str, signal: int | None) -> np.ndarray:
    """A kind's placebo effects over data seeds, on one signal or over all, float64 [draws]."""
    return _on(effect.null_means(kind), signal)


def _on(values: np.ndarray, signal: int | None) -> np.ndarray:
    """Values [n, m] of one signal, or their mean over all, float64 [n]."""
    return values.mean(axis=1) if signal is None else values[:, signal]


def _of_mean(values: np.ndarray) -> Spread:
    """The variance of the mean of `values`."""
    single = statistics.spread(values)
    return Spread(single.variance / max(len(values), 1), single.df)
