"""Merge rounds: many small pieces of a bin become a few that are worth a read each.

Where the pieces of bins would be too small for object storage, or for a seek, `settle` merges
groups of spill files over ranges of bins, as often as needed, before the task of a bin reads them.
"""

import itertools

import numpy as np

from decant.pipeline.dedup.spill_file import SpillFile, write_spill
from decant.pipeline.dedup.spills import SpillName, bin_order, read_catalog, write_catalog
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store

REMOTE_PIECE_BYTES = 8 << 20  # a request costs as much as 8 MB of transfer
LOCAL_PIECE_BYTES = 64 << 10  # a seek and a read
ENOUGH_PIECES = 16  # so few pieces per bin are read as they are, whatever their size
MOST_ROUNDS = 40  # each divides the pieces by two at least


def settle(
    engine: Engine, step: str, folder: str, bins: int, payload: int, digest: str, version: int
) -> str:
    """The folder to read from: `folder`, or the last of the merge rounds that its pieces need."""
    store, source = engine.store, folder
    least = REMOTE_PIECE_BYTES if not store.is_local else LOCAL_PIECE_BYTES
    least = min(least, max(payload // 16, 1))
    for number in range(1, MOST_ROUNDS):
        tasks = merge_tasks(store, source, f"{folder}.round-{number}", bins, least, payload)
        if not tasks:
            return source
        results = engine.map(f"{step}-merge-{number}", merge_spills, tasks, digest, version)
        source = f"{folder}.round-{number}"
        write_catalog(store, source, [name for one in results.values() for name in one["spills"]])
    raise AssertionError(f"{folder}: merging does not end")


def merge_tasks(
    store: Store, source: str, target: str, bins: int, least: int, payload: int
) -> list[Task]:
    """The tasks of one merge round; none when the pieces are large enough.

    A group of `fan` neighbouring files over one range of bins becomes as many files as keep each
    within `payload`, so that data neither grows nor shrinks in files while pieces grow by `fan`.
    """
    names = read_catalog(store, source)
    if not names:
        return []
    width = SpillFile(store, names[0].path).dtype.itemsize
    members = ranges_of(names, bins, merged=".round-" in source)
    if max(len(group) for group in members.values()) <= ENOUGH_PIECES:
        return []
    if width * sum(name.rows for name in names) >= least * sum(name.bins for name in names):
        return []
    fan = max(2, payload // least)
    tasks = []
    for (first, count), group in members.items():
        groups = -(-len(group) // fan)
        size = width * sum(name.rows for name in group) // groups
        parts = max(1, min(count, -(-size // payload)))
        edges = [first + count * part // parts for part in range(parts + 1)]
        for number in range(groups):
            paths = [name.path for name in group[number * fan : (number + 1) * fan]]
            for low, high in itertools.pairwise(edges):
                key = f"{number:06d}-{low:08d}"
                path = f"{target}/{key}.spill"
                tasks.append(Task(key, {"paths": paths, "low": low, "high": high, "target": path}))
    return tasks


def ranges_of(
    names: list[SpillName], bins: int, merged: bool
) -> dict[tuple[int, int], list[SpillName]]:
    """The files by range of bins: those of a round have ranges of their own, others all bins."""
    if not merged:
        return {(0, bins): names}
    groups: dict[tuple[int, int], list[SpillName]] = {}
    for name in sorted(names, key=lambda name: (name.first, name.bins)):
        groups.setdefault((name.first, name.bins), []).append(name)
    return groups


def merge_spills(job: Job) -> dict:
    """Write one file with the given bins of several, bin by bin."""
    args = job.task.args
    low, high = args["low"], args["high"]
    spills = [SpillFile(job.store, path) for path in args["paths"]]
    records = np.concatenate([spill.read(low, high) for spill in spills])
    counts = [spill.counts(low, high) for spill in spills]
    bins = np.concatenate([np.repeat(np.arange(high - low), row) for row in counts])
    order, total = bin_order(bins, high - low)
    return {"spills": [write_spill(job.store, args["target"], records[order], total, low)]}
