"""Estimators that turn arm scores into intervals and p-values; numpy in, numbers out.

Every function here is checked against slow plain Python and published values in
`tests/ablations/test_statistics.py`. Which of them decides, and why, is `verdict.py`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from scipy.special import fdtri, stdtr, stdtrit


def t_quantile(probability: float, df: float) -> float:
    """The point that a t variable with `df` degrees of freedom stays under with `probability`.

    >>> round(t_quantile(0.975, 1), 1), round(t_quantile(0.975, 1e9), 2)
    (12.7, 1.96)
    """
    return float(stdtrit(df, probability))


def two_sided_p(t: float, df: float) -> float:
    """P(|T| >= |t|) for a t variable with `df` degrees of freedom; NaN t gives 1."""
    return 1.0 if np.isnan(t) else float(2.0 * stdtr(df, -abs(t)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values, in the order given: the family-wise error is held.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's q-values, in the order given: the false discovery rate is held.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def clustered_se(differences: np.ndarray, clusters: np.ndarray) -> float:
    """Standard error of the mean where questions of one cluster move together.

    sqrt(Σ_c (Σ_{q in c} (d_q - mean))²) / n (Miller 2024, arXiv 2411.00640, equation 4); NaN for
    fewer than two clusters.
    """
    _, codes = np.unique(clusters, return_inverse=True)
    if len(differences) == 0 or codes.max() == 0:
        return float("nan")
    sums = np.bincount(codes, weights=differences - differences.mean())
    return float(np.sqrt(np.sum(sums**2)) / len(differences))


def mcnemar_p(first_only: int, second_only: int) -> float:
    """Exact two-sided McNemar p-value of discordant counts; 1 where there are none.

    >>> mcnemar_p(0, 5)
    0.0625
    """
    n = first_only + second_only
    if n == 0:
        return 1.0
    tail = sum(comb(n, k) for k in range(min(first_only, second_only) + 1)) / 2**n
    return min(1.0, 2.0 * tail)


def placebo_rank_p(effect: float, null: np.ndarray) -> float:
    """(1 + draws at least as far from the null's centre) / (draws + 1): exact, but coarse.

    With 20 draws it cannot go under 1/21; it is shown beside the t value, never instead of it.
    """
    centre = float(np.mean(null))
    return (1 + int(np.sum(np.abs(null - centre) >= abs(effect - centre)))) / (len(null) + 1)


@dataclass(frozen=True)
class Spread:
    """A variance and the degrees of freedom it was estimated with."""

    variance: float
    df: float

    @property
    def sd(self) -> float:
        return sqrt(self.variance)


def spread(values: np.ndarray) -> Spread:
    """The sample variance of `values`; zero with no degrees of freedom for fewer than two."""
    if len(values) < 2:
        return Spread(0.0, 0.0)
    return Spread(float(np.var(values, ddof=1)), len(values) - 1.0)


def total(*parts: Spread) -> Spread:
    """The sum of independent variance estimates, with Welch and Satterthwaite's df.

    >>> total(Spread(2.0, 10), Spread(0.0, 3)).df
    10.0
    """
    variance = sum(p.variance for p in parts)
    below = sum(p.variance**2 / p.df for p in parts if p.df > 0 and p.variance > 0)
    if below == 0.0:
        return Spread(variance, max((p.df for p in parts), default=0.0))
    return Spread(variance, variance**2 / below)


def variance_bound(known: Spread, df: float, level: float = 0.99) -> float:
    """The variance that another estimate with `df` stays under if only `known` is at work.

    F's quantile times the variance: 3.03 times at 19 and 19 degrees of freedom; infinite without.
    """
    if known.df <= 0 or df <= 0:
        return float("inf")
    return float(fdtri(df, known.df, level)) * known.variance


def interval(centre: float, error: Spread, level: float) -> tuple[float, float]:
    """The two-sided t interval at `level`; infinite without degrees of freedom."""
    if error.df <= 0:
        return (float("-inf"), float("inf"))
    half = t_quantile(0.5 + level / 2, error.df) * error.sd
    return centre - half, centre + half


def detectable_effect(error: Spread, alpha: float, power: float = 0.8) -> float:
    """The smallest true effect that a two-sided test at `alpha` finds with `power`.

    (t_{1-α/2} + t_{power}) · SE: 2.8 SE at 5 % and 80 % with many degrees of freedom.
    """
    if error.df <= 0:
        return float("inf")
    return (t_quantile(1 - alpha / 2, error.df) + t_quantile(power, error.df)) * error.sd


def kendall_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two short series, 0 where one of them does not move.

    >>> kendall_tau(np.array([1, 2, 3]), np.array([2, 5, 9]))
    1.0
    """
    sx = np.sign(np.subtract.outer(x, x))
    sy = np.sign(np.subtract.outer(y, y))
    scale = sqrt(float(np.sum(sx**2)) * float(np.sum(sy**2)))
    return float(np.sum(sx * sy)) / scale if scale else 0.0
