"""A rung's learning rate, chosen by what its runs reach and by how far they differ.

    python -m decant.ablations.rungs.rates STUDY --rung cpu-xs

STUDY is the directory of any study of the text at hand: its pool is what the runs read. Every run
of a rate reads the same documents in an order of its own, from an initialisation of its own, and is
measured on domains that none of them read. The spread between these runs is the noise that every
effect on this rung carries, so a rate is chosen before more runs are paid for: of the rates that
reach the best bits per byte within that noise, the quietest.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from decant.ablations.arms.pool import Pool, draw
from decant.ablations.arms.pool_files import load_pool
from decant.ablations.rungs.ladder import Rung, rung
from decant.ablations.rungs.stream import documents_of
from decant.ablations.rungs.train import TrainingDiverged, train
from decant.ablations.scoring.score import bits_per_byte
from decant.pipeline.engine.storage import Store

HELDOUT_TOKENS = (
    60_000  # scored of the domains that no run reads: half a second at 0.4 M parameters
)
HELDOUT_SHARE = 0.2  # of the domains, by tokens


@dataclass(frozen=True)
class RateNoise:
    """The runs of one rate: bits per byte of each; empty where a run diverged."""

    rate: float
    bpb: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.bpb)) if self.bpb else float("inf")

    @property
    def sd(self) -> float:
        return float(np.std(self.bpb, ddof=1)) if len(self.bpb) > 1 else float("inf")


def measure_rates(
    pool: Pool, step: Rung, rates: Sequence[float], runs: int, tokens: int, folder: Path
) -> list[RateNoise]:
    """The noise of each rate; finished runs under `folder` are read back."""
    part = pool.data_seeds(round(1 / HELDOUT_SHARE), seed=0)
    read = draw(pool.lengths, pool.lengths, part != 0, pool.priority(1), tokens).documents
    sample = draw(pool.lengths, pool.lengths, part == 0, pool.priority(2), HELDOUT_TOKENS).documents
    texts = [pool.tokens[pool.first[d] : pool.first[d + 1]].tolist() for d in sample]
    size = pool.size_bytes[sample].sum()
    noises = []
    for rate in rates:
        bpb: list[float] = []
        for run in range(runs):
            order = np.random.default_rng(run).permutation(read)
            stream = documents_of(pool.tokens, pool.first, order, pool.eos)
            try:
                model = train(
                    step, stream, seed=run, out_dir=folder / f"{step.name}-{rate:g}-{run}",
                    learning_rate=rate, tokens=len(stream), eos=pool.eos,
                )  # fmt: skip
            except TrainingDiverged:
                bpb = []
                break
            nats = model.loglikelihood([[pool.eos]] * len(texts), texts).sum()
            bpb.append(float(bits_per_byte(nats, size)))
        noises.append(RateNoise(rate, tuple(bpb)))
    return noises


def choose(noises: Sequence[RateNoise]) -> RateNoise:
    """The quietest of the rates whose mean is within one of its own sd of the best mean.

    >>> loud, quiet = RateNoise(3e-3, (3.34, 3.30, 3.38)), RateNoise(1e-3, (3.33, 3.32, 3.34))
    >>> choose([loud, quiet]).rate
    0.001
    """
    best = min(one.mean for one in noises)
    return min((one for one in noises if one.mean - one.sd <= best), key=lambda one: one.sd)


def table(noises: Sequence[RateNoise], step: Rung) -> list[str]:
    """The rates as a table, and the line of the ladder that they ask for."""
    rows = [
        "| rate | times the rung's | mean bpb | sd between runs | runs |",
        "|---|---|---|---|---|",
    ]
    for one in noises:
        times = one.rate / step.learning_rate
        rows.append(
            f"| {one.rate:.2g} | {times:.2g} | {one.mean:.4f} | {one.sd:.4f} | {len(one.bpb)} |"
        )
    best = choose(noises)
    return [*rows, f"chosen: {best.rate:.2g}, sd {best.sd:.4f} bits per byte between runs"]


def main() -> None:
    parser = argparse.ArgumentParser(description="A rung's rate by what runs reach and differ by")
    parser.add_argument("study", help="a study directory: its pool is read")
    parser.add_argument("--rung", default="cpu-xs")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 0.5, 0.3, 0.15])
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=262_144, help="of a run")
    parser.add_argument("--output", help="keeps the runs: the same call goes on")
    options = parser.parse_args()
    pool, about = load_pool(Store(options.study))
    step = rung(options.rung).with_vocab(about["vocab_size"])
    rates = [times * step.learning_rate for times in options.times]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.output or scratch)
        noises = measure_rates(pool, step, rates, options.runs, options.tokens, folder)
    print("\n".join(table(noises, step)))


if __name__ == "__main__":
    main()
