"""How often the verdicts of the n-gram rung are right: planted junk, decoys, real pages.

    python -m tests.bench.calibration --output DIR [--run RUN] [--decoys 420] [--planted 20]

Every study draws a pool and judges one rule: a decoy that drops a fifth of the tokens for no reason
of quality, a perfect detector of junk planted at 2, 10 or 30 % or at a share worth about 0.005 or
0.01 bits per byte, or, where RUN is a finished run of real pages with all measures, a detector of
the real pages that a group of its rules drops. Studies are appended to DIR/studies.jsonl as they
finish; a second call goes on where the first stopped. The tables at the end are those of
ablations/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.judging.verdict import Settings, judge
from decant.ablations.measuring.design import Design, budgets
from decant.ablations.measuring.effects import measure
from tests.bench.calibration_pools import DECOYS, JUNK, WEAK, Study, make_study
from tests.bench.calibration_real import RealStudy, load
from tests.bench.calibration_tables import tables

SHARES = (0.10, 0.02, 0.30)
DECOY_FRACTION = 0.2
DOCUMENTS = 900  # about 0.3 million tokens a made-up pool
REAL_POOLS = (5, 2)  # a deal of the real pages gives 5 pools of 0.6 million tokens, or 2 of 1.5
ORDERS = 2  # document orders of a made-up pool
# Real pages differ more: of eight trial studies at 10 % the least t was 1.9 with 2 orders, 2.8 with
# 8 and 2.5 with 24. Which pages fill an arm up is averaged out by then, taste and genre stay.
REAL_ORDERS = 8


def run_study(draw: Callable[[], Study | RealStudy], kind: str, seed: int, orders: int) -> dict:
    """One study's verdict on the rule `kind`, and what it cost with the drawing of its pool."""
    started = time.process_time()
    study = draw()
    everything = np.ones(len(study.pool), dtype=bool)
    contrast = Contrast(kind, "add-one-in", everything, everything & ~study.drops[kind])
    design = Design(seed=seed, orders=orders)
    budget = budgets(study.pool, [contrast], design)
    effect = measure(study.pool, contrast, design, budget, study.score)
    verdict = judge([effect], study.signals, Settings())[0]
    found = verdict.overall  # None where one domain is so large that a data seed is left empty
    return {
        "verdict": verdict.label,
        "effect": found.effect if found else None,
        "p": found.p if found else None,
        "detectable": found.detectable if found else None,
        "margin": found.margin if found else None,
        "tokens": len(study.pool.tokens),
        "budget": float(budget.mean()),
        "cpu_s": round(time.process_time() - started, 2),
    }


def made_up(kind: str, share: float, seed: int, orders: int) -> dict:
    """A study on a pool of a made-up language."""
    junk, decoy = ({kind: share}, 0.0) if kind in JUNK else ({}, share)
    return run_study(lambda: make_study(seed, DOCUMENTS, junk, decoy), kind, seed, orders)


def plan(decoys: int, planted: int, weak: int, first_seed: int) -> list[tuple[str, float, int]]:
    """(kind, share, seed) of every made-up study; each seed is a pool of its own, used once."""
    studies = [(DECOYS[i % len(DECOYS)], DECOY_FRACTION, first_seed + i) for i in range(decoys)]
    wanted = [(kind, share, planted) for share in SHARES for kind in JUNK]
    wanted += [(kind, WEAK[kind][k], weak) for k in (0, 1) for kind in JUNK]
    for k, (kind, share, number) in enumerate(wanted):
        offset = first_seed + 1_000_000 + 10_000 * k
        studies += [(kind, share, offset + i) for i in range(number)]
    return studies


def real_plan(groups: tuple[str, ...], studies: int) -> list[tuple[str, float, int, int]]:
    """(kind, share, number, pools a deal) of every study on real pages.

    Twice as many on large pools: of these a right verdict is expected.
    """
    small, large = REAL_POOLS
    rows = [(group, share, small) for share in SHARES for group in groups]
    rows += [(kind, DECOY_FRACTION, small) for kind in DECOYS]
    first = [(group, SHARES[0], large) for group in groups]
    return [
        (kind, share, number, pools)
        for number in range(2 * studies)
        for kind, share, pools in first + (rows if number < studies else [])
    ]


def run_missing(log: Path, arguments: argparse.Namespace) -> None:
    """Append every study that the log does not have yet."""
    done = {_key(row) for row in read_log(log)}
    with log.open("a") as out:

        def write(key: dict, found: dict) -> None:
            row = {**key, **found}
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(row, file=sys.stderr)

        amounts = (arguments.decoys, arguments.planted, arguments.weak, arguments.first_seed)
        for kind, share, seed in plan(*amounts):
            orders = arguments.orders
            key = {
                "pages": "made-up", "kind": kind, "share": share, "seed": seed, "orders": orders,
            }  # fmt: skip
            if _key(key) not in done:
                write(key, made_up(kind, share, seed, orders))
        if arguments.run:
            _real(arguments, done, write)


def _real(
    arguments: argparse.Namespace, done: set, write: Callable[[dict, dict[str, Any]], None]
) -> None:
    crawl = load(arguments.run)
    groups = tuple(crawl.dropped)
    for kind, share, number, pools in real_plan(groups, arguments.real):
        key = {
            "pages": "real", "kind": kind, "share": share, "seed": number, "pools": pools,
            "orders": REAL_ORDERS,
        }  # fmt: skip
        if _key(key) not in done:
            draw = partial(crawl.study, kind, share, number, pools)
            write(key, run_study(draw, kind, number, REAL_ORDERS))
    asked = [(group, share) for share in SHARES for group in groups]
    asked += [(kind, DECOY_FRACTION) for kind in DECOYS]
    for kind, share in asked if arguments.real else ():
        key = {"pages": "truth", "kind": kind, "share": share, "seed": 0}
        if _key(key) not in done:
            effect, t = crawl.truth(kind, share)
            write(key, {"effect": effect, "t": t})


def _key(row: dict) -> tuple:
    return tuple(row.get(k) for k in ("pages", "kind", "share", "seed", "pools", "orders"))


def read_log(log: Path) -> list[dict]:
    """The finished studies."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--run", help="a finished run of real pages with all measures")
    parser.add_argument("--decoys", type=int, default=420)
    parser.add_argument("--planted", type=int, default=20, help="studies per kind and share")
    parser.add_argument("--weak", type=int, default=20, help="per kind and expected effect")
    parser.add_argument("--real", type=int, default=20, help="per kind and share of real pages")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--orders", type=int, default=ORDERS, help="of the made-up pools")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    log = arguments.output / "studies.jsonl"
    run_missing(log, arguments)
    print(tables(read_log(log)))


if __name__ == "__main__":
    main()
