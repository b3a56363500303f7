"""Bands and rows by intent: `threshold: 0.75, permutations: 112`, and the S-curve they give.

The choice is datasketch's: the bands and rows whose areas of false positives below the threshold
and of false negatives above it add up to least.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decant.pipeline.config import RunConfig

CURVE = tuple(step / 20 for step in range(8, 21))  # 0.40, 0.45, … 1.00


@lru_cache(maxsize=64)
def bands_and_rows(
    threshold: float, permutations: int, false_negative_weight: float = 0.5
) -> tuple[int, int]:
    """(bands, rows) with bands x rows <= permutations.

    >>> bands_and_rows(0.8, 112)
    (9, 12)
    """
    from datasketch.lsh import _optimal_param  # imports scipy: half a second, only when asked

    weights = 1 - false_negative_weight, false_negative_weight
    bands, rows = _optimal_param(threshold, permutations, *weights)
    return int(bands), int(rows)


def meeting_probability(jaccard: float, bands: int, rows: int) -> float:
    """The probability that two documents of this similarity share a band.

    >>> round(meeting_probability(0.8, 14, 8), 3)
    0.924
    """
    return 1 - (1 - jaccard**rows) ** bands


def half_point(bands: int, rows: int) -> float:
    """The similarity at which one pair in two is found."""
    return (1 - 0.5 ** (1 / bands)) ** (1 / rows)


def s_curve(bands: int, rows: int) -> list[tuple[float, float]]:
    """(similarity, probability of being compared) for the similarities that matter."""
    return [(jaccard, meeting_probability(jaccard, bands, rows)) for jaccard in CURVE]


def print_curve(config: RunConfig) -> str:
    """The S-curve of a configuration as text, a bar per similarity."""
    bands, rows = config.dedup.bands, config.dedup.rows
    lines = [
        f"{bands} bands x {rows} rows = {bands * rows} permutations; "
        f"half of the pairs at Jaccard {half_point(bands, rows):.3f} are compared"
    ]
    for jaccard, probability in s_curve(bands, rows):
        lines.append(f"{jaccard:.2f} {probability:7.4f} {'#' * round(50 * probability)}")
    return "\n".join(lines)


def plot_curve(config: RunConfig, width: int = 480, height: int = 240) -> str:
    """The S-curve as a self-contained SVG drawing, for the report."""
    bands, rows = config.dedup.bands, config.dedup.rows
    points = " ".join(
        f"{40 + (width - 60) * step / 100:.1f},"
        f"{height - 30 - (height - 50) * meeting_probability(step / 100, bands, rows):.1f}"
        for step in range(101)
    )
    middle = 40 + (width - 60) * half_point(bands, rows)
    label = f"{bands} bands x {rows} rows"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"/>'
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="20" y2="{height - 30}" '
        f'stroke="currentColor" stroke-dasharray="3 3"/>'
        f'<text x="40" y="14">probability of being compared, {label}</text>'
        f'<text x="40" y="{height - 10}">Jaccard similarity 0 … 1; half at '
        f"{half_point(bands, rows):.2f}</text></svg>"
    )
