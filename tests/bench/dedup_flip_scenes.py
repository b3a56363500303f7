"""Small deduplications whose intermediate files a flip campaign damages, with all of them left.

A scene makes a run directory below a folder and returns what runs its last stage again. Sizes are
tiny, so that a task takes milliseconds: slots of 64 documents, spills of 2 kB, merge rounds.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decant.filters.doc import Doc
from decant.filters.minhash import shingles, signature
from decant.pipeline import deduplicate
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup import bands, layout
from decant.pipeline.dedup.greedy import in_memory
from decant.pipeline.engine.damage import DamagedFile
from decant.pipeline.engine.execute import DamagedInput, Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.repair import Repair
from tests.pipeline.dedup import test_lines
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    chain,
    planted_clusters,
    write_run_directory,
)

Rerun = Callable[[], None]
WORDS = [first + second for first in "bcdfghklmn" for second in ("ab", "el", "in", "os", "ut")]


@dataclass(frozen=True)
class Kind:
    """A kind of file: in which scene such files lie, and where below its folder (a glob).

    `by_stage`: no task reads it, the whole stage is run again to see it read.
    """

    name: str
    scene: str
    pattern: str
    by_stage: bool = False


def never(*_: object) -> bool:
    return False


# Room for 64 documents and 500 band keys a task under memory_mb=16, as if it were 64 kB.
TINY_TASKS = (
    (layout, "SLOT_BYTES_PER_DOCUMENT", 1 << 18),
    (layout, "SORT_BYTES_PER_RECORD", 1 << 15),
    (layout, "PAYLOAD_SHARE", 1 << 13),
)
ON_DISK = (deduplicate, "fits_in_memory", never)


def stage(store: Store, *patches: tuple, **dedup) -> Rerun:
    """Runs the stage, and again as `decant run` does, which makes damaged files again.

    `patches` are (module, name, value) while it runs.
    """
    config = RunConfig.model_validate({"dedup": {"memory_mb": 16, "recall_queries": 4, **dedup}})

    def run() -> None:
        with contextlib.ExitStack() as stack, Engine(store, config, workers=0) as engine:
            for patch in patches:
                stack.enter_context(mock.patch.object(*patch))
            repair = Repair(store, engine.progress, [paths.DEDUPLICATED])
            while True:
                try:
                    deduplicate.run(engine, store, config)
                    return
                except (DamagedFile, DamagedInput) as error:
                    repair.remove(error)

    run()
    return run


def documents(count: int, seed: int) -> list[Planted]:
    """Planted clusters and a chain, with exact copies and documents under a shingle."""
    rng = np.random.default_rng(seed)
    planted = [*planted_clusters(rng, count - 30, 0.6), *chain(rng, 20)]
    planted = [
        replace(one, text_hash=rng.bytes(16), payload=rng.bytes(16), name=f"<{seed}:{place}>")
        for place, one in enumerate(planted)
    ]
    planted += [replace(planted[place], name=f"<copy:{seed}:{place}>") for place in range(8)]
    short = [Planted(None, text_hash=b"a" * 16, name=f"<{seed}:short-{at}>") for at in (0, 1)]
    return planted + short


def cluster(folder: Path) -> Rerun:
    """The closure on disk, exact duplicates, and band keys of a byte, which meet by chance."""
    few, keys = np.uint64(0xFF << 56), bands.band_keys
    store = write_run_directory(folder / "run", documents(160, 5), [70])
    patches = (bands, "band_keys", lambda *args: keys(*args) & few), ON_DISK
    options = {"exact_text": True, "short_documents": "exact", "survivor": "longest"}
    return stage(store, *TINY_TASKS, *patches, **options)


def whole(folder: Path) -> Rerun:
    """One slot and the closure in memory, as a small run has it."""
    return stage(write_run_directory(folder / "run", documents(160, 6), [70]))


def greedy(folder: Path) -> Rerun:
    """The greedy mode, in rounds on disk."""
    store = write_run_directory(folder / "run", documents(160, 7), [70])
    patches = *TINY_TASKS, (in_memory, "fits", never)
    return stage(store, *patches, mode="greedy", min_jaccard=0.7)


def index(folder: Path) -> Rerun:
    """Two dumps added to an index, the second of which is compared with it and with a dataset."""
    rng = np.random.default_rng(8)
    texts = [" ".join(rng.choice(WORDS, 60)) for _ in range(4)]
    (folder / "known").mkdir(parents=True)
    known = pa.table({"id": ["k0", "k1"], "text": texts[:2]})
    pq.write_table(known, folder / "known" / "known.parquet")
    options = {"scope": "run", "index": str(folder / "index")}
    both = documents(200, 9)
    stage(write_run_directory(folder / "first", both[:100]), *TINY_TASKS, **options)
    signed = [Planted(signature(shingles(Doc(text))), text=text) for text in texts]
    later = write_run_directory(folder / "run", [*both[100:], *signed], [40])
    return stage(later, *TINY_TASKS, **options, against=(str(folder / "known"),))


def lines(folder: Path) -> Rerun:
    """Repeated lines."""
    store = test_lines.line_run(folder / "run", test_lines.generated(60), [25])
    return stage(store, *TINY_TASKS, lines={"window": 1, "min_words": 3})


SCENES: dict[str, Callable[[Path], Rerun]] = {
    "cluster": cluster,
    "whole": whole,
    "greedy": greedy,
    "index": index,
    "lines": lines,
}

SCRATCH = f"run/{paths.DEDUP_SCRATCH}"
STEPS = {
    "cluster": (
        "bands", "sketches", "exact-hashes", "exact-pairs", "exact-members", "exact-choices",
        "followers", "pairs", "edges-request", "edges-answer", "edges-score", "accepted", "chance",
        "relinked", "contract", "large-star-000", "small-star-000", "labels", "members", "choices",
        "spread", "chosen-answer", "chosen-score", "name-requests", "names",
    ),
    "whole": ("bands", "sketches", "labels"),
    "greedy": ("bucket-members", "entered", "leads-0001", "round-0001-score", "votes-0000",
               "labels-0000"),
    "lines": ("line-hashes", "line-repeats"),
}  # fmt: skip

DEDUP_KINDS = (
    *(
        Kind(f"{scene}: {step}", scene, f"{SCRATCH}/{step}*/*.spill")
        for scene, steps in STEPS.items()
        for step in steps
    ),
    *(
        Kind(f"index: {name}", "index", f"index/00000-*/{name}-*.spill")
        for name in ("keys", "sketches", "ids", "labels")
    ),
    Kind("index: against", "index", f"{SCRATCH}/against/*/*.spill"),
    Kind("index: followed", "index", f"{SCRATCH}/followed/*.spill"),
    Kind("index: entry.json", "index", "index/00000-*/entry.json", by_stage=True),
    Kind("index: index.json", "index", f"{SCRATCH}/index.json"),
    Kind("cluster: catalogs", "cluster", f"{SCRATCH}/*/_spills.json"),
    Kind("lines: decided", "lines", f"{SCRATCH}/decided/*.parquet"),
)
