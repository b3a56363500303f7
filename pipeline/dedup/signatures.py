"""The filter stage's signature files: what deduplication reads, checked before it believes it.

Nothing is deleted on the word of a file that is missing, truncated, out of order or made with other
MinHash parameters: each of these ends the stage with the file named.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.layout import Part, parts_of
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import (
    METADATA_KEY,
    SIGNATURES,
    made_with,
    only_dump,
    signature_parameters,
)

# Rows of a signature file read at a time: 2 MB, which are still in the cache when they are used.
ROWS_AT_ONCE = 2_048
PARTITIONS_PER_TASK = 64


class SignatureError(ValueError):
    """A signature file cannot be used; the message names it and says what to do."""


def rows_between(
    store: Store, parts: list[Part], low: int, high: int, columns: list[str]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(number of the first row, rows) of the signature files, for documents low … high-1."""
    for part in parts_of(parts, low, high):
        position = part.base
        path = paths.signatures(part.number)
        for batch in store.iter_batches(path, columns, batch_rows=ROWS_AT_ONCE):
            begin, end = max(low - position, 0), min(high - position, batch.num_rows)
            if begin < end:
                yield position + begin, batch.slice(begin, end - begin)
            position += batch.num_rows
            if position >= high:
                break
        else:
            if position != part.base + part.rows:
                raise StorageError(f"{path} has changed since this run numbered its documents")


def signature_rows(column: pa.Array, permutations: int) -> tuple[np.ndarray, np.ndarray]:
    """(has, values): which rows have a signature, and uint64 [rows that have one, permutations]."""
    if column.type != pa.binary(8 * permutations):
        raise StorageError(
            f"signatures of type {column.type} where {permutations} permutations are "
            f"{pa.binary(8 * permutations)}: other settings or another version of decant wrote "
            f"them; run the filter stage again in a new directory"
        )
    has = np.asarray(column.is_valid())
    values = fixed_words(column, permutations)
    return has, values if has.all() else values[has]


def hash_words(column: pa.Array) -> np.ndarray:
    """uint64 [rows, 2] of a column of 16-byte hashes; zeros for null."""
    return fixed_words(column.fill_null(bytes(16)), 2)


def fixed_words(column: pa.Array, words: int) -> np.ndarray:
    """uint64 [rows, words] over the memory of a column of fixed-width bytes; of nulls, anything."""
    memory = np.frombuffer(column.buffers()[1], "<u8", words * (column.offset + len(column)))
    return memory.reshape(-1, words)[column.offset :]


def number_documents(
    engine: Engine, store: Store, numbers: Sequence[int], base: int, digest: str
) -> tuple[list[Part], dict[str, int]]:
    """(parts in row-key order, counts of rows): every signature file, looked through once."""
    tasks = [
        Task(
            f"{numbers[start]:05d}",
            {"numbers": list(numbers[start : start + PARTITIONS_PER_TASK])},
            {"signatures": signature_parameters(engine.config)},
        )
        for start in range(0, len(numbers), PARTITIONS_PER_TASK)
    ]
    results = engine.map("deduplicate/inspect", inspect_files, tasks, digest)
    entries = sorted(entry for one in results.values() for entry in one["files"])
    totals = {"rows": 0, "in": 0, "short": 0}
    parts, before = [], (-1, -1)
    for number, rows, kept, short, first, last, dump, content in sorted(entries, key=_row_order):
        if rows and tuple(first) <= before:
            raise SignatureError(
                f"{paths.signatures(number)}: its rows start at {first}, not after those of the "
                f"partition before it ({before}); run the filter stage again"
            )
        before = tuple(last) if rows else before
        parts.append(Part(number, base, rows, dump, content))
        base += rows
        totals["rows"] += rows
        totals["in"] += kept
        totals["short"] += short
    return parts, totals


def _row_order(entry: list) -> tuple:
    return (entry[4] or [-1, -1], entry[0])


def inspect_files(job: Job) -> dict:
    """Per file: number, rows, kept, kept without signature, first and last key, dump, content."""
    files = []
    for number in job.task.args["numbers"]:
        rows, kept, short, first, last, content = inspect_file(job.store, job.config, number)
        dump: str | None = ""
        if rows and job.config.dedup.scope == "dump":
            dump = only_dump(job.store, number)
        files.append([number, rows, kept, short, first, last, dump, content])
    return {"files": files}


def inspect_file(store: Store, config: RunConfig, number: int) -> tuple[Any, ...]:
    """(rows, kept, short, first key, last key, content hash) of one signature file."""
    path = paths.signatures(number)
    try:
        check_schema(store.parquet(path).schema_arrow, config, path)
        table = store.read_table(path, ["file", "offset", "kept", "shingles", "text_hash"])
    except StorageError as error:
        raise SignatureError(f"{error}; the filter stage writes it") from error
    file, offset = (table.column(name).to_numpy() for name in ("file", "offset"))
    kept = table.column("kept").to_numpy(zero_copy_only=False).astype(np.bool_)
    same, later = np.diff(file) == 0, np.diff(offset) > 0
    if not np.all(np.where(same, later, np.diff(file) > 0)):
        raise SignatureError(f"{path}: rows are not in ascending row-key order")
    short = np.asarray(table.column("shingles").fill_null(0).to_numpy()) == 0
    ends = [[int(file[at]), int(offset[at])] for at in (0, -1)] if len(file) else [[], []]
    content = xxhash.xxh3_64()
    for chunk in table.column("text_hash").chunks:
        content.update(hash_words(chunk).data)
    counts = len(file), int(kept.sum()), int((short & kept).sum())
    return *counts, *ends, content.hexdigest()


def check_schema(schema: pa.Schema, config: RunConfig, path: str) -> None:
    """Refuse a file whose signatures are not those of the configuration."""
    expected = made_with(config)
    missing = [name for name in SIGNATURES.names if name not in schema.names]
    if missing:
        raise SignatureError(f"{path} lacks {', '.join(missing)}; run the filter stage again")
    kind = schema.field("signature").type
    if not pa.types.is_fixed_size_binary(kind):
        raise SignatureError(f"{path} has no column of signatures of fixed length")
    if kind.byte_width != 8 * expected["permutations"]:
        raise SignatureError(
            f"{path}: signatures of {kind.byte_width // 8} permutations, but the configuration "
            f"says {config.dedup.bands} bands x {config.dedup.rows} rows = "
            f"{expected['permutations']}"
        )
    stored = json.loads((schema.metadata or {}).get(METADATA_KEY, b"null"))
    if stored is not None and stored != expected:
        changed = [name for name in expected if stored.get(name) != expected[name]]
        then, now = ({name: one.get(name) for name in changed} for one in (stored, expected))
        raise SignatureError(
            f"{path}: signatures were made with {then}, the configuration says {now}; "
            "run the filter stage again"
        )
