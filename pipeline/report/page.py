"""The report as one self-contained HTML page: no script, no font, no image from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from decant.pipeline.report import charts, duplicates
from decant.pipeline.report.charts import head, table
from decant.pipeline.rundir.ledger import STAGES

SHOWN_LOSSES = 100

STYLE = """
:root { --ink: #1d2329; --soft: #5b6570; --line: #dfe3e8; --kept: #2f6f9f; --lost: #d9a441;
        --error: #b3403a; --ground: #ffffff; --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #9aa5b1; --line: #333b44; --kept: #5b9fd0; --lost: #d9a441;
          --error: #e0736c; --ground: #14181c; --panel: #1c2228; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
       max-width: 68rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
p.note, caption { color: var(--soft); } caption { text-align: left; padding-bottom: .5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; white-space: nowrap; }
.scroll { overflow-x: auto; }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.figure { background: var(--panel); border-radius: .5rem; padding: .6rem 1rem; }
.figure b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); }
.bar { display: flex; height: .8rem; background: var(--panel); border-radius: 2px;
       min-width: 8rem; }
.bar i { display: block; height: 100%; } .kept { background: var(--kept); }
.lost { background: var(--lost); } .error { background: var(--error); }
.warning { border-left: 3px solid var(--lost); padding-left: .75rem; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg rect.kept { fill: var(--kept); } svg rect.lost { fill: var(--lost); }
span.note, td.note { color: var(--soft); font-size: 13px; }
table.matrix td.n { font-size: 12px; padding: .2rem .3rem;
  background: color-mix(in srgb, var(--lost) calc(var(--share) * 70%), transparent); }
code { font: 13px/1.4 ui-monospace, monospace; }
"""


def page(
    document: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    extras: Mapping[str, Any],
) -> str:
    """The whole page from a ledger, the rule catalogue, the configuration and stage reports."""
    stages = document["stages"]
    sections = [
        _heading(stages, document.get("digest", {}), config),
        _funnel(stages),
        _rules(stages, rules),
        _overlap(extras.get("overlap")),
        duplicates.section(extras.get("dedup"), config),
        _losses(extras.get("losses")),
        _skipped(stages.get("extract", {})),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>decant run report</title><style>{STYLE}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _losses(rows: Sequence[Mapping[str, Any]] | None) -> str:
    """What could not be read, the most bytes first; empty where nothing was lost."""
    if not rows:
        return ""
    cells = [
        f'<tr><td>{escape(str(row["file_path"]))}</td><td class="n">{row["bytes"]:,}</td>'
        f'<td class="n">{"" if row["offset"] is None else format(row["offset"], ",")}</td>'
        f"<td>{escape(row['reason'])}</td></tr>"
        for row in rows[:SHOWN_LOSSES]
    ]
    total = sum(row["bytes"] for row in rows)
    caption = f"{total:,} bytes, {len(rows):,} entries; the largest are shown, all: losses.parquet"
    return table(
        "Bytes that gave nothing", caption, head("file", "bytes#", "at byte#", "why"), cells
    )


def _heading(stages: Mapping[str, Any], digest: Mapping[str, str], config: Mapping) -> str:
    first = next((stages[name] for name in STAGES if name in stages), {"in": 0})
    figures = [("records in", f"{first['in']:,}")]
    if "shard" in stages:
        shard = stages["shard"]
        tokens = shard.get("tokens") or 0
        figures += [
            ("documents published", f"{shard['kept']:,}"),
            ("kept of records", _percent(shard["kept"], first["in"])),
            ("text", f"{shard['text_bytes'] / 1e6:,.1f} MB"),
            ("tokens", f"{tokens:,}" if tokens else "not counted"),
            ("shards", f"{shard['shards']:,}"),
        ]
    boxes = "".join(
        f'<div class="figure"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in figures
    )
    dump = (config.get("input") or {}).get("dump") or "dump named by the files"
    note = f"{escape(str(dump))} · extractor {escape(str(config.get('extractor', '')))}"
    if digest:
        note += f" · documents <code>{escape(digest['documents'][:16])}</code>"
    return f'<h1>decant run report</h1><p class="note">{note}</p><div class="figures">{boxes}</div>'


def _funnel(stages: Mapping[str, Any]) -> str:
    rows = []
    first = max(1, next((stages[name]["in"] for name in STAGES if name in stages), 1))
    for name in STAGES:
        if name not in stages:
            continue
        entry = stages[name]
        dropped = sum(entry["dropped"].values())
        bar = _bar(
            (entry["kept"] / first, "kept"),
            (dropped / first, "lost"),
            (entry["errors"] / first, "error"),
        )
        cells = (entry["in"], entry["kept"], dropped, entry["errors"])
        numbers = "".join(f'<td class="n">{value:,}</td>' for value in cells)
        share = _percent(entry["kept"], first)
        rows.append(f'<tr><td>{name}</td>{numbers}<td class="n">{share}</td><td>{bar}</td></tr>')
    columns = head("stage", "in#", "kept#", "dropped#", "errors#", "kept of all#", "")
    caption = (
        "Rows in = kept + dropped + errors at every stage, and each stage takes in what the "
        "one before it kept; a run that does not balance fails. Blue kept, amber dropped, red "
        "errors, all as shares of the records read."
    )
    return table("Funnel", caption, columns, rows)


def _rules(stages: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> str:
    known = {rule["name"]: (place, rule) for place, rule in enumerate(rules)}
    rows = []
    for stage in STAGES:
        entry = stages.get(stage, {"in": 0, "dropped": {}})
        most = max([1, *entry["dropped"].values()])
        for name in sorted(entry["dropped"], key=lambda name: (known.get(name, (99, {}))[0], name)):
            _, rule = known.get(name, (99, {}))
            count = entry["dropped"][name]
            rows.append(
                f"<tr><td>{stage}</td><td><code>{escape(name)}</code></td>"
                f"<td>{_keeps(rule.get('keep', ''))}</td>"
                f'<td class="n">{count:,}</td><td class="n">{_percent(count, entry["in"])}</td>'
                f"<td>{_bar((count / most, 'lost'))}</td>"
                f'<td class="note">{escape(str(rule.get("source", "")))}</td></tr>'
            )
    columns = head("stage", "rule", "keeps", "dropped#", "of stage input#", "", "source")
    caption = "Each dropped document is counted once, under the first rule it fails."
    return table("Rules", caption, columns, rows)


def _overlap(overlap: Mapping[str, Any] | None) -> str:
    if not overlap:
        return ""
    warnings = "".join(
        f'<p class="warning">{escape(str(warning))}</p>' for warning in overlap.get("warnings", [])
    )
    if not overlap.get("rules"):
        return f"<h2>Alarms</h2>{warnings}" if warnings else ""
    rows = [_measure_row(name, entry) for name, entry in overlap["rules"].items()]
    columns = head("rule", "keeps", "fails it#", "fails it alone#", "its measure, and the bound")
    caption = (
        f"Over all {overlap['documents']:,} documents that reached the rules, whatever else they "
        "failed. Bars: square root of the count; amber is dropped, the dashed line is the bound."
    )
    matrix = charts.overlap_matrix(overlap["overlap"]["rules"], overlap["overlap"]["both"])
    if matrix:
        matrix = (
            '<h2>Overlap</h2><p class="note">Of the documents that fail the row\'s rule, the '
            f"share that also fails the column's.</p>{matrix}"
        )
    return table("Measures", caption, columns, rows) + warnings + matrix


def _measure_row(name: str, entry: Mapping[str, Any]) -> str:
    bounds = entry["keep"]
    ends = [value if isinstance(value, list) else [value] for value in bounds.values()]
    cuts = [cut for pair in ends for cut in pair]
    bars = entry["histogram"]
    chart = charts.histogram(bars["edges"], bars["counts"], cuts, bounds)
    unit = f'<br><span class="note">{escape(entry["unit"])}</span>'
    return (
        f"<tr><td><code>{escape(name)}</code>{unit}</td><td>{_keeps(bounds)}</td>"
        f'<td class="n">{entry["failed"]:,}</td><td class="n">{entry["solo"]:,}</td>'
        f"<td>{chart}</td></tr>"
    )


def _keeps(bounds: Any) -> str:
    """Bounds in words: `at most 0.2`; a rule without numbers says it itself."""
    if not isinstance(bounds, Mapping):
        return escape(str(bounds))
    parts = []
    for key, value in bounds.items():
        ends = value if isinstance(value, list) else [value]
        parts.append(f"{key.replace('_', ' ')} {' and '.join(f'{end:,.12g}' for end in ends)}")
    return escape(", ".join(parts))


def _skipped(extract: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><td>{escape(str(kind))}</td><td class="n">{count:,}</td></tr>'
        for kind, count in (extract.get("skipped") or {}).items()
    ]
    if not rows:
        return ""
    caption = "WARC records of other types; they carry no page and stand outside the equation."
    return table("Skipped records", caption, head("type", "records#"), rows)


def _bar(*parts: tuple[float, str]) -> str:
    pieces = "".join(
        f'<i class="{kind}" style="width:{share:.2%}"></i>' for share, kind in parts if share > 0
    )
    return f'<div class="bar">{pieces}</div>'


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"
