"""What the arms of each rule score on the benchmarks, as a table that a reader expects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from decant.ablations.judging.outcome import RungOutcome

FIRST = ("hellaswag", "arc_easy", "arc_challenge", "mmlu")  # what data work is shown on
ARMS = ("without", "with")


def task_names(outcome: RungOutcome) -> list[str]:
    """The tasks that some rule was scored on, the four that everybody knows first."""
    names = dict.fromkeys(task for tasks in outcome.tasks for task in tasks)
    return [t for t in FIRST if t in names] + [t for t in names if t not in FIRST]


def rows(outcome: RungOutcome, tasks: Sequence[str], show: Any) -> list[list[str]]:
    """One row per rule and arm: rule, design, arm, then `show(task's scores, arm)` of each task."""
    return [
        [verdict.effect.name, verdict.effect.design, arm, *(show(scores[t], arm) for t in tasks)]
        for verdict, scores in zip(outcome.verdicts, outcome.tasks, strict=True)
        if all(task in scores for task in tasks)
        for arm in ARMS
    ]


def full(scores: dict[str, Any], arm: str) -> str:
    """acc, acc_norm and bits per byte of right answers, as `.259 .254 1.234`."""
    means = scores[arm]
    return f"{_share(means['acc'])} {_share(means['acc_norm'])} {means['gold_bpb']:.3f}"


def with_spread(scores: dict[str, Any], arm: str) -> str:
    """As `full`, each with one sd between the trainings of the arm where there are several."""
    means, sds = scores[arm], scores.get(f"{arm}_sd", {})
    parts = []
    for name, text in zip(("acc", "acc_norm", "gold_bpb"), full(scores, arm).split(), strict=True):
        sd = sds.get(name)
        known = sd is not None and not math.isnan(sd)
        parts.append(f"{text} ± {sd:.3f}" if known and name in means else text)
    return " · ".join(parts)


def accuracy(scores: dict[str, Any], arm: str) -> str:
    """acc and acc_norm alone, as `.259 .254`."""
    return " ".join(full(scores, arm).split()[:2])


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def markdown(outcome: RungOutcome) -> list[str]:
    """The table with every task, for verdict.md; nothing where no task was scored."""
    tasks = task_names(outcome)
    table = rows(outcome, tasks, full)
    if not tasks or not table:
        return []
    return [
        "Scores of each rule's arms, means over their models: acc, acc_norm, bits per byte of the "
        "right answers. They decide nothing: what accuracy moves by at this scale is mostly noise.",
        "",
        f"| rule | design | arm | {' | '.join(tasks)} |",
        "|---" * (len(tasks) + 3) + "|",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
    ]


def short(outcome: RungOutcome) -> list[str]:
    """acc and acc_norm of the best-known tasks, for a terminal."""
    tasks = [t for t in task_names(outcome) if t in FIRST] or task_names(outcome)[: len(FIRST)]
    table = rows(outcome, tasks, accuracy)
    if not tasks or not table:
        return []
    cells = [["rule", "design", "arm", *tasks], *table]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return ["acc and acc_norm of the arms:", *(line.rstrip() for line in lines), ""]
