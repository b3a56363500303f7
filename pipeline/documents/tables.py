"""Parquet and Arrow files, a bounded piece at a time, whatever their row groups hold."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from decant.pipeline.documents.formats import DocumentsError

BATCH_ROWS = 1_000
BATCH_BYTES = 8 << 20
READ_BYTES = 1 << 20  # of a column chunk at a time
DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)


class Table(Protocol):
    """A file of rows in numbered groups."""

    schema: pa.Schema

    @property
    def rows(self) -> Sequence[int]:
        """Rows of each group, as the file says."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """Bytes of each group, as the file says."""
        ...

    def batches(self, group: int, paths: list[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a group in order, with these columns (and perhaps others)."""
        ...

    def place(self, group: int) -> tuple[int, int]:
        """(offset, bytes) of a group in the file, as the file says."""
        ...


class ParquetTable:
    """A parquet file by row groups; a column chunk is read page by page."""

    def __init__(self, file: BinaryIO) -> None:
        with _named("is no readable parquet file"):
            self._file = pq.ParquetFile(
                file, pre_buffer=False, buffer_size=READ_BYTES, page_checksum_verification=True
            )
            self.schema = self._file.schema_arrow
        groups = [self._file.metadata.row_group(k) for k in range(self._file.num_row_groups)]
        self.rows = [max(0, group.num_rows) for group in groups]
        self.sizes = [max(0, group.total_byte_size) for group in groups]

    def batches(
        self, group: int, paths: list[str], most_rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        rows = max(1, self.rows[group])
        fitting = BATCH_BYTES * rows // max(1, self.sizes[group])
        count = min(most_rows, max(1, fitting))
        yield from self._file.iter_batches(
            count, row_groups=[group], columns=paths, use_threads=False
        )

    def place(self, group: int) -> tuple[int, int]:
        group_data = self._file.metadata.row_group(group)
        columns = [group_data.column(k) for k in range(group_data.num_columns)]
        starts = [one.dictionary_page_offset or one.data_page_offset for one in columns]
        return max(0, min(starts, default=0)), sum(
            max(0, one.total_compressed_size) for one in columns
        )


class ArrowTable:
    """An Arrow file or stream as one group: its record batches are read one after the other."""

    sizes: Sequence[int] = (0,)

    def __init__(self, file: BinaryIO, is_stream: bool) -> None:
        with _named("is no readable Arrow file"):
            if is_stream:
                stream = pa.ipc.open_stream(file)
                self._batches: Iterator[pa.RecordBatch] = iter(stream)
                self.schema = stream.schema
            else:
                opened = pa.ipc.open_file(file)
                self._batches = (opened.get_batch(k) for k in range(opened.num_record_batches))
                self.schema = opened.schema
        self.rows: Sequence[int] = (0,)  # known when it is read

    def place(self, group: int) -> tuple[int, int]:
        return 0, 0

    def batches(self, group: int, paths: list[str]) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            batch.validate()
            count = min(BATCH_ROWS, max(1, BATCH_BYTES * batch.num_rows // max(1, batch.nbytes)))
            for start in range(0, batch.num_rows, count):
                yield batch.slice(start, count)


def open_table(file: BinaryIO, container: str) -> Table:
    """The table in a parquet or Arrow file; raises DocumentsError where it is none."""
    if container == "parquet":
        return ParquetTable(file)
    return ArrowTable(file, container == "arrow_stream")


def groups_between(sizes: Sequence[int], start: int, end: int | None, whole: int) -> range:
    """The groups that belong to the bytes `start` to `end` of a file of `whole` bytes.

    A group lies where its share of all groups' bytes begins, so that ranges that meet share no
    group and leave none out, whatever sizes the file claims.

    >>> [list(groups_between([10, 10, 10], *span, 60)) for span in ((0, 30), (30, None))]
    [[0, 1], [2]]
    """
    total, before = max(1, sum(sizes)), 0
    places = []
    for size in sizes:
        places.append(before * whole // total)
        before += size
    stop = whole + 1 if end is None else end
    inside = [k for k, place in enumerate(places) if start <= place < stop]
    return range(inside[0], inside[-1] + 1) if inside else range(0)


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise DocumentsError(f"{what}: {str(error).splitlines()[0][:200]}") from None
