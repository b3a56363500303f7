"""Scores of models trained elsewhere: a harness's sample files, or a table run x task x question.

Sample files are those of lm-evaluation-harness with `--log_samples`, of multiple-choice tasks:
`…/RUN/…/samples_TASK_DATE.jsonl`. A run is found by the folder that has its name. A table is CSV or
JSONL with the columns run, task, question and bpb (bits per byte of the right answer), and acc and
acc_norm where they are known.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decant.ablations.elsewhere.parts import ResultsError
from decant.ablations.scoring.score import LN2

SAMPLES = re.compile(r"samples_(.+)_\d{4}-\d{2}-\d{2}T[\d:.-]+\.jsonl")
LONGEST_LINE = 16_000_000


@dataclass
class Results:
    """What each run scored: bits per byte of right answers, acc and acc_norm where known."""

    bpb: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)  # run, task, question
    acc: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)

    def add(self, where: str, run: str, row: Row) -> None:
        """One question's score; a second one of the same run and question is refused."""
        questions = self.bpb.setdefault(run, {}).setdefault(row.task, {})
        if row.question in questions:
            raise ResultsError(
                f"{where}: run {run} has a second score of question {row.question} of {row.task}"
            )
        questions[row.question] = row.bpb
        if row.acc is not None and row.acc_norm is not None:
            self.acc.setdefault(run, {}).setdefault(row.task, []).append((row.acc, row.acc_norm))


@dataclass(frozen=True)
class Row:
    """One question's score."""

    task: str
    question: str
    bpb: float
    acc: float | None = None
    acc_norm: float | None = None


def read_results(paths: Sequence[Path], runs: Collection[str]) -> tuple[Results, list[str]]:
    """(scores of these runs, runs among the results that play no part and are left out)."""
    results, strangers = Results(), {}
    for path in _files(paths):
        if SAMPLES.fullmatch(path.name):
            for where, row in _samples(path):
                results.add(where, _run_of(path, runs), row)
        else:
            for where, run, row in _table(path):
                if run in runs:
                    results.add(where, run, row)
                else:
                    strangers[run] = None
    _same_questions(results)
    return results, list(strangers)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the sample files under the folders named, in order."""
    files = []
    for path in paths:
        inside = sorted(path.rglob("samples_*.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise ResultsError(f"{path} has no samples_*.jsonl: run the harness with --log_samples")
        files += inside
    return files


def _run_of(path: Path, runs: Collection[str]) -> str:
    for name in reversed(path.parts[:-1]):
        if name in runs:
            return name
    raise ResultsError(f"{path}: no folder of its path is the name of a run")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of a JSONL file."""
    try:
        with path.open(encoding="utf-8") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                where = f"{path}:{number}"
                if len(line) > LONGEST_LINE:
                    raise ResultsError(f"{where} is over {LONGEST_LINE:,} characters long")
                if line.strip():
                    yield where, _object(where, line)
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error


def _object(where: str, line: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{where} is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise ResultsError(f"{where} is no object")
    return data


def _samples(path: Path) -> Iterator[tuple[str, Row]]:
    """The right answers' scores of one sample file of the harness."""
    match = SAMPLES.fullmatch(path.name)
    assert match is not None
    for where, sample in _lines(path):
        try:
            gold = int(sample["target"])
            replies = sample["filtered_resps"]
            answer = sample["arguments"][f"gen_args_{gold}"]["arg_1"]
            if not 0 <= gold < len(replies):
                raise ValueError(f"target {gold} of {len(replies)} answers")
            nats = float(replies[gold][0])
            size = max(len(answer.removeprefix(" ").encode("utf-8", "replace")), 1)
            question = str(sample["doc_id"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ResultsError(
                f"{where}: no multiple-choice sample of lm-evaluation-harness: "
                f"{type(error).__name__}: {error}"
            ) from error
        yield where, Row(
            match[1], question, _finite(where, "log-likelihood", -nats / (LN2 * size)),
            _optional(where, sample, "acc"), _optional(where, sample, "acc_norm"),
        )  # fmt: skip


def _table(path: Path) -> Iterator[tuple[str, str, Row]]:
    """(file:line, run, score) of each row of a CSV or JSONL table."""
    rows = _lines(path) if path.suffix == ".jsonl" else _csv_rows(path)
    for where, row in rows:
        missing = [n for n in ("run", "task", "question", "bpb") if row.get(n) in (None, "")]
        if missing:
            raise ResultsError(f"{where}: no {', '.join(missing)}")
        bpb = _finite(where, "bpb", row["bpb"])
        acc, acc_norm = (_optional(where, row, name) for name in ("acc", "acc_norm"))
        yield (
            where,
            str(row["run"]),
            Row(str(row["task"]), str(row["question"]), bpb, acc, acc_norm),
        )


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield f"{path}:{reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error


def _finite(where: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ResultsError(f"{where}: {name} {value!r} is no number") from error
    if not math.isfinite(number):
        raise ResultsError(f"{where}: {name} is {number}: leave a run that diverged out")
    return number


def _optional(where: str, row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    return None if value in (None, "") else _finite(where, name, value)


def _same_questions(results: Results) -> None:
    """Refuses runs that were scored on other questions than the first."""
    runs = iter(results.bpb.items())
    first = next(runs, None)
    if first is None:
        raise ResultsError("the results hold no run that plays a part")
    name, tasks = first
    for run, others in runs:
        if set(others) != set(tasks):
            raise ResultsError(
                f"run {run} was scored on {', '.join(sorted(others))}, run {name} on "
                f"{', '.join(sorted(tasks))}"
            )
        for task, questions in tasks.items():
            apart = set(questions) ^ set(others[task])
            if apart:
                raise ResultsError(
                    f"runs {name} and {run} were scored on other questions of {task}: "
                    f"{len(apart)} are of one alone, as {sorted(apart)[0]}"
                )
