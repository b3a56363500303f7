"""How a run's documents are numbered and cut up for deduplication.

A document's number is its place in row-key order among the rows of all signature files (after the
documents of an index, which come first). Numbers fall into *slots* of equal width, the unit of
every document-side task; band keys fall into bands x 2^prefix_bits bins. Both widths follow from
`dedup.memory_mb` and decide only how work is cut, never a result.

Whether the signature files of a run are whole, in order and of this configuration.

Nothing is deleted on the word of a file that is missing, truncated, out of order or made with other
MinHash parameters: each of these ends the stage with the file named.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import xxhash

from decant.pipeline.config import RunConfig
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

# Bytes of working memory per document of a slot: 14 keys of 8 bytes, their records of 12, the
# same again while they are put in order, and a signature of 112 x 4.
SLOT_BYTES_PER_DOCUMENT = 1_024
# Bytes per band-key record while a bin is sorted: the record, its columns, the sort's copies.
SORT_BYTES_PER_RECORD = 64
# Rows of a signature file read at a time: 2 MB, which are still in the cache when they are used.
ROWS_AT_ONCE = 2_048
PAYLOAD_SHARE = 8  # of the memory bound: what one buffer may hold before it becomes a file
LEAST_PER_TASK = 64


@dataclass(frozen=True)
class Part:
    """One signature file: its partition number, the number of its first document, its rows."""

    number: int
    base: int
    rows: int
    dump: str | None = ""  # None: of several dumps
    content: str = ""  # hash of its documents' text hashes


@dataclass(frozen=True)
class Layout:
    docs: int  # documents are numbered 0 … docs-1, those of the index included
    earlier: int  # numbers below are those of the index, filled up to a whole slot
    bands: int
    rows: int
    width: int  # documents per slot
    prefix_bits: int  # bins per band = 2^prefix_bits
    payload: int  # bytes a task may hold in buffers before it spills
    index: str = ""  # the file that lists the index entries to compare with

    @property
    def slots(self) -> int:
        return max(1, -(-self.docs // self.width))

    @property
    def bins(self) -> int:
        return self.bands << self.prefix_bits

    @property
    def doc_type(self) -> str:
        return "<u4" if self.docs < 2**32 - 1 else "<u8"

    @property
    def first_slot(self) -> int:
        """The first slot of new documents."""
        return self.earlier // self.width

    def span(self, slot: int) -> tuple[int, int]:
        return slot * self.width, min(self.docs, (slot + 1) * self.width)

    def as_args(self) -> dict:
        return asdict(self)


def plan(rows: int, earlier: int, config: RunConfig, index: str = "") -> Layout:
    """The layout for this many new and earlier documents under the configuration's memory bound."""
    docs = earlier + rows
    memory = config.dedup.memory_mb << 20
    width = max(LEAST_PER_TASK, min(memory // SLOT_BYTES_PER_DOCUMENT, 1 << 22))
    per_bin = max(LEAST_PER_TASK, memory // SORT_BYTES_PER_RECORD)
    bits = 0
    while (docs >> bits) > per_bin * 3 // 4:
        bits += 1
    payload = max(1, memory // PAYLOAD_SHARE)
    width = min(width, docs or 1)
    earlier = -(-earlier // width) * width
    shape = config.dedup.bands, config.dedup.rows
    return Layout(earlier + rows, earlier, *shape, width, bits, payload, index)


def parts_of(parts: list[Part], low: int, high: int) -> list[Part]:
    """The parts that hold documents low <= number < high."""
    return [part for part in parts if part.base < high and part.base + part.rows > low]


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
    held = np.frombuffer(column.buffers()[1], "<u8", words * (column.offset + len(column)))
    return held.reshape(-1, words)[column.offset :]


PARTITIONS_PER_TASK = 64


class SignatureError(ValueError):
    """A signature file cannot be used; the message names it and says what to do."""


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
    found = sorted(entry for one in results.values() for entry in one["files"])
    totals = {"rows": 0, "in": 0, "short": 0}
    parts, before = [], (-1, -1)
    for number, rows, kept, short, first, last, dump, content in sorted(found, key=_row_order):
        if rows and tuple(first) <= before:
            raise SignatureError(
                f"{paths.signatures(number)}: its rows start at {first}, not after those of the "
                f"partition before it ({before}); run the filter stage again"
            )
        before = tuple(last) if rows else before
        parts.append(Part(number, base, rows, dump, content))
        base += rows
        totals = {
            "rows": totals["rows"] + rows,
            "in": totals["in"] + kept,
            "short": totals["short"] + short,
        }
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


def inspect_file(store: Store, config: RunConfig, number: int) -> tuple:
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
    found = json.loads((schema.metadata or {}).get(METADATA_KEY, b"null"))
    if found is not None and found != expected:
        changed = [name for name in expected if found.get(name) != expected[name]]
        then, now = ({name: one.get(name) for name in changed} for one in (found, expected))
        raise SignatureError(
            f"{path}: signatures were made with {then}, the configuration says {now}; "
            "run the filter stage again"
        )
