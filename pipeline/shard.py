"""The fourth verb: the surviving documents, joined, counted, PII-formatted, shuffled into shards.

Three steps, each resumable: `pieces` joins the stages' decisions with the texts of one partition
and leaves sorted pieces; `groups` merges pieces where there are too many to read at once; `write`
makes one published parquet file per shard. A shard is a range of the shuffle key, inside it rows
stand by that key, so no result depends on how the input was split.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.pii import PiiFormatter
from pipeline import run_tokenizer
from pipeline.config import RunConfig, stage_digest
from pipeline.execute import Engine, Job, Task
from pipeline.joined import surviving_documents
from pipeline.manifest import Manifest
from pipeline.records import PUBLISHED, partition_name
from pipeline.shuffle import (
    MERGE_FAN_IN,
    ORDER_SPAN,
    PIECE,
    SORT_BYTES,
    Range,
    even_ranges,
    merged,
    shuffle_key,
    sort_rows,
    write_piece,
)
from pipeline.storage import Store, partition_numbers

VERSION = 1
GROUP_FILE_BYTES = 512 << 20  # a merged piece is cut here, so that a shard reads few row groups
FILES_PER_COUNTER = 100_000  # 000_00000.parquet … 000_99999.parquet, 001_00000.parquet

# shard.order: input cuts between these blocks of a file's bytes, whatever the partitions were.
INPUT_BLOCK_BITS = 26
FILE_BITS = 24  # order key of `input` order: file number, then 40 bits of offset


SUMMED = ("tokens", "text_bytes", "emails_replaced", "ips_replaced")


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


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The stage's ledger entry, after all shards are written."""
    digest = stage_digest(config, "shard")
    counted = run_tokenizer.freeze(store, config)
    tasks = [
        Task(partition_name(number), {"partition": number, "count_tokens": counted})
        for number in partition_numbers(store)
    ]
    joined = engine.map("shard/pieces", make_pieces, tasks, digest, VERSION)
    plans = plan_shards(joined.values(), config)
    sources = _grouped(engine, joined, digest)
    writes = [
        Task(plan.key, {"plan": asdict(plan), "pieces": sources[plan.dump]}) for plan in plans
    ]
    written = engine.map("shard/write", write_shard, writes, digest, VERSION)
    write_manifest(store, engine.outputs("shard/write"))
    return _entry(joined, written)


def make_pieces(job: Job) -> dict[str, Any]:
    """Join, count and format one partition's survivors; leave sorted pieces per dump."""
    number = job.task.args["partition"]
    config = job.config
    counter = run_tokenizer.counter(job.store.url)
    formatter = PiiFormatter(**config.pii.model_dump())
    collector = _PieceCollector(job.store, number, config)
    for table in surviving_documents(job.store, number):
        texts = table.column("text").to_pylist()
        tokens = pa.array(counter.count(texts), pa.int64())
        # Tokens are counted before addresses are replaced, as in the reference.
        cleaned = [formatter.anonymize(text) for text in texts]
        column = pa.array([one.text for one in cleaned], pa.large_string())
        table = table.set_column(table.schema.get_field_index("text"), "text", column)
        collector.add(table.append_column("token_count", tokens))
        collector.replaced(sum(one.emails for one in cleaned), sum(one.ips for one in cleaned))
    return collector.finish()


class _PieceCollector:
    """Gathers rows of a partition until there are enough to sort, and keeps the counts."""

    def __init__(self, store: Store, number: int, config: RunConfig):
        self._store = store
        self._number = number
        self._config = config
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._digest = 0
        self._counts: dict[str, Any] = {
            "in": 0, "tokens": 0, "text_bytes": 0, "emails_replaced": 0, "ips_replaced": 0
        }  # fmt: skip
        self._dumps: dict[str, dict[str, Any]] = {}

    def add(self, table: pa.Table) -> None:
        table = self._ordered(table)
        self._counts["in"] += table.num_rows
        self._counts["tokens"] += pc.sum(table.column("token_count")).as_py() or 0
        for record_id, text in zip(
            table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True
        ):
            line = hashlib.sha256(f"{record_id}\0{text}".encode("utf-8", "surrogatepass"))
            self._digest = (self._digest + int.from_bytes(line.digest(), "big")) % (1 << 256)
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes >= SORT_BYTES:
            self._flush()

    def replaced(self, emails: int, ips: int) -> None:
        self._counts["emails_replaced"] += emails
        self._counts["ips_replaced"] += ips

    def finish(self) -> dict[str, Any]:
        self._flush()
        return {**self._counts, "documents": f"{self._digest:064x}", "dumps": self._dumps}

    def _ordered(self, table: pa.Table) -> pa.Table:
        if self._config.shard.order == "input":
            file = table.column("file").to_numpy().astype(np.uint64)
            keys = (file << np.uint64(64 - FILE_BITS)) | table.column("offset").to_numpy().astype(
                np.uint64
            )
        else:
            seed = self._config.seed
            ids = table.column("id").to_pylist()
            keys = np.array([shuffle_key(seed, one) for one in ids], np.uint64)
        return table.append_column("order", pa.array(keys, pa.uint64())).select(PIECE.names)

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held).cast(PIECE)
        self._held, self._held_bytes = [], 0
        for dump in sorted(pc.unique(table.column("dump")).to_pylist()):
            rows = sort_rows(table.filter(pc.equal(table.column("dump"), dump)))
            entry = self._dumps.setdefault(
                dump_folder(dump), {"pieces": [], "rows": 0, "text_bytes": 0, "blocks": {}}
            )
            piece = f"{partition_name(self._number)}-{len(entry['pieces']):03d}.parquet"
            path = f"4-shards/_pieces/{dump_folder(dump)}/{piece}"
            write_piece(self._store, path, rows)
            sizes = pc.binary_length(rows.column("text")).to_numpy()
            entry["pieces"].append(path)
            entry["rows"] += rows.num_rows
            entry["text_bytes"] += int(sizes.sum())
            self._counts["text_bytes"] += int(sizes.sum())
            if self._config.shard.order == "input":
                blocks = rows.column("order").to_numpy() >> np.uint64(INPUT_BLOCK_BITS)
                for block in np.unique(blocks):
                    size = int(sizes[blocks == block].sum())
                    key = str(int(block))
                    entry["blocks"][key] = entry["blocks"].get(key, 0) + size


def plan_shards(joined: Any, config: RunConfig) -> list[ShardPlan]:
    """The published files of every dump: even ranges of the shuffle key, or input blocks."""
    totals: dict[str, int] = {}
    blocks: dict[str, dict[int, int]] = {}
    for counts in joined:
        for dump, entry in counts["dumps"].items():
            totals[dump] = totals.get(dump, 0) + entry["text_bytes"]
            held = blocks.setdefault(dump, {})
            for block, size in entry["blocks"].items():
                held[int(block)] = held.get(int(block), 0) + size
    plans = []
    for dump in sorted(totals):
        target = config.shard.target_bytes
        if config.shard.order == "input":
            spans = _block_ranges(blocks[dump], target)
        else:
            spans = even_ranges(max(1, -(-totals[dump] // target)))
        for number, span in enumerate(spans):
            name = f"{number // FILES_PER_COUNTER:03d}_{number % FILES_PER_COUNTER:05d}.parquet"
            path = f"4-shards/data/{dump}/{name}"
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
                "path": f"4-shards/_groups/{dump}/{number:05d}",
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
        for part, table in enumerate(
            merged(job.store, args["pieces"], span, args["bytes"] // args["cuts"])
        ):
            path = f"{args['path']}-{number:03d}-{part:03d}.parquet"
            write_piece(job.store, path, table)
            paths.append(path)
    return {"paths": paths}


def write_shard(job: Job) -> dict[str, Any]:
    """One published parquet file: the rows of its range in order, the release's columns only."""
    args = job.task.args
    plan = ShardPlan(**{**args["plan"], "span": Range(**args["plan"]["span"])})
    repeated = 0
    with job.store.table_writer(plan.path, PUBLISHED) as writer:
        for table in merged(job.store, args["pieces"], plan.span, plan.text_bytes):
            writer.write(table.select(PUBLISHED.names))
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
        {"path": file.path.removeprefix("4-shards/"), "rows": one.counts["rows"],
         "bytes": file.bytes, "xxh3_128": file.checksum}
        for one in written.values()
        for file in one.outputs
    ]  # fmt: skip
    files.sort(key=lambda file: file["path"])
    data = json.dumps({"files": files}, indent=1).encode() + b"\n"
    store.write_bytes("4-shards/manifest.json", data)


def dump_folder(dump: str) -> str:
    """A dump's name as a folder: a name from a hostile file can't leave the run directory.

    >>> dump_folder("../etc")
    '.._etc'
    >>> dump_folder("..")
    'unknown'
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in dump)[:100]
    return safe if safe.strip(".") else "unknown"


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
    return (path for path in store.list("4-shards/data") if path.endswith(".parquet"))
