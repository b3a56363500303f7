"""Parquet files of a run: row groups of bounded bytes, and a footer that answers for every byte.

The blocks of a file (seal.py) stand in the footer, as key-value metadata, and so does a checksum of
the footer itself, taken with zeros in its own place. Readers that know nothing of it read the file
as any other. What lies between the last page and the footer (the page index) is used by no reader
here, and covered by the checksum of the whole file alone.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from decant.pipeline.engine import interrupts
from decant.pipeline.engine.seal import Blocks, BlockWriter, CheckedFile, Damage, read_tail

# Row groups by bytes, not by rows: pages differ by a factor of 10,000 in size.
ROW_GROUP_BYTES = 32 << 20
ROW_GROUP_ROWS = 50_000

# Content-defined chunking keeps unchanged rows in unchanged bytes between releases of a dataset,
# so that content-addressed stores (the hub's) move only what changed; pyarrow 21 and later.
PARQUET_OPTIONS: dict = {
    "compression": "zstd",
    "compression_level": 3,
    "write_page_index": True,
    "write_page_checksum": True,  # damage on disk is noticed by whoever reads it next
    "use_dictionary": ["dump", "file_path", "language", "stage", "rule"],
    "use_content_defined_chunking": True,
}

BLOCKS_KEY, FOOTER_KEY = b"decant.seal.blocks", b"decant.seal.footer"
MAGIC = b"PAR1"
SIGNATURE = b"decant.signature:"
UNSIGNED = b"0" * 16
# How key and value stand in a footer: each a field of type string, its length, its text. Texts of
# pages stand there too, as the least and greatest of a column, but without such a byte. Either of
# the two tells a seal, so that no one flip hides it.
MARKS = (
    bytes([0x18, len(FOOTER_KEY)]) + FOOTER_KEY,
    bytes([0x18, len(SIGNATURE + UNSIGNED)]) + SIGNATURE,
)


class TableWriter:
    """Collects batches into row groups of bounded bytes and writes one parquet file.

    Row-group bounds depend on the rows alone (their order and sizes), never on how they were
    batched on the way in, so the bytes are the same for any producer. `sealed` puts the checksums
    of blocks into the footer.
    """

    def __init__(
        self,
        path: str,
        schema: pa.Schema,
        row_group_rows: int = ROW_GROUP_ROWS,
        options: Mapping[str, Any] | None = None,
        sealed: bool = True,
    ):
        self.schema = schema
        self.rows = 0
        self._limit_rows = row_group_rows
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._blocks = BlockWriter(path) if sealed else None
        target = path if self._blocks is None else pa.PythonFile(self._blocks, "w")
        options = {**PARQUET_OPTIONS, **(options or {})}
        self._writer = pq.ParquetWriter(target, self.schema, **options)

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows; their columns must be those of the schema, in any order."""
        interrupts.check()
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        table = table.select(self.schema.names).cast(self.schema)
        self.rows += table.num_rows
        for batch in table.to_batches():
            self._append(batch)

    def write_rows(self, rows: Sequence[dict]) -> None:
        """Append rows given as dictionaries with the schema's column names."""
        if rows:
            self._append_counted(pa.RecordBatch.from_pylist(list(rows), schema=self.schema))

    def close(self) -> None:
        self._flush()
        if self._blocks is None:
            self._writer.close()
            return
        blocks = self._blocks.end_of_data().encode().encode()
        seal = {BLOCKS_KEY: blocks, FOOTER_KEY: SIGNATURE + UNSIGNED}
        self._writer.add_key_value_metadata(seal)
        self._writer.close()
        self._blocks.close_with(signed)

    def abandon(self) -> None:
        self._pending.clear()
        with contextlib.suppress(Exception):
            self._writer.close()
        if self._blocks is not None:
            self._blocks.close()

    def _append_counted(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        self._append(batch)

    def _append(self, batch: pa.RecordBatch) -> None:
        widths = _row_bytes(batch)
        start = 0
        for row, width in enumerate(widths):
            self._pending_rows += 1
            self._pending_bytes += width
            if self._pending_rows >= self._limit_rows or self._pending_bytes >= ROW_GROUP_BYTES:
                self._pending.append(batch.slice(start, row + 1 - start))
                self._flush()
                start = row + 1
        if start < batch.num_rows:
            self._pending.append(batch.slice(start))

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=self.schema).combine_chunks()
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0


def open_table(file: BinaryIO, damage: Damage) -> pq.ParquetFile:
    """The parquet file behind `file`, whose blocks are checked as they are read.

    `damage` makes the error for what is wrong. Of a file without a seal (one that is published, or
    that an earlier version wrote) only the pages are checked. Read it with `use_threads=False`: the
    file is a Python object, and a thread of Arrow's that lets go of one while the interpreter ends
    takes the process down.
    """
    tail, size = read_tail(file)
    if len(tail) < 12 or tail[-4:] != MAGIC:
        raise damage("it does not end as a parquet file does")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > size:
        raise damage(f"its footer of {length} bytes is longer than the file")
    if length > len(tail):
        tail, _ = read_tail(file, length)
    if not any(mark in tail for mark in MARKS):
        file.seek(0)
        return pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    footer = tail[-length:]
    if signed(footer) != footer:
        raise damage("its footer has another checksum")
    try:
        metadata = pq.read_metadata(pa.BufferReader(MAGIC + footer))
        blocks = Blocks.decode((metadata.metadata or {})[BLOCKS_KEY].decode())
    except (KeyError, ValueError, OSError) as error:
        raise damage(f"its footer cannot be read ({error})") from None
    rest = size - blocks.size
    if not length <= rest <= size:
        raise damage("its blocks do not end where its footer begins")
    if rest > len(tail):
        tail, _ = read_tail(file, rest)
    # Read ahead by threads of Arrow's own, an exit in between ended in its C++ (code 134).
    checked = CheckedFile(file, blocks, tail[-rest:], damage)
    return pq.ParquetFile(checked, metadata=metadata, pre_buffer=False)


def signed(ending: bytes) -> bytes:
    """The end of a file with the checksum of its footer put in; empty where it has no place for it.

    Signing what is signed changes nothing: that is how a footer is checked.
    """
    start = len(ending) - 8 - int.from_bytes(ending[-8:-4], "little")
    at = ending.rfind(MARKS[1])
    if start < 0 or at < start:
        return b""
    at += len(MARKS[1])
    before, after = ending[:at], ending[at + len(UNSIGNED) :]
    digest = xxhash.xxh3_64_hexdigest(before[start:] + UNSIGNED + after)
    return before + digest.encode() + after


def _row_bytes(batch: pa.RecordBatch) -> list[int]:
    """Bytes of every row's strings and hashes plus a flat 64 for the rest."""
    total = pa.array([64] * batch.num_rows, pa.int64())
    for column in batch.columns:
        if pa.types.is_large_string(column.type) or pa.types.is_string(column.type):
            total = pc.add(total, pc.fill_null(pc.binary_length(column).cast(pa.int64()), 0))
        elif pa.types.is_fixed_size_binary(column.type):
            total = pc.add(total, pa.scalar(column.type.byte_width, pa.int64()))
    return total.to_pylist()
