"""Which published file holds which range of the shuffled rows, per dump."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from decant.pipeline.config import ShardConfig
from decant.pipeline.rundir import paths
from decant.pipeline.shards.shuffle import ORDER_SPAN, Range, even_ranges

FILES_PER_COUNTER = 100_000  # 000_00000.parquet … 000_99999.parquet, 001_00000.parquet

# shard.order: input cuts between these blocks of a file's bytes, whatever the partitions were.
INPUT_BLOCK_BITS = 26


@dataclass(frozen=True)
class ShardPlan:
    """One published file: which range of which dump's rows it holds."""

    path: str
    dump: str
    span: Range
    text_bytes: int  # expected, for walking the span in steps

    @property
    def key(self) -> str:
        """The task key: `CC-MAIN-2024-10-000_00003`."""
        return f"{self.dump}-{self.path.rsplit('/', 1)[1].removesuffix('.parquet')}"


def plan_shards(joined: Iterable[Mapping[str, Any]], config: ShardConfig) -> list[ShardPlan]:
    """The published files of every dump: even ranges of the shuffle key, or input blocks."""
    totals: dict[str, int] = {}
    blocks: dict[str, dict[int, int]] = {}
    for counts in joined:
        for dump, entry in counts["dumps"].items():
            totals[dump] = totals.get(dump, 0) + entry["text_bytes"]
            sizes = blocks.setdefault(dump, {})
            for block, size in entry["blocks"].items():
                sizes[int(block)] = sizes.get(int(block), 0) + size
    plans = []
    for dump in sorted(totals):
        target = config.target_bytes
        if config.order == "input":
            spans = _block_ranges(blocks[dump], target)
        else:
            spans = even_ranges(max(1, -(-totals[dump] // target)))
        for number, span in enumerate(spans):
            name = f"{number // FILES_PER_COUNTER:03d}_{number % FILES_PER_COUNTER:05d}.parquet"
            path = f"{paths.SHARD_DATA}/{dump}/{name}"
            plans.append(ShardPlan(path, dump, span, totals[dump] // len(spans)))
    return plans


def _block_ranges(blocks: dict[int, int], target: int) -> list[Range]:
    """Runs of input blocks of about `target` bytes of text each."""
    bounds, size = [0], 0
    for block in sorted(blocks):
        if size and size + blocks[block] > target:
            bounds.append(block << INPUT_BLOCK_BITS)
            size = 0
        size += blocks[block]
    bounds.append(ORDER_SPAN)
    return [Range(low, high) for low, high in itertools.pairwise(bounds)]


def dump_folder(dump: str) -> str:
    """A dump's name as a folder: a name from a hostile file can't leave the run directory.

    >>> dump_folder("../etc")
    '.._etc'
    >>> dump_folder("..")
    'unknown'
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in dump)[:100]
    return safe if safe.strip(".") else "unknown"
