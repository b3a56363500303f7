"""A study's results as verdict.md, verdict.json and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from decant.ablations.judging.outcome import RungOutcome
from decant.ablations.judging.outcome import lines as rate_lines
from decant.ablations.judging.trend import Trend
from decant.ablations.judging.verdict import Judged, RuleVerdict
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import Measured
from decant.ablations.measuring.terms import HEALTH_FRACTIONS
from decant.ablations.report import plots, scores
from decant.ablations.study import Study

SHOWN_HITS = 20


def as_json(study: Study, outcomes: Sequence[RungOutcome], cost: dict[str, Any]) -> bytes:
    """Everything a machine could ask of the study; no numbers are rounded, NaN is null."""
    data = {
        "study": study.config.model_dump(mode="json"),
        "pool": study.facts,
        "budget_per_data_seed": study.budget.tolist(),
        "contamination": [vars(hit) for hit in study.hits],
        "cost": cost,
        "rungs": [
            {
                "rung": outcome.rung,
                "says": outcome.says,
                "learning_rates": outcome.rates,
                "control_bpb": outcome.control,
                "budget_per_data_seed": study.terms(outcome.rung)[0].budget.tolist(),
                "trends": [vars(trend) for trend in outcome.trends],
                "health": [vars(state) for state in outcome.health],
                "verdicts": [
                    {**plain_verdict(verdict), "tasks": tasks, "curves": curves}
                    for verdict, tasks, curves in zip(
                        outcome.verdicts, outcome.tasks, outcome.curves, strict=True
                    )
                ],
            }
            for outcome in outcomes
        ],
    }
    return (json.dumps(clean(data), indent=1, ensure_ascii=False) + "\n").encode()


def plain_verdict(verdict: RuleVerdict) -> dict[str, Any]:
    """One verdict as plain values, for JSON."""
    effect = verdict.effect
    return {
        "name": effect.name,
        "design": effect.design,
        "verdict": verdict.label,
        "removed_fraction": effect.removed_fraction,
        "changed_documents": effect.removed_documents,
        "run_tokens": effect.run_tokens,
        "unique_tokens": effect.unique_tokens,
        "epochs": effect.epochs,
        "data_seeds": effect.values.shape[0],
        "effect_per_data_seed": effect.values.mean(axis=1).tolist() if verdict.overall else [],
        "overall": vars(verdict.overall) if verdict.overall else None,
        "signals": {name: vars(judged) for name, judged in verdict.signals.items()},
        "placebo_rank_p": verdict.rank_p,
        "placebo_sd": {k: float(v.mean(axis=(1, 2)).std(ddof=1)) for k, v in effect.null.items()},
        "caveats": verdict.caveats,
    }


def clean(value: Any) -> Any:
    """JSON has no NaN or infinity: both become null."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def as_markdown(study: Study, outcomes: Sequence[RungOutcome], cost: dict[str, Any]) -> str:
    """The verdict tables, for people."""
    facts = study.facts
    lines = [
        f"# Study of {study.config.run}",
        "",
        f"Pool: {facts['documents']:,} documents of {facts['domains']:,} domains, "
        f"{facts['tokens'] / 1e6:.2f} million tokens (a vocabulary of {facts['vocabulary']:,}), "
        f"{facts['bytes'] / 1e6:.1f} MB. Scored on {facts['reference_documents']} held-out texts "
        f"and {facts['questions']:,} questions ({facts['prompts']} prompts).",
        "",
    ]
    for outcome in outcomes:
        lines += _rung(study, outcome)
    lines += _contamination(study)
    lines += ["## Cost", "", *(f"- {name}: {value}" for name, value in cost.items()), ""]
    return "\n".join(lines)


def as_summary(outcomes: Sequence[RungOutcome]) -> str:
    """The verdicts and the arms' accuracies in short, for a terminal."""
    lines = []
    for outcome in outcomes:
        lines += [f"Rung {outcome.rung}: {outcome.says}", ""]
        cells = [_summary_cells(verdict) for verdict in outcome.verdicts]
        widths = [max(len(row[k]) for row in cells) for k in range(3)] if cells else []
        lines += [
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        lines += ["", *scores.short(outcome)]
    return "\n".join(lines)


def _summary_cells(verdict: RuleVerdict) -> tuple[str, str, str]:
    """(verdict, rule, effect with its interval)."""
    effect, overall = verdict.effect, verdict.overall
    numbers = "" if overall is None else f"{overall.effect:+.4f}"
    if overall and not math.isnan(overall.q):
        numbers += f" ({overall.low:+.4f} … {overall.high:+.4f}), q {overall.q:.3f}"
    name = f"{effect.name} ({effect.design}, {effect.removed_fraction:.1%} of tokens)"
    return verdict.label or "diagnostic", name, numbers


def _rung(study: Study, outcome: RungOutcome) -> list[str]:
    lines = [
        f"## Rung {outcome.rung}: {outcome.says}",
        "",
        f"{outcome.setup or _setup(study, outcome)} Effects in bits per byte, positive: the rule "
        "helps. q: p-value adjusted over the rules of a design; margin: below it no effect is "
        "acted on; detectable: the effect found four times in five, at the first of Holm's steps.",
        "",
        *(line + "\n" for line in rate_lines(outcome.rates, outcome.control)),
        "| rule | design | tokens removed | effect | 95 % interval | q | margin | detectable "
        "| verdict | notes |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(verdict) for verdict in outcome.verdicts),
        "",
        f"Figures: [forest](plots/{outcome.rung}-forest.svg), "
        f"[tokens kept against effect](plots/{outcome.rung}-trade-off.svg), "
        f"[curves](plots/{outcome.rung}-curves.svg).",
        "",
    ]
    return [
        *lines, *_trends(outcome.trends), *scores.markdown(outcome), *_signals(outcome),
        *_health(outcome),
    ]  # fmt: skip


def _setup(study: Study, outcome: RungOutcome) -> str:
    """How a rung that trains whole runs was measured."""
    terms = study.terms(outcome.rung)[0]
    design, budget = terms.design, ", ".join(f"{b:,.0f}" for b in terms.budget)
    return (
        f"{design.data_seeds} disjoint data seeds of {budget} {design.match} a run, "
        f"{_trainings(design)}, {design.draws} placebos of each kind "
        f"({', '.join(design.kinds)})."
    )


def _trainings(design: Design) -> str:
    if not design.own_orders:
        return f"{design.orders} document orders"
    return (
        f"each training in an order of its own, {design.with_trainings} of them of the arm with "
        "the rule"
    )


def _row(verdict: RuleVerdict) -> str:
    effect, overall = verdict.effect, verdict.overall
    cells = [effect.name, effect.design, f"{effect.removed_fraction:.2%}"]
    cells += _numbers(overall) if overall else [""] * 5
    cells += [f"**{verdict.label}**" if verdict.label else "–", "; ".join(verdict.caveats)]
    return "| " + " | ".join(cells) + " |"


def _numbers(judged: Judged) -> list[str]:
    if math.isnan(judged.q):
        return [f"{judged.effect:+.4f}", "", "", "", ""]
    return [
        f"{judged.effect:+.4f}",
        f"{judged.low:+.4f} … {judged.high:+.4f}",
        f"{judged.q:.3f}",
        f"{judged.margin:.4f}",
        f"{judged.detectable:.4f}",
    ]


def _trends(trends: Sequence[Trend]) -> list[str]:
    """One row per threshold sweep: does the effect grow as the bound gets stricter?"""
    if not trends:
        return []
    return [
        "Trend of each sweep: the slope of the effect per step of the bound, loosest first, "
        "against the slope of its placebos (tau: Kendall's, 1 where every step rises):",
        "",
        "| sweep | bounds | effects | slope a step | 95 % interval | q | tau | trend |",
        "|---|---|---|---|---|---|---|---|",
        *(_trend_row(trend) for trend in trends),
        "",
    ]


def _trend_row(trend: Trend) -> str:
    bounds = " → ".join(f"{bound:g}" for bound in trend.bounds)
    effects = " → ".join(f"{effect:+.4f}" for effect in trend.effects)
    cells = [trend.sweep, bounds, effects]
    if trend.problem:
        return "| " + " | ".join([*cells, "", "", "", "", trend.problem]) + " |"
    cells += [f"{trend.slope:+.4f}", f"{trend.low:+.4f} … {trend.high:+.4f}"]
    return (
        "| "
        + " | ".join([*cells, f"{trend.q:.3f}", f"{trend.tau:+.2f}", f"**{trend.trend}**"])
        + " |"
    )


def _signals(outcome: RungOutcome) -> list[str]:
    """Effects per signal: a rule can help one task and hurt another."""
    names = [state.signal for state in outcome.health if state.healthy]
    shown = [v for v in outcome.verdicts if v.signals]
    if not names or not shown:
        return []
    mark = {"HELPS": " ▲", "HURTS": " ▼"}
    rows = []
    for verdict in shown:
        cells = [
            f"{verdict.signals[n].effect:+.4f}{mark.get(verdict.signals[n].verdict, '')}"
            for n in names
        ]
        rows.append(f"| {verdict.effect.name} ({verdict.effect.design}) | {' | '.join(cells)} |")
    short = [n.split(":", 1)[1] for n in names]
    return [
        "Effect on each signal (▲ helps, ▼ hurts, beyond its own placebos):",
        "",
        f"| rule | {' | '.join(short)} |",
        "|---" * (len(names) + 1) + "|",
        *rows,
        "",
    ]


def _health(outcome: RungOutcome) -> list[str]:
    lines = [
        "Health of the signals (bits per byte at a quarter of the budget and at all of it; "
        "unhealthy ones, about which this corpus teaches nothing, are left out of the verdict):",
        "",
        "| signal | at a quarter | at all | sd between orders | healthy |",
        "|---|---|---|---|---|",
    ]
    for state in outcome.health:
        answer = "yes" if state.healthy else f"no: {state.reason}"
        noise = "one order" if math.isnan(state.noise) else f"{state.noise:.4f}"
        lines.append(
            f"| {state.signal} | {state.small:.4f} | {state.full:.4f} | {noise} | {answer} |"
        )
    return [*lines, ""]


def _contamination(study: Study) -> list[str]:
    lines = ["## Contamination", ""]
    if not study.hits:
        return [*lines, "No scored text shares an n-gram of words with the pool.", ""]
    lines.append(
        f"{len(study.hits)} scored texts share an n-gram of words with the pool and were left out:"
    )
    lines.append("")
    lines += [
        f"- `{hit.owner}` ({hit.share:.0%} of its n-grams), first in `{hit.document}`"
        for hit in study.hits[:SHOWN_HITS]
    ]
    if len(study.hits) > SHOWN_HITS:
        lines.append(f"- … and {len(study.hits) - SHOWN_HITS} more, all in verdict.json")
    return [*lines, ""]


def figures(study: Study, outcome: RungOutcome, measured: Measured) -> dict[str, bytes]:
    """The rung's figures by file name."""
    judged = [v for v in outcome.verdicts if v.overall]
    bars = [
        plots.Bar(
            f"{v.effect.name} ({v.effect.design})",
            v.overall.effect, v.overall.low, v.overall.high, v.label,
        )
        for v in judged if v.overall
    ]  # fmt: skip
    kept = [1.0 - v.effect.removed_fraction for v in judged]
    names = [v.effect.name for v in judged]
    points = [(k, replace(b, name=n)) for k, b, n in zip(kept, bars, names, strict=True)]
    values = measured.health
    series = {
        name.split(":", 1)[1]: values[:, :, :, j].reshape(len(values), -1)
        for j, name in enumerate(study.signals)
    }
    healthy = {state.signal.split(":", 1)[1] for state in outcome.health if state.healthy}
    margin = study.config.verdict.margin_bpb
    name = outcome.rung
    drawn = {
        f"{name}-forest.svg": plots.forest(f"Effect of each rule, rung {name}", bars, margin),
        f"{name}-trade-off.svg": plots.trade_off(
            f"Tokens kept against effect, rung {name}", points
        ),
        f"{name}-curves.svg": plots.curves(
            f"Signals as data grows, rung {name}: bits per byte against those at the first point",
            HEALTH_FRACTIONS,
            series,
            healthy,
        ),
    }
    return {file: text.encode() for file, text in drawn.items()}
