"""`decant judge RESULTS…`: the verdicts of arms that others trained and scored."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw
from decant.ablations.elsewhere.parts import ArmPart, ResultsError, parts_of, read_parts, rules
from decant.ablations.elsewhere.results import Results, read_results
from decant.ablations.judging.outcome import RungOutcome
from decant.ablations.judging.verdict import HURTS, INCONCLUSIVE, RuleVerdict, Settings, judge
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import Effect, reduce
from decant.ablations.measuring.plans import PLACEBO, WITH, WITHOUT, ContrastPlan, Training
from decant.ablations.report import rendering

FINISHED, WRONG, GATE_CLOSED = 0, 2, 4
DESIGN = "trained elsewhere"
SAYS = "models trained elsewhere, on the questions that they were scored on"


def judge_results(
    paths: Sequence[Path], arms: Path, output: Path | None, margin_bpb: float, gate: bool
) -> int:
    """The exit code: 0 done, 2 results that no verdict can be made of, 4 a closed gate."""
    try:
        parts = read_parts(arms)
        results, strangers = read_results(paths, {part.run for part in parts})
        outcome = judged(parts, results, Settings(margin_bpb=margin_bpb))
    except ResultsError as error:
        print(f"decant: {error}", file=sys.stderr)
        return WRONG
    for run in strangers:
        print(f"decant: run {run} plays no part in {arms} and is left out", file=sys.stderr)
    for run in sorted({part.run for part in parts} - set(results.bpb)):
        print(f"decant: run {run} of {arms} has no results", file=sys.stderr)
    print(rendering.as_summary([outcome]))
    if output:
        plain = [rendering.plain_verdict(verdict) for verdict in outcome.verdicts]
        text = json.dumps(rendering.clean({"verdicts": plain}), indent=1, ensure_ascii=False)
        output.write_text(text + "\n", encoding="utf-8")
    closed = any(v.label in (HURTS, INCONCLUSIVE) for v in outcome.verdicts)
    return GATE_CLOSED if gate and closed else FINISHED


def judged(parts: Sequence[ArmPart], results: Results, settings: Settings) -> RungOutcome:
    """The verdict of every rule on the tasks that all runs were scored on."""
    tasks = sorted(next(iter(results.bpb.values())))
    effects = [_effect(rule, parts_of(parts, rule), results, tasks) for rule in rules(parts)]
    if not effects:
        raise ResultsError("no part names a rule: nothing to judge")
    verdicts: list[RuleVerdict] = judge(effects, [f"task:{task}" for task in tasks], settings)
    shown = [_tasks(parts_of(parts, v.effect.name), results, tasks) for v in verdicts]
    return RungOutcome("elsewhere", SAYS, [], verdicts, shown, [{}] * len(verdicts), (), (), [])


def _effect(rule: str, parts: Sequence[ArmPart], results: Results, tasks: Sequence[str]) -> Effect:
    """One rule's effect, or which of its runs have no results: none is made of the others."""
    planned = _plan(rule, parts)
    missing = sorted({part.run for part in parts} - set(results.bpb))
    if missing:
        names = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        return Effect.unmeasured(planned, f"{len(missing)} of its runs have no results: {names}")
    for role in (WITHOUT, WITH):
        for seed in range(planned.design.data_seeds):
            if not any(p.role == role and p.data_seed == seed for p in parts):
                return Effect.unmeasured(planned, f"no run {role} the rule in data seed {seed}")
    scores = [[_mean(results.bpb[part.run][task]) for task in tasks] for part in parts]
    return reduce(planned, np.array(scores))


def _plan(rule: str, parts: Sequence[ArmPart]) -> ContrastPlan:
    """The plan that these parts would have come from, without documents."""
    placebos = [part for part in parts if part.role == PLACEBO]
    design = Design(
        data_seeds=1 + max(part.data_seed for part in parts),
        # An arm that is trained oftener than the sets is a little quieter than its error says.
        orders=_fewest([part for part in parts if part.role != WITH]),
        draws=1 + max((part.set for part in placebos), default=-1),
        kinds=tuple(dict.fromkeys(part.kind for part in placebos)),
        own_orders=True,
        with_trainings=_fewest([part for part in parts if part.role == WITH]),
    )
    nothing = np.zeros(0, dtype=bool)
    trainings = tuple(
        Training(
            part.role, part.data_seed, part.repeat, 0,
            Draw(np.zeros(0, dtype=np.int64), 0, max(part.tokens, 1), max(part.tokens, 1)),
            part.kind, part.set,
        )
        for part in parts
    )  # fmt: skip
    return ContrastPlan(Contrast(rule, DESIGN, nothing, nothing), design, trainings, 0.0, 0)


def _fewest(parts: Sequence[ArmPart]) -> int:
    """The least number of runs of the same documents among these parts, at least one."""
    counts = Counter((part.kind, part.set, part.data_seed) for part in parts)
    return min(counts.values(), default=1)


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean([scores[question] for question in sorted(scores)]))


def _tasks(parts: Sequence[ArmPart], results: Results, tasks: Sequence[str]) -> dict[str, Any]:
    """acc, acc_norm and bits per byte of the rule's two arms, where every run has them."""
    found: dict[str, Any] = {}
    for task in tasks:
        arms = {role: [p.run for p in parts if p.role == role] for role in (WITHOUT, WITH)}
        runs = [run for names in arms.values() for run in names]
        if runs and all(task in results.acc.get(run, {}) for run in runs):
            found[task] = {role: _arm(names, task, results) for role, names in arms.items()}
    return found if len(found) == len(tasks) else {}


def _arm(runs: Sequence[str], task: str, results: Results) -> dict[str, float]:
    rows = [np.mean(results.acc[run][task], axis=0) for run in runs]
    acc, acc_norm = np.mean(rows, axis=0)
    bpb = float(np.mean([_mean(results.bpb[run][task]) for run in runs]))
    return {"acc": float(acc), "acc_norm": float(acc_norm), "gold_bpb": bpb}
