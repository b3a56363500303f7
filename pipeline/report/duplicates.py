"""The report's part on duplicates: what was compared, how alike, which clusters are large."""

from collections.abc import Mapping
from html import escape
from typing import Any

from decant.pipeline.config import DedupConfig
from decant.pipeline.report import charts
from decant.pipeline.report.charts import head, number, plot_curve, table

SHOWN_CLUSTERS = 10


def section(dedup: Mapping[str, Any] | None, config: Mapping[str, Any]) -> str:
    """The section as HTML; empty where the stage has left no report."""
    if not dedup:
        return ""
    parts = [_figures(dedup), _similarity(dedup), _curve(config), _clusters(dedup)]
    return "".join(parts)


def _figures(dedup: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><td>{escape(name)}</td><td class="n">{number(value)}</td></tr>'
        for name, value in _flat(dedup)
    ]
    caption = "Measured on this run's own candidate pairs."
    return table("Duplicates", caption, head("figure", "value#"), rows)


def _similarity(dedup: Mapping[str, Any]) -> str:
    matches = (dedup.get("compared") or {}).get("matches") or []
    if not any(matches):
        return ""
    edges = [place / (len(matches) - 1) for place in range(len(matches))]
    return (
        '<p class="note">Estimated Jaccard similarity of the compared pairs '
        f"(square root of the count)</p>{charts.histogram(edges, matches)}"
    )


def _curve(config: Mapping[str, Any]) -> str:
    if not config.get("dedup"):
        return ""
    dedup = DedupConfig.model_validate(config["dedup"])
    return f"<p>{plot_curve(dedup.bands, dedup.rows)}</p>"


def _clusters(dedup: Mapping[str, Any]) -> str:
    largest = ((dedup.get("clusters") or {}).get("largest") or [])[:SHOWN_CLUSTERS]
    giants = ((dedup.get("candidates") or {}).get("giant_buckets") or [])[:SHOWN_CLUSTERS]
    html = ""
    for title, entries in (("Largest clusters", largest), ("Giant buckets", giants)):
        if not entries:
            continue
        rows = [
            f'<tr><td class="n">{one.get("size", 0):,}</td>'
            f"<td>{escape(str(one.get('url', '')))}</td>"
            f'<td class="note">{escape(str(one.get("text", "")))}</td></tr>'
            for one in entries
        ]
        caption = "Each with one of its documents: a look tells whether they belong together."
        html += table(title, caption, head("documents#", "address", "text"), rows)
    return html


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Named numbers of a nested report, histograms and lists left out."""
    figures: list[tuple[str, Any]] = []
    for name, value in data.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            if not all(str(key).isdigit() for key in value) or not value:
                figures += _flat(value, f"{label}: ")
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            figures.append((label, value))
    return figures
