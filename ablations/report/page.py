"""A study as one web page that needs nothing else: verdicts, figures, scores, what they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from decant.ablations.judging.outcome import RungOutcome
from decant.ablations.judging.outcome import lines as rate_lines
from decant.ablations.judging.verdict import RuleVerdict
from decant.ablations.report import plots, scores
from decant.ablations.study import Study

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; font-size: 13px; } .wide { overflow-x: auto; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #8884; text-align: left;
  vertical-align: top; }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; text-align: right; }
.v { color: #fff; border-radius: 3px; padding: .1rem .4rem; font-size: 12px; font-weight: 600; }
.small { color: #777; font-size: 13px; } svg { max-width: 820px; width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #17181a; } }
"""


def as_html(
    study: Study,
    outcomes: Sequence[RungOutcome],
    figures: Mapping[str, Mapping[str, bytes]],
    cost: Mapping[str, Any],
) -> str:
    """The page; `figures` are SVG texts by rung and file name."""
    facts = study.facts
    numbers = (
        f"{facts['documents']:,} documents of {facts['domains']:,} domains, "
        f"{facts['tokens'] / 1e6:.2f} million tokens. Scored on {facts['reference_documents']} "
        f"held-out texts and {facts['questions']:,} questions; {len(study.hits)} scored texts "
        "stand in the pool and were left out."
    )
    title = f"Study of {study.config.run}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(numbers)}</p>"]
    for outcome in outcomes:
        parts += _rung(outcome, figures.get(outcome.rung, {}))
    items = "".join(f"<li>{escape(f'{name}: {value}')}</li>" for name, value in cost.items())
    parts.append(f"<h2>Cost</h2><ul>{items}</ul>")
    return document(title, parts)


def document(title: str, parts: Sequence[str]) -> str:
    """A whole HTML document around these parts."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _rung(outcome: RungOutcome, figures: Mapping[str, bytes]) -> list[str]:
    parts = [f"<h2>Rung {escape(outcome.rung)}</h2>", f"<p>{escape(outcome.says)}</p>"]
    parts += [f"<p>{escape(line)}</p>" for line in rate_lines(outcome.rates, outcome.control)]
    parts.append(verdict_table(outcome.verdicts))
    parts += [svg.decode() for name, svg in figures.items() if not name.endswith("-curves.svg")]
    parts += [*score_table(outcome), *curves(outcome)]
    parts += [svg.decode() for name, svg in figures.items() if name.endswith("-curves.svg")]
    return parts


def verdict_table(verdicts: Sequence[RuleVerdict]) -> str:
    """Each rule's verdict with its effect, interval and notes."""
    header = ("rule", "design", "tokens removed", "verdict", "effect", "95 % interval", "q",
              "detectable", "notes")  # fmt: skip
    return _table(header, [_verdict_cells(verdict) for verdict in verdicts])


def _verdict_cells(verdict: RuleVerdict) -> list[str]:
    effect, overall = verdict.effect, verdict.overall
    numbers = [""] * 4
    if overall:
        numbers[0] = f"{overall.effect:+.4f}"
        if not math.isnan(overall.q):
            numbers[1:] = [
                f"{overall.low:+.4f} … {overall.high:+.4f}", f"{overall.q:.3f}",
                f"{overall.detectable:.4f}",
            ]  # fmt: skip
    colour = plots.COLOURS.get(verdict.label, "#8a8a8a")
    label = f'<span class="v" style="background:{colour}">{verdict.label or "diagnostic"}</span>'
    return [
        _cell(effect.name), _cell(effect.design), _number(f"{effect.removed_fraction:.2%}"),
        f"<td>{label}</td>", *(_number(n) for n in numbers), _cell("; ".join(verdict.caveats)),
    ]  # fmt: skip


def score_table(outcome: RungOutcome) -> list[str]:
    """acc, acc_norm and bits per byte of right answers of every arm; empty without tasks."""
    tasks = scores.task_names(outcome)
    rows = scores.rows(outcome, tasks, scores.with_spread)
    if not tasks or not rows:
        return []
    cells = [[*map(_cell, row[:3]), *map(_number, row[3:])] for row in rows]
    said = (
        "acc · acc_norm · bits per byte of the right answers, means over an arm's models ± one sd "
        "between them. Shown, not judged: at small scales accuracy moves by noise."
    )
    return [
        "<h3>Benchmarks</h3>", f'<p class="small">{said}</p>',
        _table(("rule", "design", "arm", *tasks), cells),
    ]  # fmt: skip


def curves(outcome: RungOutcome) -> list[str]:
    """The learning curves of each judged rule's arms, over the healthy signals."""
    healthy = [j for j, state in enumerate(outcome.health) if state.healthy]
    parts = []
    for verdict, curve in zip(outcome.verdicts, outcome.curves, strict=True):
        if verdict.overall and healthy and len(curve.get("shares", ())) > 1:
            arms = {arm: np.array(curve[arm])[:, :, healthy].mean(axis=2) for arm in scores.ARMS}
            title = f"{verdict.effect.name} ({verdict.effect.design}): learning curves"
            parts.append(plots.arm_curves(title, curve["shares"], arms))
    return ["<h3>Learning curves</h3>", *parts] if parts else []


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
        "</div>"
    )


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(text: str) -> str:
    return f'<td class="n">{escape(text)}</td>'
