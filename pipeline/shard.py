"""The fourth verb: the surviving documents, joined, counted, PII-formatted, shuffled into shards.

Three steps, each resumable: `pieces` joins the stages' decisions with the texts of one partition
and leaves sorted pieces; `groups` merges pieces where there are too many to read at once; `write`
makes one published parquet file per shard. A shard is a range of the shuffle key, inside it rows
stand by that key, so no result depends on how the input was split.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.manifest import Manifest
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.document_inputs import published_schema
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import partition_numbers
from decant.pipeline.shards.pieces import make_pieces
from decant.pipeline.shards.plan import ShardPlan, plan_shards
from decant.pipeline.shards.shuffle import (
    MERGE_FAN_IN,
    Range,
    even_ranges,
    merged,
    piece_schema,
    write_piece,
)
from decant.pipeline.stage_keys import stage_digest
from decant.pipeline.tokens import counter

VERSION = 2  # 2: pieces are Arrow files
GROUP_FILE_BYTES = 512 << 20  # a merged piece is cut here, so that a shard reads few row groups
SUMMED = ("tokens", "text_bytes", "emails_replaced", "ips_replaced")


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The stage's ledger entry, after all shards are written."""
    digest = stage_digest(config, "shard")
    counted = counter.freeze(store, config)
    tasks = [
        Task(partition_name(number), {"partition": number, "count_tokens": counted})
        for number in partition_numbers(store)
    ]
    joined = engine.map("shard/pieces", make_pieces, tasks, digest, VERSION)
    plans = plan_shards(joined.values(), config.shard)
    sources = _grouped(engine, joined, digest)
    writes = [
        Task(plan.key, {"plan": asdict(plan), "pieces": sources[plan.dump]}) for plan in plans
    ]
    written = engine.map("shard/write", write_shard, writes, digest, VERSION)
    write_manifest(store, engine.outputs("shard/write"))
    return _entry(joined, written)


def _grouped(engine: Engine, joined: dict[str, dict], digest: str) -> dict[str, list[str]]:
    """Per dump, the files that a shard must read: the pieces, or at most MERGE_FAN_IN groups."""
    sources: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for counts in joined.values():
        for dump, entry in counts["dumps"].items():
            sources.setdefault(dump, []).extend(entry["pieces"])
            sizes[dump] = sizes.get(dump, 0) + entry["text_bytes"]
    tasks, groups_of = [], {}
    for dump, pieces in sorted(sources.items()):
        if len(pieces) <= MERGE_FAN_IN:
            continue
        width = -(-len(pieces) // MERGE_FAN_IN)
        groups = [pieces[start : start + width] for start in range(0, len(pieces), width)]
        cuts = max(1, sizes[dump] // len(groups) // GROUP_FILE_BYTES)
        for number, group in enumerate(groups):
            key = f"{dump}-{number:05d}"
            groups_of.setdefault(dump, []).append(key)
            args = {
                "pieces": group,
                "cuts": cuts,
                "bytes": sizes[dump] // len(groups),
                "path": f"{paths.SHARD_GROUPS}/{dump}/{number:05d}",
            }
            tasks.append(Task(key, args))
    if tasks:
        merged_groups = engine.map("shard/groups", merge_group, tasks, digest, VERSION)
        for dump, keys in groups_of.items():
            sources[dump] = [path for key in keys for path in merged_groups[key]["paths"]]
    return sources


def merge_group(job: Job) -> dict[str, Any]:
    """Merge a group of pieces into files of even ranges of the order key."""
    args = job.task.args
    paths = []
    for number, span in enumerate(even_ranges(args["cuts"])):
        path = f"{args['path']}-{number:03d}.arrow"
        rows = merged(job.store, args["pieces"], span, args["bytes"] // args["cuts"])
        write_piece(job.store, path, rows, piece_schema(published_schema(job.store, job.config)))
        paths.append(path)
    return {"paths": paths}


def write_shard(job: Job) -> dict[str, Any]:
    """One published parquet file: the rows of its range in order, the release's columns only."""
    args = job.task.args
    plan = ShardPlan(**{**args["plan"], "span": Range(**args["plan"]["span"])})
    repeated = 0
    published = published_schema(job.store, job.config)
    with job.store.table_writer(plan.path, published, sealed=False) as writer:
        for table in merged(job.store, args["pieces"], plan.span, plan.text_bytes):
            writer.write(table.select(published.names))
            repeated += repeated_neighbours(table.column("id"))
    return {"rows": writer.rows, "path": plan.path, "repeated_ids": repeated}


def repeated_neighbours(ids: pa.ChunkedArray) -> int:
    """How many ids equal the one before: in shuffled order equal ids have equal keys and meet.

    >>> repeated_neighbours(pa.chunked_array([["a", "a"], ["a", "b"]]))
    2
    """
    return pc.sum(pc.equal(ids[1:], ids[:-1])).as_py() or 0


def write_manifest(store: Store, written: dict[str, Manifest]) -> None:
    """`4-shards/manifest.json`: every published file with its rows, bytes and xxh3_128."""
    files = [
        {"path": file.path.removeprefix(f"{paths.SHARDS}/"), "rows": one.counts["rows"],
         "bytes": file.bytes, "xxh3_128": file.checksum}
        for one in written.values()
        for file in one.outputs
    ]  # fmt: skip
    files.sort(key=lambda file: file["path"])
    checked_json.write(store, paths.SHARD_MANIFEST, {"files": files})


def _entry(joined: dict[str, dict], written: dict[str, dict]) -> dict[str, Any]:
    taken = sum(counts["in"] for counts in joined.values())
    kept = sum(counts["rows"] for counts in written.values())
    total = sum(int(counts["documents"], 16) for counts in joined.values()) % (1 << 256)
    return {
        "in": taken,
        "kept": kept,
        "errors": 0,
        "dropped": {},
        **{name: sum(counts[name] for counts in joined.values()) for name in SUMMED},
        "shards": len(written),
        "repeated_ids": sum(counts["repeated_ids"] for counts in written.values()),
        "documents": f"{total:064x}",
    }


def published_files(store: Store) -> Iterator[str]:
    """The published parquet files of a run, in order."""
    return (path for path in store.list(paths.SHARD_DATA) if path.endswith(".parquet"))
