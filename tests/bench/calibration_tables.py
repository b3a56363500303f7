"""The calibration's results as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from scipy.special import betaincinv

from ablations.verdict import HELPS, HURTS
from tests.bench.calibration_pools import DECOYS, JUNK

HEAD = [
    "| rule | share of tokens | pool (MT) | studies | HELPS | HURTS | neither "
    "| mean effect (bpb) | median detectable | CPU s |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


def tables(rows: list[dict]) -> str:
    """Made-up pools, then real pages where there are any."""
    parts = ["### Made-up pools", "", *_table(r for r in rows if r["pages"] == "made-up")]
    parts += ["", *_made_up(rows), "", "### Real pages", ""]
    real = [r for r in rows if r["pages"] == "real"]
    if not real:
        return "\n".join([*parts, "Left out: no `--run` of real pages was given."])
    return "\n".join([*parts, *_table(real), "", *_false(real), "", *_truths(rows)])


def upper_bound(hits: int, n: int, level: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound on a rate.

    >>> round(upper_bound(0, 59), 3)
    0.05
    """
    return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, level))


def _table(rows: Iterable[dict]) -> list[str]:
    groups = defaultdict(list)
    for row in rows:
        decoy = row["kind"] in DECOYS
        groups[decoy, row["share"], row["kind"], row.get("pools", 0)].append(row)
        if decoy:
            groups[True, row["share"], "all decoys", row.get("pools", 0)].append(row)
    return HEAD + [_row(key[1], key[2], found) for key, found in sorted(groups.items())]


def _row(share: float, kind: str, found: list[dict]) -> str:
    counts = [sum(r["verdict"] == v for r in found) for v in (HELPS, HURTS)]
    cells = [
        kind, f"{share:.1%}", f"{np.mean([r['tokens'] for r in found]) / 1e6:.2f}",
        len(found), *counts, len(found) - sum(counts),
        f"{np.mean([r['effect'] for r in found]):+.4f}",
        f"{np.median([r['detectable'] for r in found]):.4f}",
        f"{np.mean([r['cpu_s'] for r in found]):.1f}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _made_up(rows: list[dict]) -> list[str]:
    made = [r for r in rows if r["pages"] == "made-up"]
    lines = _false(made)
    for share in (0.02, 0.10, 0.30):
        lines += _right(f"Junk at {share:.0%}", [r for r in made if r["share"] == share])
    return lines


def _right(name: str, rows: list[dict]) -> list[str]:
    planted = [r for r in rows if r["kind"] in JUNK]
    right = sum(r["verdict"] == HELPS for r in planted)
    return [f"{name}: {right} of {len(planted)} judged HELPS."] if planted else []


def _false(rows: list[dict]) -> list[str]:
    decoys = [r for r in rows if r["kind"] in DECOYS]
    false = sum(r["verdict"] in (HELPS, HURTS) for r in decoys)
    if not decoys:
        return []
    return [
        f"False verdicts on decoys: {false} of {len(decoys)} = {false / len(decoys):.1%}, "
        f"upper 95 % bound {upper_bound(false, len(decoys)):.1%}."
    ]


def _truths(rows: list[dict]) -> list[str]:
    lines = ["| dropped by | share | truth: effect (bpb) | its t, 7 df |", "|---|---|---|---|"]
    return lines + [
        f"| {r['kind']} | {r['share']:.0%} | {r['effect']:+.4f} | {r['t']:+.1f} |"
        for r in sorted(rows, key=lambda r: (r["kind"], r["share"]))
        if r["pages"] == "truth"
    ]
