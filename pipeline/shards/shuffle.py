"""A bounded-memory global sort of text rows by a 64-bit order key, through pieces on disk.

Pass 1 writes *pieces*: Arrow files sorted by (order, file, offset), of small batches. Pass 2 reads
one range of the order key from every piece, a batch at a time, and writes it in order. A row's
place depends on its key alone, so the result is the same for any number of pieces, however
the input was split and whoever did the work.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.records import KEY, PUBLISHED
from decant.pipeline.rundir.sealed_arrow import new_arrow, open_arrow

ORDER_SPAN = 1 << 64


def piece_schema(published: pa.Schema) -> pa.Schema:
    """The columns of a piece: the order key, the row key and what is published."""
    return pa.schema([pa.field("order", pa.uint64(), nullable=False), *KEY, *published])


PIECE = piece_schema(PUBLISHED)
SORT_KEYS = [("order", "ascending"), ("file", "ascending"), ("offset", "ascending")]

# A merge holds one batch of each piece it reads. As parquet, 320 open pieces of 64 MB held 1 GB of
# row group metadata beside that; an Arrow file's footer has 24 bytes a batch.
PIECE_BATCH_BYTES = 256 << 10
CHECKSUM = b"xxh3_64"  # of each batch, in files of an earlier version
MERGE_FAN_IN = 256
SORT_BYTES = 64 << 20  # text sorted in memory at a time in pass 1
MERGE_BYTES = 24 << 20  # and in pass 2, where a sort's copies come on top of all the row groups


def shuffle_key(seed: int, record_id: str) -> int:
    """The place of a document in the shuffled corpus: xxh3_64 of its id, seeded.

    >>> shuffle_key(1, "<urn:uuid:1>") == shuffle_key(1, "<urn:uuid:1>")
    True
    """
    return xxhash.xxh3_64_intdigest(record_id.encode("utf-8", "surrogatepass"), seed=seed)


@dataclass(frozen=True)
class Range:
    """Order keys with low <= key < high."""

    low: int
    high: int

    def mask(self, keys: np.ndarray) -> np.ndarray:
        above = keys >= np.uint64(self.low)
        return above if self.high >= ORDER_SPAN else above & (keys < np.uint64(self.high))


def even_ranges(count: int) -> list[Range]:
    """The order keys cut into `count` ranges of equal width.

    >>> even_ranges(2)[1].low == 2**63
    True
    """
    bounds = [ORDER_SPAN * number // count for number in range(count + 1)]
    return [Range(low, high) for low, high in itertools.pairwise(bounds)]


def sort_rows(table: pa.Table) -> pa.Table:
    """The rows by order key, ties by row key."""
    return table.take(pc.sort_indices(table, sort_keys=SORT_KEYS))


def write_piece(
    store: Store, path: str, tables: Iterable[pa.Table], schema: pa.Schema = PIECE
) -> None:
    """Write rows, already sorted, in batches small enough to merge hundreds of pieces."""
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with new_arrow(store, path, schema, options) as writer:
        for table in tables:
            for start, stop in _cuts(table):
                rows = table.slice(start, stop - start).cast(schema).combine_chunks()
                (batch,) = rows.to_batches()
                writer.write_batch(batch)


def checksum(batch: pa.RecordBatch) -> bytes:
    """xxh3_64 of the values of a batch, as version 2 wrote it beside each."""
    digest = xxhash.xxh3_64()
    for column in batch.take(np.arange(batch.num_rows)).columns:  # buffers of their own, cut to fit
        for buffer in column.buffers()[1:]:
            if buffer is not None:
                digest.update(buffer)
    return digest.digest()


def merged(store: Store, pieces: Sequence[str], span: Range, span_bytes: int) -> Iterator[pa.Table]:
    """The rows of `span` over all pieces, sorted, in tables of about MERGE_BYTES.

    `span_bytes` (text bytes expected in the span) only sets how finely the span is walked.
    """
    readers = [PieceReader(store, path, span) for path in pieces]
    steps = max(1, -(-span_bytes // MERGE_BYTES))
    width = span.high - span.low
    for step in range(steps):
        below = span.low + width * (step + 1) // steps
        parts = [part for reader in readers for part in reader.take_below(below)]
        if parts:
            yield sort_rows(pa.concat_tables(parts))
    for reader in readers:
        reader.close()


class PieceReader:
    """Rows of one piece within a span, in order, holding about one batch at a time."""

    def __init__(self, store: Store, path: str, span: Range):
        self._store, self._path = store, path
        self._source, self._sealed = open_arrow(store, path)
        self._span = span
        self._rest: pa.Table | None = None
        with self._store.named_damage(self._path):
            # The source is a Python object: none of Arrow's threads may be the last to hold it.
            here = pa.ipc.IpcReadOptions(use_threads=False)
            self._file = pa.ipc.open_file(self._source, options=here)
            self._next = self._first_batch()

    def take_below(self, bound: int) -> Iterator[pa.Table]:
        """All rows not yet taken whose order key is below `bound`."""
        while True:
            rows = self._rest
            if rows is None or rows.num_rows == 0:
                if self._next >= self._file.num_record_batches:
                    return
                rows = self._load()
            keys = rows.column("order").to_numpy()
            cut = len(keys) if bound >= ORDER_SPAN else int(np.searchsorted(keys, np.uint64(bound)))
            if cut:
                yield rows.slice(0, cut)
            self._rest = rows.slice(cut)
            if cut < len(keys):
                return

    def close(self) -> None:
        self._source.close()

    def _first_batch(self) -> int:
        """The first batch that ends within the span or behind its beginning."""
        order = PIECE.get_field_index("order")
        only_order = pa.ipc.IpcReadOptions(included_fields=[order], use_threads=False)
        file = pa.ipc.open_file(self._source, options=only_order)
        low, high = 0, file.num_record_batches
        while low < high:
            middle = (low + high) // 2
            if file.get_batch(middle).column(0)[-1].as_py() < self._span.low:
                low = middle + 1
            else:
                high = middle
        return low

    def _load(self) -> pa.Table:
        with self._store.named_damage(self._path):
            read = self._file.get_batch_with_custom_metadata(self._next)
            if not self._sealed and (read.custom_metadata or {})[CHECKSUM] != checksum(read.batch):
                raise pa.ArrowInvalid(f"batch {self._next} has another checksum")
        table = pa.Table.from_batches([read.batch])
        keys = table.column("order").to_numpy()
        is_last = len(keys) and int(keys[-1]) >= self._span.high
        self._next = self._file.num_record_batches if is_last else self._next + 1
        mask = self._span.mask(keys)
        return table if mask.all() else table.filter(pa.array(mask))


def _cuts(table: pa.Table) -> Iterator[tuple[int, int]]:
    """Row ranges of about PIECE_BATCH_BYTES of text each."""
    sizes = pc.fill_null(pc.binary_length(table.column("text")), 0).to_numpy()
    ends = np.cumsum(sizes + 256)
    start = 0
    while start < table.num_rows:
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PIECE_BATCH_BYTES, "right")))
        yield start, stop
        start = stop
