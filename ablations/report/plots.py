"""Figures of a study as SVG text: no plotting library, legible in light and dark pages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 820, 22, 250, 150, 46, 44
ARM_COLOURS = {"without": "#b8651b", "with": "#4a6fa5"}
COLOURS = {"HELPS": "#2a8f4f", "HURTS": "#c0392b", "NEUTRAL": "#4a6fa5", "INCONCLUSIVE": "#8a8a8a"}


@dataclass(frozen=True)
class Bar:
    """One row of a forest plot: an effect with its interval."""

    name: str
    effect: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Axis:
    """A linear map from values to pixels with round ticks."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value; values outside stop at the edge."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values between the ends, about five of them."""
        span = (self.high - self.low) or 1.0
        step = 10.0 ** np.floor(np.log10(span / 4))
        step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 6)
        first = np.ceil(self.low / step)
        return [float(k * step) + 0.0 for k in np.arange(first, np.floor(self.high / step) + 1)]


def forest(title: str, bars: Sequence[Bar], margin: float) -> str:
    """Effects with intervals, one row each; the band is the margin around zero."""
    finite = [v for b in bars for v in (b.low, b.high, b.effect) if np.isfinite(v)]
    reach = max([abs(v) for v in finite] + [2 * margin, 1e-4]) * 1.05
    left = min(max([LEFT, *(7 * len(bar.name) for bar in bars)]), WIDTH // 2)  # 7 px a character
    axis = Axis(-reach, reach, left, WIDTH - RIGHT)
    height = TOP + ROW * max(len(bars), 1) + BOTTOM + 18
    foot = height - BOTTOM - 18
    band = axis.at(margin) - axis.at(-margin)
    parts = [
        _rect(axis.at(-margin), TOP - 8, band, foot - TOP + 8, "#8883"),
        _line(axis.at(0), TOP - 8, axis.at(0), foot, "#888"),
    ]
    for k, bar in enumerate(bars):
        y = TOP + ROW * k + ROW / 2
        colour = COLOURS.get(bar.verdict, "#8a8a8a")
        parts.append(_text(left - 8, y + 4, bar.name, "end"))
        if np.isfinite(bar.low) and np.isfinite(bar.high):
            parts.append(_line(axis.at(bar.low), y, axis.at(bar.high), y, colour, 2))
        parts.append(_dot(axis.at(bar.effect), y, colour))
        parts.append(_text(WIDTH - RIGHT + 8, y + 4, bar.verdict or "diagnostic", "start", colour))
    parts += _horizontal(axis, foot, "bits per byte gained (right: the rule helps)")
    note = f"lines: 95 % interval; grey band: ± {margin:g}, the smallest effect to act on"
    parts.append(_text((axis.start + axis.end) / 2, foot + 52, note, "middle"))
    return _svg(title, height, parts)


def curves(
    title: str, shares: Sequence[float], series: dict[str, np.ndarray], healthy: Collection[str]
) -> str:
    """Bits per byte as a share of each run's first value, a band of ± one sd around each line.

    series: name: float64 [shares, runs]. Relative, because data seeds start at levels of their own
    and a task's short answers cost ten times the bits per byte of prose; what is not healthy is
    grey and dashed, and what is no number left out.
    """
    height = 460
    whole = {name: values for name, values in series.items() if np.isfinite(values).all()}
    relative = {name: values / values[0] for name, values in whole.items()}
    across = Axis(0.0, max(shares), 70, WIDTH - RIGHT - 40)
    ends = [v for values in relative.values() for v in values.ravel()] or [1.0]
    up = Axis(min(ends), max(ends), height - BOTTOM, TOP)
    parts, labels = [], []
    for k, (name, values) in enumerate(relative.items()):
        well = name in healthy
        colour = f"hsl({360 * k / len(relative):.0f} 55% 45%)" if well else "#8a8a8a"
        parts += _curve(values, shares, across, up, colour, "" if well else "6 4")
        labels.append((up.at(float(values[-1].mean())), name, colour))
    for y, (at, name, colour) in zip(_apart([y for y, _, _ in labels]), labels, strict=True):
        parts.append(_line(across.end + 2, at, across.end + 12, y, colour))
        parts.append(_text(across.end + 15, y + 4, name, "start", colour))
    for tick in up.ticks():
        parts.append(_text(62, up.at(tick) + 4, f"{tick:.0%}", "end"))
    parts += _horizontal(across, height - BOTTOM, "share of a run's budget")
    return _svg(title, height, parts)


def _curve(
    values: np.ndarray, shares: Sequence[float], across: Axis, up: Axis, colour: str, dashes: str
) -> list[str]:
    mean = values.mean(axis=1)
    sd = _sds(values)
    upper = [(across.at(s), up.at(m + d)) for s, m, d in zip(shares, mean, sd, strict=True)]
    lower = [(across.at(s), up.at(m - d)) for s, m, d in zip(shares, mean, sd, strict=True)]
    middle = [(across.at(s), up.at(m)) for s, m in zip(shares, mean, strict=True)]
    outline = _points([*upper, *reversed(lower)])
    style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
    return [
        f'<polygon points="{outline}" fill="{colour}" opacity="0.2"/>',
        f'<polyline points="{_points(middle)}" fill="none" {style}/>',
    ]


def arm_curves(title: str, shares: Sequence[float], arms: dict[str, np.ndarray]) -> str:
    """Bits per byte of two arms as their models read more, a band of ± one sd between trainings.

    arms: name: float64 [shares, trainings].
    """
    height = 300
    across = Axis(0.0, max(shares), 70, WIDTH - RIGHT - 40)
    sds = {name: _sds(rows) for name, rows in arms.items()}
    ends = [v for name, rows in arms.items() for d in (-1, 1)
            for v in rows.mean(axis=1) + d * sds[name]]  # fmt: skip
    up = Axis(min(ends), max(ends), height - BOTTOM, TOP)
    parts = []
    placed = _apart([up.at(float(rows[-1].mean())) for rows in arms.values()])
    for (name, rows), y in zip(arms.items(), placed, strict=True):
        colour = ARM_COLOURS.get(name, "#8a8a8a")
        parts += _curve(rows, shares, across, up, colour, "")
        parts += [_dot(across.at(s), up.at(float(m)), colour)
                  for s, m in zip(shares, rows.mean(axis=1), strict=True)]  # fmt: skip
        parts.append(_text(across.end + 15, y + 4, f"{name} the rule", "start", colour))
    for tick in up.ticks():
        parts.append(_text(62, up.at(tick) + 4, f"{tick:g}", "end"))
    parts.append(_text(12, TOP - 8, "bits per byte, mean of the healthy signals", "start"))
    parts += _horizontal(across, height - BOTTOM, "share of a training")
    return _svg(title, height, parts)


def _sds(rows: np.ndarray) -> np.ndarray:
    """The sd of each row, zero for a single training."""
    return rows.std(axis=1, ddof=1) if rows.shape[1] > 1 else np.zeros(len(rows))


def trade_off(title: str, points: Sequence[tuple[float, Bar]]) -> str:
    """Effect with its interval (up) against the share of tokens kept (right): (kept, effect)."""
    height = 460
    across = Axis(min([kept for kept, _ in points] + [0.9]), 1.0, 90, WIDTH - RIGHT - 60)
    ends = [v for _, b in points for v in (b.low, b.high, b.effect) if np.isfinite(v)] + [0.0]
    spread = (max(ends) - min(ends)) or 1e-3
    up = Axis(min(ends) - 0.05 * spread, max(ends) + 0.05 * spread, height - BOTTOM, TOP + 14)
    parts = [
        _text(12, TOP - 4, "bits per byte gained (up: the rule helps), 95 % interval", "start"),
        _line(90, up.at(0), across.end, up.at(0), "#888"),
    ]
    heights = _apart([up.at(bar.effect) for _, bar in points])
    for y, (kept, bar) in zip(heights, points, strict=True):
        x, at = across.at(kept), up.at(bar.effect)
        colour = COLOURS.get(bar.verdict, "#8a8a8a")
        if np.isfinite(bar.low) and np.isfinite(bar.high):
            parts.append(_line(x, up.at(bar.low), x, up.at(bar.high), colour))
        parts.append(_dot(x, at, colour))
        parts.append(_line(x + 4, at, x + 12, y, colour))
        parts.append(_text(x + 15, y + 4, bar.name, "start", colour))
    for tick in up.ticks():
        parts.append(_text(82, up.at(tick) + 4, f"{tick:+g}" if tick else "0", "end"))
    parts += _horizontal(across, height - BOTTOM, "share of tokens that the rule keeps")
    return _svg(title, height, parts)


def _apart(heights: Sequence[float], least: float = 15.0) -> list[float]:
    """The heights moved as little as a downward sweep can so that labels stand clear."""
    placed = list(heights)
    above = -np.inf
    for k in sorted(range(len(heights)), key=lambda k: heights[k]):
        placed[k] = above = max(heights[k], above + least)
    return placed


def _horizontal(axis: Axis, y: float, label: str) -> list[str]:
    parts = [_line(axis.start, y, axis.end, y, "#888")]
    for tick in axis.ticks():
        parts.append(_text(axis.at(tick), y + 16, f"{tick:g}", "middle"))
    parts.append(_text((axis.start + axis.end) / 2, y + 34, label, "middle"))
    return parts


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#777") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
    )
    heading = f'<text x="12" y="20" font-size="14" fill="#777">{escape(title)}</text>'
    return "\n".join([head, heading, *parts, "</svg>"]) + "\n"
