"""The conservation ledger: rows in = kept + dropped + errors, at each stage, or the run fails."""

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from decant.pipeline.engine import checked_json

STAGES = ("extract", "filter", "deduplicate", "shard")
EQUATION = ("in", "kept", "errors", "dropped")


class LedgerError(Exception):
    """Rows were lost or invented; the message gives the stage and the sum that does not hold."""


def add(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One stage's ledger entry from the counts of its tasks; numbers add, tables of numbers merge.

    >>> add([{"in": 2, "dropped": {"language": 1}}, {"in": 1, "dropped": {"language": 1}}])
    {'dropped': {'language': 2}, 'in': 3}
    """
    total: dict[str, Any] = {}
    for one in counts:
        for key, value in one.items():
            if isinstance(value, Mapping):
                total[key] = add([total.get(key, {}), value])
            elif isinstance(value, int) and not isinstance(value, bool):
                total[key] = total.get(key, 0) + value
    return dict(sorted(total.items()))


def check(stage: str, entry: Mapping[str, Any]) -> None:
    """Raise LedgerError unless the stage's rows in equal kept + dropped + errors."""
    dropped = sum(entry["dropped"].values())
    accounted = entry["kept"] + dropped + entry["errors"]
    if entry["in"] != accounted:
        raise LedgerError(
            f"{stage}: {entry['in']} rows in, but {entry['kept']} kept + {dropped} dropped + "
            f"{entry['errors']} errors = {accounted}; this is a defect, please report it"
        )


def check_chain(stages: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise LedgerError unless every stage took in exactly what the one before it kept."""
    present = [stage for stage in STAGES if stage in stages]
    for before, after in itertools.pairwise(present):
        kept, taken = stages[before]["kept"], stages[after]["in"]
        if kept != taken:
            raise LedgerError(f"{before} kept {kept} rows, but {after} took in {taken}")


def encode(stages: Mapping[str, Mapping[str, Any]], digest: Mapping[str, str]) -> bytes:
    """`ledger.json`: the same bytes for any number of workers."""
    ordered = {stage: _ordered(stages[stage]) for stage in STAGES if stage in stages}
    document = {"stages": ordered, "digest": dict(digest)}
    return checked_json.encode(document, indent=2)


def _ordered(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The equation first, then whatever else a stage counts, by name."""
    rest = {key: entry[key] for key in sorted(entry) if key not in EQUATION}
    return {key: entry[key] for key in EQUATION} | rest


def digest_of(lines: Iterable[str]) -> str:
    """sha256 (hex) over lines in the order given; callers give them in key order."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()
