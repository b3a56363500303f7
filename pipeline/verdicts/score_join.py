"""A table of scores joined with the run's documents by id: two partitions by hash, then buckets.

Ids are compared by 128 bits of their xxh3: of n documents and m rows, n·m / 2^128 pairs meet by
chance, 3e-23 for 100 million of each. Every step holds a bucket or a slice, never a table.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.score_table import ScoreFile, read_scores
from decant.pipeline.rundir.sealed_arrow import new_arrow, open_arrow

FOLDER = paths.SCORES_SCRATCH
ID_ROWS = 50_000
ROW_BYTES = 120  # of one id with a score in a bucket, its copies for sorting included
SLICE_ROWS = 4_000_000
FOUND, MISSING, REPEATED = 0, 1, 2  # the states of a document's id


def join(
    engine: Engine,
    partitions: Sequence[int],
    files: Sequence[ScoreFile],
    args: dict[str, Any],
    documents: int,
    memory_mb: int,
    digest: str,
) -> list[str]:
    """The paths of the joined buckets: each has a batch for every partition, in their order.

    `args`: `identity` and `columns` of the table.
    """
    rows = documents + sum(one.rows for one in files)
    bits = max(0, (rows * ROW_BYTES // (memory_mb << 20)).bit_length())
    shared = {**args, "bits": bits, "slice_rows": min(SLICE_ROWS, (memory_mb << 20) // ROW_BYTES)}
    keyed = [Task(paths.partition_name(one), {**shared, "partition": one}) for one in partitions]
    keys = engine.map("filter/score_keys", write_keys, keyed, digest)
    slices = [
        Task(
            f"{number:05d}",
            {**shared, "url": one.url, "slice": number},
            {"size": one.size, "etag": one.etag},
        )
        for number, one in enumerate(files)
    ]
    tables = engine.map("filter/score_table", write_table, slices, digest)
    sources = {
        "keys": [keys[task.key]["path"] for task in keyed],
        "tables": [path for task in slices for path in tables[task.key]["paths"]],
    }
    buckets = [Task(f"{k:05d}", {**shared, **sources, "bucket": k}) for k in range(1 << bits)]
    joined = engine.map("filter/score_join", join_bucket, buckets, digest)
    return [joined[task.key]["path"] for task in buckets]


def write_keys(job: Job) -> dict[str, Any]:
    """The hashed ids of a partition's documents, a batch for each bucket."""
    args = job.task.args
    offsets, hashes = [], []
    path = paths.extracted(args["partition"])
    for batch in job.store.iter_batches(path, ["offset", "id"], ID_ROWS):
        offsets.append(batch.column("offset").to_numpy())
        hashes.append(hashed(batch.column("id").to_pylist()))
    columns = {"offset": np.concatenate([np.empty(0, np.int64), *offsets])}
    name = f"{FOLDER}/keys/{paths.partition_name(args['partition'])}.arrow"
    _write_buckets(job.store, name, np.concatenate([_NO_HASH, *hashes]), columns, args["bits"])
    return {"path": name}


def write_table(job: Job) -> dict[str, Any]:
    """The hashed ids and the scores of one file of the table, a batch for each bucket."""
    args, written = job.task.args, []
    hashes: list[np.ndarray] = []
    values: list[np.ndarray] = []
    row = 0

    def flush() -> None:
        nonlocal row
        size = sum(map(len, hashes))
        order = np.arange(row, row + size) + (args["slice"] << 40)
        together = np.concatenate([np.empty((0, len(args["columns"]))), *values])
        columns = {"row": order, **_by_column(together)}
        name = f"{FOLDER}/table/{args['slice']:05d}-{len(written):05d}.arrow"
        _write_buckets(job.store, name, np.concatenate([_NO_HASH, *hashes]), columns, args["bits"])
        written.append(name)
        row += size
        hashes.clear()
        values.clear()

    for ids, scores in read_scores(args["url"], None, args["identity"], args["columns"]):
        hashes.append(hashed(ids))
        values.append(scores)
        if sum(map(len, hashes)) >= args["slice_rows"]:
            flush()
    flush()
    return {"paths": written}


def join_bucket(job: Job) -> dict[str, Any]:
    """The scores of all documents whose ids fall into one bucket, a batch for each partition."""
    args = job.task.args
    names = [f"v{k}" for k in range(len(args["columns"]))]
    parts = [_batch(job.store, path, args["bucket"]) for path in args["tables"]]
    table = pa.concat_tables(parts)
    values = np.stack([table.column(name).to_numpy() for name in names], axis=1)
    lookup = Lookup(_hashes(table), table.column("row").to_numpy(), values)
    path = f"{FOLDER}/joined/{args['bucket']:05d}.arrow"
    fields = [
        ("offset", pa.int64()),
        ("state", pa.uint8()),
        *((one, pa.float64()) for one in names),
    ]
    schema = pa.schema(fields)
    with new_arrow(job.store, path, schema) as writer:
        for keys in args["keys"]:
            rows = _batch(job.store, keys, args["bucket"])
            states, values = lookup.find(_hashes(rows))
            columns = {"offset": rows.column("offset"), "state": states, **_by_column(values)}
            table = pa.table(columns, schema).combine_chunks()
            writer.write_batch(table.to_batches()[0] if table.num_rows else _empty(schema))
    return {"path": path}


class Lookup:
    """Scores by hashed id; of a repeated id the first row's."""

    def __init__(self, hashes: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        order = np.lexsort((rows, hashes[:, 1], hashes[:, 0]))
        hashes, values = hashes[order], values[order]
        is_new = np.ones(len(hashes), np.bool_)
        is_new[1:] = (hashes[1:] != hashes[:-1]).any(axis=1)
        firsts = np.flatnonzero(is_new)
        self._high, self._low = hashes[firsts, 0], hashes[firsts, 1]
        self._values = values[firsts]
        self._repeated = np.diff(np.append(firsts, len(hashes))) > 1

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(state, values) of each hashed id: uint8 [n], float64 [n, columns]; NaN where missing."""
        states = np.full(len(hashes), MISSING, np.uint8)
        values = np.full((len(hashes), self._values.shape[1]), np.nan)
        at = np.searchsorted(self._high, hashes[:, 0], "left")
        last = len(self._high) - 1
        for _ in range(3):  # three ids that share 64 bits: not in 10^20 rows
            inside = at <= last
            here = np.minimum(at, max(last, 0))
            if last < 0:
                break
            same_high = inside & (self._high[here] == hashes[:, 0])
            hit = same_high & (self._low[here] == hashes[:, 1])
            states[hit] = np.where(self._repeated[here[hit]], REPEATED, FOUND)
            values[hit] = self._values[here[hit]]
            at = np.where(same_high & ~hit, at + 1, last + 1)
        return states, values


def joined_scores(store: Store, buckets: Sequence[str], place: int) -> tuple[np.ndarray, ...]:
    """(offset, state, values) of one partition's documents, ascending by offset.

    `place` is the partition's among those that were joined.
    """
    table = pa.concat_tables([_batch(store, path, place) for path in buckets])
    offsets = table.column("offset").to_numpy()
    order = np.argsort(offsets)
    names = [name for name in table.schema.names if name.startswith("v")]
    values = np.stack([table.column(name).to_numpy() for name in names], axis=1)
    return offsets[order], table.column("state").to_numpy()[order], values[order]


def hashed(ids: list[str]) -> np.ndarray:
    """128 bits of each id: uint64 [n, 2], the high half first."""
    data = b"".join(xxhash.xxh3_128_digest(one.encode("utf-8", "surrogatepass")) for one in ids)
    return np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, 2)


_NO_HASH = np.empty((0, 2), np.uint64)


def _by_column(values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"v{k}": values[:, k] for k in range(values.shape[1])}


def _hashes(table: pa.Table) -> np.ndarray:
    return np.stack([table.column("high").to_numpy(), table.column("low").to_numpy()], axis=1)


def _write_buckets(
    store: Store, path: str, hashes: np.ndarray, columns: dict[str, np.ndarray], bits: int
) -> None:
    """An Arrow file with a batch for each bucket: the top `bits` of the hash say which."""
    buckets = (hashes[:, 0] >> np.uint64(64 - bits)) if bits else np.zeros(len(hashes), np.uint64)
    order = np.argsort(buckets, kind="stable")
    edges = np.searchsorted(buckets[order], np.arange((1 << bits) + 1, dtype=np.uint64))
    table = pa.table({"high": hashes[:, 0], "low": hashes[:, 1], **columns}).take(pa.array(order))
    table = table.combine_chunks()
    with new_arrow(store, path, table.schema) as writer:
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            rows = table.slice(start, stop - start).to_batches()
            writer.write_batch(rows[0] if rows else _empty(table.schema))


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _batch(store: Store, path: str, number: int) -> pa.Table:
    source, _ = open_arrow(store, path)
    with source, store.named_damage(path):
        return pa.Table.from_batches([pa.ipc.open_file(source).get_batch(number)])


def pieces_between(files: Sequence[ScoreFile], start: int, stop: int) -> list[list]:
    """[address, size, etag, first row group, last, row of the first] that hold these rows."""
    pieces: list[list] = []
    row = 0
    for one in files:
        inside: list[int] = []
        began = row
        for group, size in enumerate(one.group_rows):
            if row < stop and row + size > start:
                began = began if inside else row
                inside.append(group)
            row += size
        if inside:
            pieces.append([one.url, one.size, one.etag, inside[0], inside[-1], began])
    return pieces


def rows_between(
    pieces: Sequence[Sequence], start: int, stop: int, identity: str, columns: list[str]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """(ids, values) of the rows `start` to `stop` of the pieces that hold them, some at a time."""
    for url, _, _, first, last, row in pieces:
        for ids, values in read_scores(url, range(first, last + 1), identity, columns):
            low, high = max(0, start - row), max(0, stop - row)
            if low < len(ids) and high > 0:
                yield ids[low:high], values[low:high]
            row += len(ids)
