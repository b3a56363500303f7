"""Which model plays which part in which contrast: the file that travels with a study's arms.

`decant ablate --export-arms` writes it as `arms.csv`; a table of one's own will do. One row per
part, since the arm with every rule plays in all contrasts:

    run,rule,role,kind,set,data_seed,repeat,tokens
    w0,*,with,,,0,0,50000000
    a0,short lines,without,,,0,0,50000000
    p7,*,placebo,domains,7,0,0,50000000

`rule` is `*` for a part in every contrast; `set` numbers a placebo's drop; trainings of the same
documents in other orders are `repeat` 0, 1, ….
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from decant.ablations.measuring.plans import PLACEBO, WITH, WITHOUT

EVERY = "*"
ROLES = (WITHOUT, WITH, PLACEBO)
MOST_PARTS = 1_000_000


class ResultsError(Exception):
    """Parts or results that no verdict can be made of; one line that says where and why."""


@dataclass(frozen=True)
class ArmPart:
    """One run's part in one contrast, or in every one."""

    run: str
    rule: str
    role: str
    kind: str = ""
    set: int = 0
    data_seed: int = 0
    repeat: int = 0
    tokens: int = 0


COLUMNS = tuple(field.name for field in fields(ArmPart))


def write_parts(path: Path, parts: Iterable[ArmPart]) -> None:
    """The parts as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(asdict(part) for part in parts)


def read_parts(path: Path) -> list[ArmPart]:
    """The parts of a CSV file, at least one; every mistake is named with its line."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [n for n in ("run", "rule", "role") if n not in (reader.fieldnames or ())]
            if missing:
                raise ResultsError(f"{path}: no column {', '.join(missing)}; it needs {COLUMNS}")
            parts = [_part(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error
    if not parts:
        raise ResultsError(f"{path} lists no run")
    _check(path, parts)
    return parts


def _part(path: Path, line: int, row: dict[str, str | None]) -> ArmPart:
    where = f"{path}:{line}"
    text = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not text["run"] or not text["rule"]:
        raise ResultsError(f"{where}: a run and a rule are needed")
    if text["role"] not in ROLES:
        raise ResultsError(f"{where}: role {text['role']!r} is none of {', '.join(ROLES)}")
    numbers = {}
    for name in ("set", "data_seed", "repeat", "tokens"):
        value = text[name] or "0"
        if not value.isascii() or not value.isdigit() or len(value) > 15:
            raise ResultsError(f"{where}: {name} {value!r} is no whole number")
        numbers[name] = int(value)
    kind = text["kind"] or (PLACEBO if text["role"] == PLACEBO else "")
    return ArmPart(text["run"], text["rule"], text["role"], kind, **numbers)


def _check(path: Path, parts: Sequence[ArmPart]) -> None:
    """Refuses two runs in one part, and data seeds that are not numbered from 0 without a gap."""
    seen: dict[tuple, str] = {}
    for part in parts:
        key = (part.rule, part.role, part.kind, part.set, part.data_seed, part.repeat)
        if key in seen:
            raise ResultsError(
                f"{path}: runs {seen[key]} and {part.run} play one part: {part.role} of rule "
                f"{part.rule}, data seed {part.data_seed}, repeat {part.repeat}"
            )
        seen[key] = part.run
    seeds = sorted({part.data_seed for part in parts})
    if seeds != list(range(len(seeds))):
        raise ResultsError(f"{path}: data seeds are {seeds}: they count from 0 without a gap")


def rules(parts: Sequence[ArmPart]) -> list[str]:
    """The rules that are judged, in the order of the file."""
    return list(dict.fromkeys(part.rule for part in parts if part.rule != EVERY))


def parts_of(parts: Sequence[ArmPart], rule: str) -> list[ArmPart]:
    """The parts in one rule's contrast."""
    return [part for part in parts if part.rule in (rule, EVERY)]
