"""What deduplication will cost before it runs: tasks, objects, scratch bytes, memory per task.

    python -m decant.pipeline.dedup.cost --documents 1e9 1e10 --memory-mb 8000

The layout is the one the stage would choose. Traffic follows from shares that a smaller run's
`report.json` gives: documents in clusters, and bands that a duplicate shares with a bucket's head.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.formats import (
    band_type,
    choice_type,
    member_of_bucket_type,
    member_type,
    pair_type,
    request_type,
    score_type,
    sketch_type,
)
from decant.pipeline.dedup.layout import Layout, plan
from decant.pipeline.dedup.merging import ENOUGH_PIECES, LOCAL_PIECE_BYTES, REMOTE_PIECE_BYTES

DUPLICATES = 0.4  # share of documents that meet an earlier one; about that of one dump
BANDS_SHARED = 8  # of 14, by a pair that meets
OTHERS = 1.3  # distinct bucket heads of a duplicate


@dataclass(frozen=True)
class Exchange:
    """One step's traffic: records from `senders` tasks to the tasks that own `bins` bins."""

    name: str
    senders: int
    bins: int
    records: float
    width: int

    @property
    def bytes(self) -> float:
        return self.records * self.width


def exchanges(layout: Layout, duplicates: float = DUPLICATES) -> list[Exchange]:
    """The exchanges of the cluster mode, in order."""
    rows, slots = layout.docs - layout.earlier, layout.slots
    lost = rows * duplicates
    others = lost * OTHERS
    kind = layout.doc_type
    sketch = sketch_type(kind, layout.permutations).itemsize
    width = request_type(kind).itemsize
    scores = score_type(kind).itemsize
    paired = lost * BANDS_SHARED * layout.bands / 14
    return [
        Exchange("band keys", slots, layout.bins, rows * layout.bands, band_type(kind).itemsize),
        Exchange("pairs", layout.bins, slots, paired, pair_type(kind).itemsize),
        Exchange("requests", slots, slots, others, width),
        Exchange("answers", slots, slots, others, sketch),
        Exchange("scores", slots, 1, others, scores),
        Exchange("members", slots, slots, 2 * lost, member_type(kind).itemsize),
        Exchange("choices", slots, slots, 2 * lost, choice_type(kind).itemsize),
        Exchange("requests again", slots, slots, lost, width),
        Exchange("answers again", slots, slots, lost, sketch),
        Exchange("names", slots, slots, lost, member_of_bucket_type(kind).itemsize + 47),
    ]


def merge_rounds(exchange: Exchange, payload: int, remote: bool) -> tuple[int, int]:
    """(rounds, objects): what `settle` does until pieces are large enough."""
    least = min(REMOTE_PIECE_BYTES if remote else LOCAL_PIECE_BYTES, max(payload // 16, 1))
    files = exchange.senders * max(1, math.ceil(exchange.bytes / exchange.senders / payload))
    per_bin, objects, rounds = files, files, 0
    pieces = files * exchange.bins
    while per_bin > ENOUGH_PIECES and exchange.bytes < least * pieces:
        groups = math.ceil(per_bin / max(2, payload // least))
        ranges = objects // per_bin
        parts = max(1, math.ceil(exchange.bytes / groups / ranges / payload))
        per_bin, pieces = groups, groups * exchange.bins
        rounds, objects = rounds + 1, groups * ranges * parts
    return rounds, objects


def cost(documents: int, config: RunConfig, remote: bool = True) -> dict[str, float]:
    """Tasks, objects, bytes of scratch and of traffic, and memory for this many documents."""
    layout = plan(documents, 0, config)
    sketches = documents * layout.permutations * 4
    tasks = objects = scratch = traffic = rounds = 0.0
    for exchange in exchanges(layout):
        merges, files = merge_rounds(exchange, layout.payload, remote)
        tasks += exchange.senders + (files if merges else 0)
        objects += files * (1 + merges)
        scratch += exchange.bytes * (1 + merges)
        traffic += 2 * exchange.bytes * (1 + merges)
        rounds = max(rounds, merges)
    width = np.dtype(layout.doc_type).itemsize
    return {
        "documents": documents,
        "slots": layout.slots,
        "bins": layout.bins,
        "tasks": tasks + 3 * layout.slots,
        "objects": objects + 3 * layout.slots,
        "merge_rounds": rounds,
        "scratch_gb": (scratch + sketches) / 1e9,
        "traffic_gb": (traffic + 3 * sketches + documents * layout.permutations * 8) / 1e9,
        "task_memory_gb": config.dedup.memory_mb / 1e3,
        "closure_gb": documents * (width + 1) / 1e9,
        "closure_in_memory": documents * (width + 1) + 2 * layout.payload
        <= config.dedup.memory_mb << 20,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=float, nargs="+", default=[1e8, 1e9, 1e10])
    parser.add_argument("--memory-mb", type=int, default=8_000)
    args = parser.parse_args(arguments)
    config = RunConfig.model_validate({"dedup": {"memory_mb": args.memory_mb}})
    costs = [cost(int(count), config) for count in args.documents]
    print("| " + " | ".join(costs[0]) + " |\n|" + "---|" * len(costs[0]))
    for one in costs:
        cells = (f"{value:,.0f}" if value >= 10 else f"{value:,.1f}" for value in one.values())
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
