"""Small charts of the report as inline SVG: histograms with the cut drawn in, overlap as shades.

Tables of the report, and numbers in them.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from decant.filters.minhash import half_point, meeting_probability


def plot_curve(bands: int, rows: int, width: int = 480, height: int = 240) -> str:
    """The S-curve as a self-contained SVG drawing, for the report."""
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


WIDTH, HEIGHT, FOOT = 260, 70, 16


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    cuts: Sequence[float] = (),
    keeps: Mapping[str, Any] | None = None,
) -> str:
    """Bars of `counts` (bar k from edges[k] to edges[k + 1]), a line at each cut.

    Heights are square roots, so that a bin of 3 among bins of 3,000 is still seen; bins that
    `keeps` would drop are in the colour of loss. Empty bins at both ends are left out.
    """
    filled = [number for number, count in enumerate(counts) if count]
    if not filled:
        return ""
    near = [_bin_of(edges, cut) for cut in cuts]
    first = max(0, min(filled[0], *near, len(counts) - 1) if near else filled[0])
    last = max(filled[-1], *near) if near else filled[-1]
    shown = range(first, min(last, len(counts) - 1) + 1)
    tallest = max(counts) ** 0.5
    width = WIDTH / len(shown)
    bars = []
    for place, number in enumerate(shown):
        if not counts[number]:
            continue
        height = max(1.0, counts[number] ** 0.5 / tallest * (HEIGHT - FOOT))
        kind = "lost" if keeps and not _kept(edges, number, keeps) else "kept"
        title = f"{_short(edges[number])}…: {counts[number]:,}"
        bars.append(
            f'<rect class="{kind}" x="{place * width:.1f}" y="{HEIGHT - FOOT - height:.1f}" '
            f'width="{max(width - 0.7, 0.7):.1f}" height="{height:.1f}">'
            f"<title>{title}</title></rect>"
        )
    low, high = edges[shown[0]], edges[min(shown[-1] + 1, len(edges) - 1)]
    labels = (
        f'<text x="0" y="{HEIGHT - 3}">{_short(low)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 3}" text-anchor="end">{_short(high)}</text>'
    )
    lines = "".join(_cut_line(edges, shown, width, cut) for cut in cuts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"{''.join(bars)}{lines}{labels}</svg>"
    )


def _bin_of(edges: Sequence[float], value: float) -> int:
    return max(0, sum(edge <= value for edge in edges) - 1)


def _kept(edges: Sequence[float], number: int, keeps: Mapping[str, Any]) -> bool:
    """Whether the middle of a bin lies within the bounds."""
    low = edges[number]
    high = edges[number + 1] if number + 1 < len(edges) else low
    middle = (low + high) / 2
    bounds = dict(keeps)
    if "between" in bounds:
        bounds["at_least"], bounds["at_most"] = bounds["between"]
    floor = max(bounds.get("at_least", float("-inf")), bounds.get("above", float("-inf")))
    ceiling = min(bounds.get("at_most", float("inf")), bounds.get("below", float("inf")))
    return floor <= middle <= ceiling or low in (ceiling, floor)


def _cut_line(edges: Sequence[float], shown: range, width: float, cut: float) -> str:
    number = _bin_of(edges, cut)
    low = edges[number]
    high = edges[number + 1] if number + 1 < len(edges) else low
    inside = (cut - low) / (high - low) if high > low else 0.0
    x = (number - shown[0] + inside) * width
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT - FOOT}" stroke="currentColor" '
        f'stroke-dasharray="3 2"><title>bound {_short(cut)}</title></line>'
    )


def overlap_matrix(names: Sequence[str], both: Sequence[Sequence[int]]) -> str:
    """Rules by rules: of the documents that fail the row's rule, the share that fails the column's.

    Rules that nothing fails are left out.
    """
    used = [number for number in range(len(names)) if both[number][number]]
    if len(used) < 2:
        return ""
    head = "".join(f'<th class="n" title="{escape(names[k])}">{place + 1}</th>'
                   for place, k in enumerate(used))  # fmt: skip
    rows = []
    for place, row in enumerate(used):
        cells = []
        for column in used:
            share = both[row][column] / both[row][row]
            text = "" if row == column else f"{share:.0%}" if share >= 0.005 else "·"
            cells.append(f'<td class="n" style="--share:{share:.2f}">{text}</td>')
        rows.append(
            f"<tr><td>{place + 1} <code>{escape(names[row])}</code></td>{''.join(cells)}</tr>"
        )
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _short(value: float) -> str:
    """A number for an axis.

    >>> _short(0.25), _short(65536.0)
    ('0.25', '65,536')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(title: str, caption: str, head: str, rows: Sequence[str]) -> str:
    return (
        f'<h2>{title}</h2><div class="scroll"><table><caption>{caption}</caption>'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def head(*names: str) -> str:
    """A header row; a name that ends in # heads a column of numbers."""
    cells = (
        f'<th class="n">{name[:-1]}</th>' if name.endswith("#") else f"<th>{name}</th>"
        for name in names
    )
    return f"<tr>{''.join(cells)}</tr>"


def number(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
