"""The calibration's results as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from scipy.special import betaincinv

from decant.ablations.judging.verdict import HELPS, HURTS
from tests.bench.calibration_pools import DECOYS, JUNK, WEAK

COLUMNS = (
    "rule", "share of tokens", "pool (MT)", "studies", "HELPS", "HURTS", "neither",
    "mean effect (bpb)", "median detectable", "CPU s",
)  # fmt: skip
SURE_T = 2.36  # of eight samples of domains: 5 % two-sided

Truths = dict[tuple[str, float], tuple[float, float]]  # (rule, share): (effect, t)


def tables(rows: list[dict]) -> str:
    """Made-up pools, then real pages where there are any."""
    made = [r for r in rows if r["pages"] == "made-up"]
    parts = ["### Made-up pools", "", *_table(made, {}), "", *_made_up(made)]
    parts += ["", "### Real pages", ""]
    real = [r for r in rows if r["pages"] == "real"]
    if not real:
        return "\n".join([*parts, "Left out: no `--run` of real pages was given."])
    truths = {(r["kind"], r["share"]): (r["effect"], r["t"]) for r in rows if r["pages"] == "truth"}
    return "\n".join([*parts, *_table(real, truths), "", *_real(real, truths)])


def upper_bound(hits: int, n: int, level: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound on a rate.

    >>> round(upper_bound(0, 59), 3)
    0.05
    """
    return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, level))


def _table(rows: Iterable[dict], truths: Truths) -> list[str]:
    groups = defaultdict(list)
    for row in rows:
        decoy = row["kind"] in DECOYS
        groups[decoy, row["share"], row["kind"], row.get("pools", 0)].append(row)
        if decoy and not truths:
            groups[True, row["share"], "all decoys", 0].append(row)
    names = (*COLUMNS, "truth (its t)") if truths else COLUMNS
    head = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    return head + [_row(k[1], k[2], found, truths) for k, found in sorted(groups.items())]


def _row(share: float, kind: str, found: list[dict], truths: Truths) -> str:
    counts = [sum(r["verdict"] == v for r in found) for v in (HELPS, HURTS)]
    cells = [
        kind, f"{share:.1%}", f"{np.mean([r['tokens'] for r in found]) / 1e6:.2f}",
        len(found), *counts, len(found) - sum(counts),
        f"{np.mean(_measured(found, 'effect')):+.4f}",
        f"{np.median(_measured(found, 'detectable')):.4f}",
        f"{np.mean([r['cpu_s'] for r in found]):.1f}",
    ]  # fmt: skip
    if truths:
        effect, t = truths.get((kind, share), (float("nan"), float("nan")))
        cells.append(f"{effect:+.4f} ({t:+.1f})")
    return "| " + " | ".join(map(str, cells)) + " |"


def _measured(found: list[dict], name: str) -> list[float]:
    return [r[name] for r in found if r[name] is not None] or [float("nan")]


def _made_up(made: list[dict]) -> list[str]:
    lines = _false("False verdicts on decoys", [r for r in made if r["kind"] in DECOYS])
    for share in (0.02, 0.10, 0.30):
        lines += _right(f"Junk at {share:.0%}", made, [(kind, share) for kind in JUNK])
    for k, size in enumerate(("0.005", "0.01")):
        asked = [(kind, shares[k]) for kind, shares in WEAK.items()]
        lines += _right(f"Junk worth about {size} bits per byte", made, asked)
    return lines


def _right(name: str, rows: list[dict], asked: list[tuple[str, float]]) -> list[str]:
    planted = [r for r in rows if (r["kind"], r["share"]) in asked]
    right = sum(r["verdict"] == HELPS for r in planted)
    return [f"- {name}: {right} of {len(planted)} judged HELPS."] if planted else []


def _false(name: str, rows: list[dict]) -> list[str]:
    """Clear verdicts on rules that do nothing."""
    false = sum(r["verdict"] in (HELPS, HURTS) for r in rows)
    if not rows:
        return []
    return [
        f"- {name}: {false} of {len(rows)} = {false / len(rows):.1%}, "
        f"upper 95 % bound {upper_bound(false, len(rows)):.1%}."
    ]


def _real(real: list[dict], truths: Truths) -> list[str]:
    """Where the truth has a sign, verdicts of that sign and of the other; else false ones."""
    sure = {key: effect > 0 for key, (effect, t) in truths.items() if abs(t) > SURE_T}
    lines = []
    for name, wanted in (("planted pages", False), ("decoys", True)):
        rows = [r for r in real if (r["kind"] in DECOYS) == wanted]
        known = [r for r in rows if (r["kind"], r["share"]) in sure]
        clear = [r for r in known if r["verdict"] in (HELPS, HURTS)]
        right = sum((r["verdict"] == HELPS) == sure[r["kind"], r["share"]] for r in clear)
        lines.append(
            f"- {name.capitalize()} whose truth has a sign (|t| > {SURE_T}): {right} of "
            f"{len(known)} verdicts of that sign, {len(clear) - right} of the other."
        )
        unknown = [r for r in rows if (r["kind"], r["share"]) not in sure]
        lines += _false(f"Clear verdicts on {name} whose truth has no sure sign", unknown)
    return lines
