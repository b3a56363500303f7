"""Shards a made corpus of many gigabytes and says what it took: time, rate, memory per worker.

    python tests/bench/shard_scale.py --gigabytes 20 --workers 2 --output /tmp/shard-bench

The corpus is word salad of log-normal lengths, made partition by partition; making it is not timed.
Memory is the peak resident set of the largest worker, read from the kernel after each task.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from decant.pipeline import shard
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import CLUSTERS, DUPLICATES, EXTRACTED, FILTERED
from decant.pipeline.shard import published_files
from tests.pipeline.made_run import write_inputs

WORDS = 50_000
BATCH_TEXTS = 500
POOL_WORDS = 4_000_000  # a text is a piece of this much word salad: 20 GB in minutes


def make_partition(job: Job) -> dict[str, Any]:
    """Write stages 1 to 3 of one partition of about `bytes` bytes of text."""
    number, wanted = job.task.args["partition"], job.task.args["bytes"]
    generator = np.random.default_rng(number)
    words = np.array([f"w{word:x}" for word in range(WORDS)])
    pool = " ".join(words[(generator.zipf(1.3, POOL_WORDS) - 1) % WORDS])
    name = f"{partition_name(number)}.parquet"
    written = rows = 0
    with (
        job.store.table_writer(f"1-extracted/{name}", EXTRACTED) as extracted,
        job.store.table_writer(f"2-filtered/kept/{name}", FILTERED) as kept,
    ):
        while written < wanted:
            lengths = np.maximum(20, generator.lognormal(7.8, 1, BATCH_TEXTS).astype(int))
            starts = generator.integers(0, len(pool) - lengths.max(), BATCH_TEXTS)
            texts = [pool[a : a + n] for a, n in zip(starts, lengths, strict=True)]
            offsets = np.arange(rows, rows + len(texts)) * 1_000
            extracted.write(extracted_rows(number, offsets, texts))
            kept.write(kept_rows(number, offsets))
            rows += len(texts)
            written += sum(map(len, texts))
    for schema, folder in ((DUPLICATES, "dropped"), (CLUSTERS, "clusters")):
        with job.store.table_writer(f"3-deduplicated/{folder}/{name}", schema):
            pass
    return {"in": rows, "text_bytes": written}


def extracted_rows(number: int, offsets: np.ndarray, texts: list[str]) -> pa.Table:
    count = len(texts)
    columns: dict[str, Any] = {
        "file": pa.array(np.full(count, number, np.int32)),
        "offset": pa.array(offsets),
        "id": [f"<urn:bench:{number}:{offset}>" for offset in offsets],
        "dump": ["CC-MAIN-2024-10"] * count,
        "text": pa.array(texts, pa.large_string()),
    }
    missing = [field for field in EXTRACTED if field.name not in columns]
    columns |= {field.name: pa.nulls(count, field.type) for field in missing}
    return pa.table(columns).select(EXTRACTED.names).cast(EXTRACTED)


def kept_rows(number: int, offsets: np.ndarray) -> pa.Table:
    count = len(offsets)
    file = pa.array(np.full(count, number, np.int32))
    columns = [file, pa.array(offsets), pa.nulls(count, pa.large_string())]
    return pa.table(columns, schema=FILTERED)


def peak_of_worker(_: Job) -> dict[str, Any]:
    """The most memory this worker has ever held, in bytes."""
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--partitions", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard-gigabytes", type=float, default=2.0, help="text of one file")
    parser.add_argument("--output", type=Path, default=Path("bench-results/shard"))
    options = parser.parse_args()
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    store = Store(str(options.output))
    target = {"target_bytes": int(options.shard_gigabytes * 1e9)}
    config = RunConfig.model_validate({"tokens": {"when_missing": "null"}, "shard": target})
    size = int(options.gigabytes * 1e9 / options.partitions)
    tasks = [
        Task(partition_name(number), {"partition": number, "bytes": size})
        for number in range(options.partitions)
    ]
    with Engine(store, config, options.workers) as engine:
        engine.map("bench/make", make_partition, tasks, digest="bench")
    write_inputs(store, options.partitions)
    # A new Ray, so that the peak is of sharding alone.
    with Engine(store, config, options.workers) as engine:
        begun = time.monotonic()
        entry = shard.run(engine, store, config)
        seconds = time.monotonic() - begun
        probes = [Task(f"{number}") for number in range(8 * options.workers)]
        peaks = engine.map("bench/peak", peak_of_worker, probes, digest="bench")
    peak = max(one["peak"] for one in peaks.values())
    size = entry["text_bytes"]
    print(
        f"{size / 1e9:.2f} GB of text, {entry['kept']:,} documents, "
        f"{len(list(published_files(store)))} shards: {seconds:.0f} s, "
        f"{size / 1e6 / seconds:.1f} MB/s with {options.workers} workers, "
        f"peak {peak / 1e6:,.0f} MB per worker"
    )
    shutil.rmtree(options.output)


if __name__ == "__main__":
    main()
