"""How often the verdicts of the n-gram rung are right: planted junk, decoys, placebos.

    python -m tests.bench.calibration --output DIR [--decoys 400] [--planted 20] [--first-seed 0]

Every study draws a pool of its own (`calibration_pools.py`) and judges one rule: a decoy that
drops a fifth of the tokens for no reason of quality, or a perfect detector of junk planted at 2,
10 or 30 %. Studies are appended to DIR/studies.jsonl as they finish; a second call goes on where
the first stopped. The table at the end is the one in ablations/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.special import betaincinv

from ablations.effects import Contrast, Design, budgets, measure
from ablations.verdict import HELPS, HURTS, Settings, judge
from tests.bench.calibration_pools import DECOYS, JUNK, make_study

SHARES = (0.10, 0.02, 0.30)
DECOY_FRACTION = 0.2
DOCUMENTS = 900  # about 0.3 million tokens a pool


def run_study(kind: str, share: float, seed: int) -> dict:
    """One study: a fresh pool, one rule, its verdict and what it cost."""
    started = time.process_time()
    planted = kind in JUNK
    study = make_study(seed, DOCUMENTS, {kind: share} if planted else {}, 0.0 if planted else share)
    everything = np.ones(len(study.pool), dtype=bool)
    contrast = Contrast(kind, "add-one-in", everything, everything & ~study.drops[kind])
    design = Design(seed=seed)
    budget = budgets(study.pool, [contrast], design)
    effect = measure(study.pool, contrast, design, budget, study.score)
    verdict = judge([effect], study.signals, Settings())[0]
    found = verdict.overall
    assert found is not None, effect.problem
    return {
        "kind": kind, "share": share, "seed": seed, "verdict": verdict.label,
        "effect": found.effect, "p": found.p, "detectable": found.detectable,
        "margin": found.margin, "cpu_s": round(time.process_time() - started, 2),
    }  # fmt: skip


def plan(decoys: int, planted: int, first_seed: int) -> list[tuple[str, float, int]]:
    """(kind, share, seed) of every study; each seed is a pool of its own, used once."""
    studies = [(DECOYS[i % len(DECOYS)], DECOY_FRACTION, first_seed + i) for i in range(decoys)]
    offset = first_seed + 1_000_000
    for share in SHARES:
        for kind in JUNK:
            studies += [(kind, share, offset + i) for i in range(planted)]
            offset += planted
    return studies


def upper_bound(hits: int, n: int, level: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound on a rate."""
    return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, level))


def table(rows: list[dict]) -> str:
    """The results as Markdown."""
    lines = [
        "| rule | share of tokens | studies | HELPS | HURTS | neither "
        "| mean effect (bpb) | median detectable | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    groups = defaultdict(list)
    for row in rows:
        groups[row["kind"] not in JUNK, row["share"], row["kind"]].append(row)
        if row["kind"] not in JUNK:
            groups[True, row["share"], "all decoys"].append(row)
    for (_, share, kind), found in sorted(groups.items()):
        counts = [sum(r["verdict"] == v for r in found) for v in (HELPS, HURTS)]
        counts.append(len(found) - sum(counts))
        lines.append(
            f"| {kind} | {share:.0%} | {len(found)} | " + " | ".join(map(str, counts))
            + f" | {np.mean([r['effect'] for r in found]):+.4f}"
            + f" | {np.median([r['detectable'] for r in found]):.4f}"
            + f" | {np.mean([r['cpu_s'] for r in found]):.1f} |"
        )  # fmt: skip
    return "\n".join([*lines, "", *_summary(rows)])


def _summary(rows: list[dict]) -> list[str]:
    decoys = [r for r in rows if r["kind"] not in JUNK]
    false = sum(r["verdict"] in (HELPS, HURTS) for r in decoys)
    lines = []
    if decoys:
        lines.append(
            f"False verdicts on decoys: {false} of {len(decoys)} = {false / len(decoys):.1%}, "
            f"upper 95 % bound {upper_bound(false, len(decoys)):.1%}."
        )
    for share in SHARES:
        planted = [r for r in rows if r["kind"] in JUNK and r["share"] == share]
        right = sum(r["verdict"] == HELPS for r in planted)
        if planted:
            lines.append(f"Junk at {share:.0%}: {right} of {len(planted)} judged HELPS.")
    return lines


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--decoys", type=int, default=400)
    parser.add_argument("--planted", type=int, default=20, help="studies per kind and share")
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    log = arguments.output / "studies.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(r["kind"], r["share"], r["seed"]) for r in rows}
    with log.open("a") as out:
        for study in plan(arguments.decoys, arguments.planted, arguments.first_seed):
            if study in done:
                continue
            rows.append(run_study(*study))
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
            print(rows[-1], file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    main()
