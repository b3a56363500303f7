"""What a figure must show: intervals, legible labels, which signals are left out."""

import re
from itertools import pairwise

import numpy as np

from decant.ablations.report import plots

BARS = [
    plots.Bar(f"rule {k}", 0.001 * k, 0.001 * k - 0.002, 0.001 * k + 0.002, "") for k in range(4)
]


def label_heights(svg, names):
    found = {n: re.search(rf'y="([\d.]+)"[^>]*>{re.escape(n)}<', svg) for n in names}
    return [float(found[n].group(1)) for n in names if found[n]]


def test_labels_of_equal_effects_stand_apart():
    same = [(0.9, plots.Bar(f"rule {k}", 0.001, 0.0, 0.002, "HELPS")) for k in range(5)]
    heights = sorted(label_heights(plots.trade_off("t", same), [b.name for _, b in same]))
    assert len(heights) == 5
    assert min(b - a for a, b in pairwise(heights)) >= 14.9


def test_a_trade_off_shows_the_interval_of_each_effect():
    points = [(0.9 + 0.02 * k, bar) for k, bar in enumerate(BARS)]
    svg = plots.trade_off("t", points)
    # One upright line per rule: x1 = x2, and the ends of the interval apart.
    upright = [
        m for m in re.finditer(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="\1" y2="([\d.]+)"', svg)
    ]
    assert len(upright) == len(BARS)
    assert len({round(float(m[2]) - float(m[3])) for m in upright}) == 1


def test_zero_has_no_sign_on_any_axis():
    for svg in (plots.trade_off("t", [(0.95, b) for b in BARS]), plots.forest("t", BARS, 0.002)):
        assert not re.search(r">[-+]0<", svg)
        assert ">0<" in svg


def test_a_forest_says_what_its_band_and_lines_are():
    assert "grey band: ± 0.002" in plots.forest("t", BARS, 0.002)


def test_unhealthy_signals_are_dashed():
    series = {"good": np.array([[2.0, 2.2], [1.0, 1.1]]), "bad": np.array([[5.0, 5.1], [6.0, 6.1]])}
    svg = plots.curves("t", (0.5, 1.0), series, {"good"})
    dashed = [line for line in svg.splitlines() if 'stroke-dasharray="6 4"' in line]
    assert len(dashed) == 1
    assert "#8a8a8a" in dashed[0]


def test_curves_of_runs_with_levels_of_their_own_have_no_band():
    """Both runs halve, from 2.0 and from 4.0: relative to their starts they are one line."""
    svg = plots.curves("t", (0.5, 1.0), {"s": np.array([[2.0, 4.0], [1.0, 2.0]])}, {"s"})
    points = re.search(r'<polygon points="([^"]+)"', svg).group(1).split()
    assert points[:2] == points[:1:-1]


def test_figures_without_rows_are_still_figures():
    for svg in (
        plots.forest("t", [], 0.002),
        plots.trade_off("t", []),
        plots.curves("t", (1.0,), {}, ()),
    ):
        assert svg.startswith("<svg")
        assert svg.endswith("</svg>\n")
