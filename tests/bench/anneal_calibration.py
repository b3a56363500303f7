"""How often the annealing rung judges right where the truth is known: planted junk, and decoys.

    python -m tests.bench.anneal_calibration --output DIR [--size small|full] [--first-seed 0]

Each pool is a made-up language of its own with several kinds of junk planted at 5 % of its tokens
each, and decoys that drop 5 % for no reason of quality. A perfect detector of each kind and each
decoy is judged on two trunks against matched placebo sets. HELPS is right for junk; any HELPS or
HURTS is false for a decoy. Rules of one pool share its trunks, and count as studies of their own.

small: a rung of 0.1 million parameters, 18 sets and doses of 25, 50 and 50 %, a minute or two a
pool. full: cpu-xs, sixteen sets of each arm, as a study has them; about ten minutes a rule. Rules
are appended to DIR/rules.jsonl as they finish; a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from decant.ablations.annealing.branches import Sets, branches
from decant.ablations.annealing.design import KEPT, REMOVED, AnnealDesign, BranchLayout
from decant.ablations.annealing.effect import BranchScores
from decant.ablations.annealing.training import BranchTrainer
from decant.ablations.annealing.verdicts import conclude
from decant.ablations.arms.arms import Contrast
from decant.ablations.judging.verdict import HELPS, HURTS, Settings
from decant.ablations.rungs import ladder
from decant.ablations.rungs.ladder import Rung, Shape
from decant.ablations.scoring.scored import Scored
from tests.bench.calibration_pools import (
    GENRES,
    decoy_drops,
    make_language,
    make_study,
    write_domains,
)
from tests.bench.neural_planted import _encoded

SHARE = 0.05  # of the pool's tokens, for each rule
DECOYS = ("domain hash", "first letter", "topic word", "random documents")
# A rung of its own for the short form: the ladder's smallest takes seven times as long.
BENCH = Rung("bench-xs", Shape(32, 1, 2, 96, 2001, 64), 4, 3e-3, 150_000, "a bench", min_steps=1)


@dataclass(frozen=True)
class Size:
    """What a pool has and what is spent on it."""

    design: AnnealDesign
    documents: int  # honest ones, 290 tokens each
    junk: tuple[str, ...]
    decoys: tuple[str, ...]
    reference_documents: int  # a genre


SIZES = {
    "small": Size(
        AnnealDesign("bench-xs", 2, 150_016, 12_288, (0.25, 0.5, 0.5), sets=12, removed_sets=6),
        1_400, ("menu", "keyword spam", "machine noise"), DECOYS[:3], 12,
    ),
    "full": Size(
        AnnealDesign("cpu-xs", 2, 262_144, 65_536, (0.25, 0.5, 0.5)), 7_500,
        ("menu", "keyword spam", "repeated lines", "machine noise", "wrong language"), DECOYS, 20,
    ),
}  # fmt: skip


def make_layout(seed: int, size: Size) -> tuple[BranchLayout, Scored]:
    """A pool with its rules, and fresh documents of five genres to score on."""
    made = make_study(seed, size.documents, dict.fromkeys(size.junk, SHARE), 0.0)
    junk = np.logical_or.reduce([made.drops[kind] for kind in size.junk])
    rng = np.random.default_rng(seed + 2 * 10**6)
    word = int(rng.integers(100, 2000))
    # Decoys drop honest pages only: a share of what is left once the junk is gone.
    every = decoy_drops(rng, made.pool, word, SHARE)
    drops = {kind: made.drops[kind] for kind in size.junk}
    drops |= {f"decoy: {name}": every[name] & ~junk for name in size.decoys}
    kept = ~np.logical_or.reduce(list(drops.values()))
    contrasts = [Contrast(name, "leave-one-out", kept | drop, kept) for name, drop in drops.items()]
    language = make_language(np.random.default_rng(seed))  # the one that the pool was made of
    scoring = np.random.default_rng(seed + 10**6)
    references = [
        _encoded(
            f"genre {genre}",
            write_domains(scoring, language, np.array([genre]), size.reference_documents)[0],
        )
        for genre in (0, 2, 4, 6, GENRES - 1)
    ]
    layout = BranchLayout(made.pool, size.design, contrasts, tuple(range(len(contrasts))))
    return layout, Scored(tuple(references), ())


def rules(seed: int, size: Size, done: set[str]) -> Iterator[dict]:
    """The verdict on each rule of a pool that is not done yet, and its CPU seconds."""
    layout, scored = make_layout(seed, size)
    trainer = BranchTrainer(layout, scored, "cpu")
    todo = [k for k in layout.judged if layout.contrasts[k].name not in done]
    if not todo:
        return
    with tempfile.TemporaryDirectory() as scratch:
        began = time.process_time()
        folders = [Path(scratch) / f"trunk-{t}" for t in range(size.design.trunks)]
        trunks = np.stack([trainer.trunk(t, f) for t, f in enumerate(folders)], axis=1)
        shared = (time.process_time() - began) / len(layout.judged)
        for number in todo:
            began = time.process_time()
            yield {
                "rule": layout.contrasts[number].name, "seed": seed,
                **_judged(layout, trainer, trunks[:, :, None, :], folders, number),
                "cpu_s": round(time.process_time() - began + shared, 1),
            }  # fmt: skip


def _judged(
    layout: BranchLayout,
    trainer: BranchTrainer,
    trunks: np.ndarray,
    folders: list[Path],
    number: int,
) -> dict:
    one = BranchLayout(layout.pool, layout.design, layout.contrasts, (number,))
    # Placebos never read what another rule of the pool removes: `layout` says what is kept.
    assert np.array_equal(one.kept, layout.kept)
    found = {}
    if not layout.problem(number):
        values: dict[str, list] = {REMOVED: [], KEPT: []}
        sets = [Sets(layout, number, trunk) for trunk in range(layout.design.trunks)]
        for branch in branches(layout, number):
            model = trainer.branch(branch, sets[branch.trunk], folders[branch.trunk])
            values[branch.arm].append(trainer.signals(model))
        shape = (layout.design.trunks, -1, len(layout.design.doses), len(trunks[0, 0, 0]))
        arms = [np.array(values[arm]).reshape(shape) for arm in (REMOVED, KEPT)]
        overlap = tuple(one.overlap() for one in sets)
        found = {number: (BranchScores(*arms, layout.design.doses, overlap), {})}
    outcome, _ = conclude(one, trainer.scored.signals, Settings(), trunks, found)
    (verdict,) = outcome.verdicts
    judged = verdict.overall
    return {
        "verdict": verdict.label,
        "effect": judged.effect if judged else None,
        "low": judged.low if judged else None,
        "high": judged.high if judged else None,
        "p": judged.p if judged else None,
        "detectable": judged.detectable if judged else None,
        "notes": "; ".join(verdict.caveats),
    }


def interval(hits: int, of: int) -> str:
    """Clopper and Pearson's 95 % interval of a share."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits} of {of} [{low:.0%}, {high:.0%}]"


def table(rows: list[dict]) -> list[str]:
    """A line for each kind of rule, then the two shares that count."""
    lines = ["| rule | pools | HELPS | HURTS | neither | mean effect | detectable | CPU s |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in dict.fromkeys(row["rule"] for row in rows):
        mine = [row for row in rows if row["rule"] == name]
        count = [sum(row["verdict"] == label for row in mine) for label in (HELPS, HURTS)]
        known = [row for row in mine if row["effect"] is not None]
        effect, detectable = (
            np.mean([row[key] for row in known]) if known else np.nan
            for key in ("effect", "detectable")
        )
        lines.append(
            f"| {name} | {len(mine)} | {count[0]} | {count[1]} | {len(mine) - sum(count)} "
            f"| {effect:+.4f} | {detectable:.4f} | {np.mean([row['cpu_s'] for row in mine]):.0f} |"
        )
    decoys = [row for row in rows if row["rule"].startswith("decoy")]
    junk = [row for row in rows if not row["rule"].startswith("decoy")]
    false = sum(row["verdict"] in (HELPS, HURTS) for row in decoys)
    significant = sum(row["p"] is not None and row["p"] < 0.05 for row in decoys)
    if decoys:
        lines += ["", f"- False verdicts on decoys: {interval(false, len(decoys))}; p under 0.05 "
                  f"in {interval(significant, len(decoys))}."]  # fmt: skip
    if junk:
        right = sum(row["verdict"] == HELPS for row in junk)
        lines.append(f"- Junk at {SHARE:.0%} judged HELPS: {interval(right, len(junk))}.")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--pools", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    size = SIZES[options.size]
    ladder.RUNGS = (*ladder.RUNGS, BENCH)
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output / "rules.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for seed in range(options.first_seed, options.first_seed + options.pools):
        done = {row["rule"] for row in rows if row["seed"] == seed}
        for row in rules(seed, size, done):
            rows.append(row)
            with log.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(row, flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
