"""Seconds and memory from band keys to survivor list, at 1 to 100 million documents.

    python -m tests.bench.dedup_scale --millions 1 3 10 30 --memory-mb 1000 --workers 0

Documents are synthetic: of every hundred, `--duplicates` are near copies of an earlier document, at
a Jaccard similarity spread evenly over 0.7 … 1, so that each of the 14 bands is shared with
probability s^8. `--identical` gives every document the same keys. Writing the keys is not timed.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.bands import band_path, band_records
from decant.pipeline.dedup.layout import plan
from decant.pipeline.dedup.spill_file import SpillFile, write_spill
from decant.pipeline.dedup.spills import read_catalog, write_catalog
from decant.pipeline.dedup.steps import SCRATCH, Steps
from decant.pipeline.deduplicate import candidate_pairs, close, survivors_of
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.stage_keys import stage_digest

BANDS, ROWS = 14, 8


@kernel
def mix(value):
    """splitmix64's finaliser."""
    value = (value + np.uint64(0x9E3779B97F4A7C15)) & np.uint64(0xFFFFFFFFFFFFFFFF)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def planted_keys(low, high, bands, rows, duplicate_percent):
    """uint64 [bands, high - low]: keys of documents low … high-1 with planted near copies."""
    keys = np.empty((bands, high - low), np.uint64)
    for doc in range(low, high):
        for band in range(bands):
            at = np.uint64(doc)
            while True:
                draw = mix(at * np.uint64(4) + np.uint64(1))
                if at == 0 or draw % np.uint64(100) >= duplicate_percent:
                    break
                similarity = 0.7 + 0.3 * (mix(draw) >> np.uint64(11)) / 2.0**53
                shares = (mix(draw + np.uint64(band + 1)) >> np.uint64(11)) / 2.0**53
                if shares >= similarity**rows:
                    break
                at = mix(draw ^ np.uint64(0xABCDEF)) % at
            keys[band, doc - low] = mix(
                at * np.uint64(64) + np.uint64(band) + (np.uint64(1) << np.uint64(62))
            )
    return keys


def write_keys(steps: Steps, duplicates: int, identical: bool) -> None:
    """One file of band keys per slot, as the bands step writes them."""
    layout, store = steps.layout, steps.engine.store
    names = []
    for slot in range(layout.slots):
        low, high = layout.span(slot)
        keys = planted_keys(low, high, BANDS, ROWS, duplicates)
        if identical:
            keys[:] = np.arange(BANDS, dtype=np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15)
        docs = np.arange(low, high, dtype=np.int64)
        records, counts = band_records(keys, docs, layout.prefix_bits, layout.doc_type)
        path = band_path(steps.folder("bands"), slot)
        names.append(write_spill(store, path, records, counts))
    write_catalog(store, steps.folder("bands"), names)


def measure(folder: Path, documents: int, args: argparse.Namespace) -> dict:
    """Seconds per step, peak memory and bytes of scratch for one size."""
    config = RunConfig.model_validate({"dedup": {"memory_mb": args.memory_mb, "compare": False}})
    store = Store(str(folder))
    with Engine(store, config, workers=args.workers) as engine:
        layout = plan(documents, 0, config)
        steps = Steps(engine, config, layout, [], stage_digest(config, "deduplicate"))
        write_keys(steps, args.duplicates, args.identical)
        if args.workers:
            engine._start_ray()  # a standing cluster: its start is not part of the work
        began, cpu = time.perf_counter(), time.process_time()
        times = {}
        for name, step in timed_steps(steps):
            start = time.perf_counter()
            step()
            times[name] = round(time.perf_counter() - start, 1)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "documents": documents,
        "seconds": round(seconds, 1),
        "cpu_s": round(cpu, 1),  # of the driver: all of the work with --workers 0
        **times,
        "peak_mb": peak_mb(),
        "slots": layout.slots,
        "bins": layout.bins,
        "scratch_mb": sum(store.sizes(SCRATCH).values()) >> 20,
        "objects": len(store.sizes(SCRATCH)),
        **survivor_list(steps),
    }


def timed_steps(steps: Steps):
    made: dict = {}

    def pairs():
        made["found"] = candidate_pairs(steps)

    def closure():
        made["labels"] = close(steps, steps.settled("pairs"))

    def survivors():
        made["choices"] = survivors_of(steps, made["labels"], "")

    return (("pairs_s", pairs), ("closure_s", closure), ("survivors_s", survivors))


def survivor_list(steps: Steps) -> dict:
    """How many documents are dropped, and a checksum of who and for whom."""
    store = steps.engine.store
    dropped, total = 0, 0
    for name in read_catalog(store, steps.folder("choices")):
        rows = SpillFile(store, name.path).read(name.first, name.first + name.bins)
        lost = rows[rows["doc"] != rows["other"]]
        dropped += len(lost)
        mixed = lost["doc"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= lost["other"].astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
        total = (total + int(mixed.sum(dtype=np.uint64))) % 2**64
    return {"dropped": dropped, "survivors": f"{total:016x}"}


def peak_mb() -> int:
    """The largest resident set of this process or of any child, in MiB."""
    used = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return max(used) >> 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 3, 10])
    parser.add_argument("--memory-mb", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--duplicates", type=int, default=40)
    parser.add_argument("--identical", action="store_true")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/decant-dedup-scale"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.scratch, int(args.millions[0] * 10**6), args)))
        return
    for millions in args.millions:  # a process each, so that peaks do not mix
        flags = [*sys.argv[1:], "--one"]
        command = [
            sys.executable,
            "-m",
            "tests.bench.dedup_scale",
            *flags,
            "--millions",
            str(millions),
        ]
        shutil.rmtree(args.scratch, ignore_errors=True)
        try:
            subprocess.run(command, check=True)
        finally:
            shutil.rmtree(args.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
