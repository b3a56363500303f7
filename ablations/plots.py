"""Figures of a study as SVG text: no plotting library, legible in light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 820, 22, 250, 150, 46, 44
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
        return [float(k * step) for k in np.arange(first, np.floor(self.high / step) + 1)]


def forest(title: str, bars: Sequence[Bar], margin: float) -> str:
    """Effects with intervals, one row each; the band is the margin around zero."""
    finite = [v for b in bars for v in (b.low, b.high, b.effect) if np.isfinite(v)]
    reach = max([abs(v) for v in finite] + [2 * margin, 1e-4]) * 1.05
    axis = Axis(-reach, reach, LEFT, WIDTH - RIGHT)
    height = TOP + ROW * max(len(bars), 1) + BOTTOM
    band = axis.at(margin) - axis.at(-margin)
    parts = [
        _rect(axis.at(-margin), TOP - 8, band, height - TOP - BOTTOM + 8, "#8883"),
        _line(axis.at(0), TOP - 8, axis.at(0), height - BOTTOM, "#888"),
    ]
    for k, bar in enumerate(bars):
        y = TOP + ROW * k + ROW / 2
        colour = COLOURS.get(bar.verdict, "#8a8a8a")
        parts.append(_text(LEFT - 8, y + 4, bar.name, "end"))
        if np.isfinite(bar.low) and np.isfinite(bar.high):
            parts.append(_line(axis.at(bar.low), y, axis.at(bar.high), y, colour, 2))
        parts.append(f'<circle cx="{axis.at(bar.effect):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 8, y + 4, bar.verdict or "diagnostic", "start", colour))
    parts += _horizontal(axis, height - BOTTOM, "bits per byte gained (right: the rule helps)")
    return _svg(title, height, parts)


def curves(title: str, shares: Sequence[float], series: dict[str, np.ndarray]) -> str:
    """Bits per byte against the share of the budget, a band of ± one sd around each line.

    series: name: float64 [shares, runs].
    """
    height = 420
    across = Axis(0.0, max(shares), 70, WIDTH - RIGHT - 40)
    values = np.concatenate([v.ravel() for v in series.values()]) if series else np.zeros(1)
    up = Axis(float(values.min()), float(values.max()), height - BOTTOM, TOP)
    parts = []
    for k, (name, found) in enumerate(series.items()):
        colour = f"hsl({360 * k / max(len(series), 1):.0f} 55% 45%)"
        mean = found.mean(axis=1)
        sd = found.std(axis=1, ddof=1) if found.shape[1] > 1 else np.zeros(len(mean))
        upper = [(across.at(s), up.at(m + d)) for s, m, d in zip(shares, mean, sd, strict=True)]
        lower = [(across.at(s), up.at(m - d)) for s, m, d in zip(shares, mean, sd, strict=True)]
        middle = [(across.at(s), up.at(m)) for s, m in zip(shares, mean, strict=True)]
        outline = _points([*upper, *reversed(lower)])
        parts.append(f'<polygon points="{outline}" fill="{colour}" opacity="0.2"/>')
        line = f'<polyline points="{_points(middle)}" fill="none" stroke="{colour}"'
        parts.append(f'{line} stroke-width="2"/>')
        # Names stand beside the plot in their own order, since ends of lines overlap.
        parts.append(_text(WIDTH - RIGHT - 20, TOP + 16 * k, name, "start", colour))
    for tick in up.ticks():
        parts.append(_text(62, up.at(tick) + 4, f"{tick:g}", "end"))
    parts += _horizontal(across, height - BOTTOM, "share of a run's budget")
    return _svg(title, height, parts)


def trade_off(title: str, points: Sequence[tuple[str, float, float, str]]) -> str:
    """Effect (up) against the share of tokens kept (right): (name, kept, effect, verdict)."""
    height = 420
    across = Axis(min([p[1] for p in points] + [0.9]), 1.0, 90, WIDTH - RIGHT)
    effects = [p[2] for p in points] + [0.0]
    spread = (max(effects) - min(effects)) or 1e-3
    up = Axis(min(effects) - 0.1 * spread, max(effects) + 0.1 * spread, height - BOTTOM, TOP)
    parts = [_line(90, up.at(0), WIDTH - RIGHT, up.at(0), "#888")]
    for name, kept, effect, verdict in points:
        x, y = across.at(kept), up.at(effect)
        colour = COLOURS.get(verdict, "#8a8a8a")
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        parts.append(_text(x + 7, y + 4, name, "start", colour))
    for tick in up.ticks():
        parts.append(_text(82, up.at(tick) + 4, f"{tick:+g}", "end"))
    parts += _horizontal(across, height - BOTTOM, "share of tokens that the rule keeps")
    return _svg(title, height, parts)


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
