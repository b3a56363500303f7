"""The rows of one file of documents, or of a part of it, in order and in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from decant.pipeline.documents import json_rows, lines
from decant.pipeline.documents.columns import ColumnNames
from decant.pipeline.documents.formats import DocumentsError
from decant.pipeline.documents.rows import Rows, extra_fields, table_layout, table_rows
from decant.pipeline.documents.tables import DAMAGE, groups_between, open_table

SAMPLE_ROWS = 1_000  # looked at before a run begins, within SAMPLE_BYTES
SAMPLE_BYTES = 4 << 20


@dataclass(frozen=True)
class DocumentPart:
    """A byte range of a file; a row belongs to it whose line, or row group, begins there."""

    container: str
    size: int  # of the whole file
    start: int = 0
    end: int | None = None
    first_row: int = 0  # of a plain JSONL file; tables count theirs


@dataclass(frozen=True)
class RowDamage:
    """A place that could not be read: its first row, why, and what is lost as far as is known."""

    row: int
    reason: str
    rows: int
    offset: int  # in the file
    bytes: int  # in the file, packed as they are there


class DocumentReader:
    """Iterates over Rows; afterwards `damage` says what could not be read.

    `damage`: what was lost at each place.
    """

    def __init__(
        self, file: BinaryIO, part: DocumentPart, names: ColumnNames, fields: pa.Schema, limit: int
    ) -> None:
        self._file, self._part, self._names = file, part, names
        self._fields, self._limit = fields, limit
        self.damage: list[RowDamage] = []
        self.first_row = part.first_row  # of a table, known once it is read

    def __iter__(self) -> Iterator[Rows]:
        is_json = self._part.container.startswith("jsonl")
        return self._json_rows() if is_json else self._table_rows()

    def _json_rows(self) -> Iterator[Rows]:
        part, row = self._part, self._part.first_row
        if part.container == "jsonl":
            found = lines.lines_between(self._file, part.start, part.end, row, self._limit)
        else:
            read = lines.reader_of(self._file, part.container)
            found = lines.lines(read, self._limit)
        found = self._until_damage(found)
        yield from json_rows.json_rows(found, self._names, self._fields)

    def _until_damage(self, found: Iterator[lines.Line]) -> Iterator[lines.Line]:
        """The lines before the first damage of a compressed stream; what follows it is lost."""
        row = self._part.first_row
        try:
            for line in found:
                row = line[0] + 1
                yield line
        except (pa.ArrowException, OSError, EOFError) as error:
            if _may_pass(error):
                raise
            at = min(self._file.tell(), self._part.size)
            self.damage.append(RowDamage(row, _short(error), 0, at, self._part.size - at))

    def _table_rows(self) -> Iterator[Rows]:
        part = self._part
        table = open_table(self._file, part.container)
        layout = table_layout(table.schema, self._names)
        groups = groups_between(table.sizes, part.start, part.end, part.size)
        first = self.first_row = sum(table.rows[: groups.start])
        for group in groups:
            row = first
            try:
                for batch in table.batches(group, layout.paths):
                    yield table_rows(batch, row, layout, self._fields, self._limit)
                    row += batch.num_rows
            except DAMAGE as error:
                if _may_pass(error):
                    raise
                lost = max(0, first + table.rows[group] - row)
                self.damage.append(RowDamage(row, _short(error), lost, *table.place(group)))
            first += table.rows[group]


def look(file: BinaryIO, container: str, names: ColumnNames) -> list[pa.Field]:
    """The columns that a run carries along from a file; DocumentsError where it holds no texts."""
    if container.startswith("jsonl"):
        return json_rows.sample_fields(_sample(file, container), names)
    schema = open_table(file, container).schema
    table_layout(schema, names)
    return extra_fields(schema, names)


def _sample(file: BinaryIO, container: str) -> list[lines.Line]:
    sample, size = [], 0
    read = lines.reader_of(file, container)
    try:
        for line in lines.lines(read, SAMPLE_BYTES):
            sample.append(line)
            size += line[2]
            if size >= SAMPLE_BYTES or len(sample) >= SAMPLE_ROWS:
                break
    except (pa.ArrowException, OSError, EOFError) as error:
        if not sample:
            raise DocumentsError(f"cannot be decompressed: {_short(error)}") from None
    return sample


def _may_pass(error: BaseException) -> bool:
    """Whether a network or a disk failed rather than the file: those have a number."""
    return isinstance(error, OSError) and error.errno is not None


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
