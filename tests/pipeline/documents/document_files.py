"""Small files of documents for tests, in every format that is read."""

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from decant.pipeline.documents.columns import ColumnNames
from decant.pipeline.documents.formats import container
from decant.pipeline.documents.reader import DocumentPart, DocumentReader
from decant.pipeline.documents.rows import Rows

NO_FIELDS = pa.schema([])
LIMIT = 1_000_000


def json_lines(rows: list) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def packed(rows: list, name: str) -> bytes:
    """The bytes of a file of these rows, in the format that its name says."""
    table, sink = pa.Table.from_pylist(rows), io.BytesIO()
    if name.endswith(".parquet"):
        pq.write_table(table, sink, row_group_size=3)
    elif name.endswith(".stream.arrow"):
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    elif name.endswith(".arrow"):
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    elif name.endswith(".gz"):
        lines = json_lines(rows)  # two members, as appending to a file makes them
        return gzip.compress(lines[:50], mtime=0) + gzip.compress(lines[50:], mtime=0)
    elif name.endswith(".zst"):
        lines = json_lines(rows)
        return b"".join(
            pa.Codec("zstd").compress(part, asbytes=True) for part in (lines[:50], lines[50:])
        )
    else:
        return json_lines(rows)
    return sink.getvalue()


FORMATS = ("a.parquet", "a.arrow", "a.stream.arrow", "a.jsonl", "a.json.gz", "a.jsonl.zst")


def read(
    data: bytes,
    names: ColumnNames | None = None,
    fields: pa.Schema = NO_FIELDS,
    limit: int = LIMIT,
    span: tuple[int, int | None] = (0, None),
    first_row: int = 0,
    name: str = "",
) -> tuple[list[Rows], list]:
    """(the rows of a file or of a part of it, its damage)."""
    file = io.BytesIO(data)
    part = DocumentPart(container(name, data[:4]), len(data), *span, first_row)
    reader = DocumentReader(file, part, names or ColumnNames(), fields, limit)
    return list(reader), reader.damage


def texts(rows: list[Rows]) -> dict[int, str | None]:
    """The text of each row by its number."""
    return {
        number: text for one in rows for number, text in zip(one.numbers, one.texts, strict=True)
    }


def problems(rows: list[Rows]) -> dict[int, str | None]:
    """Why a row has no text, by its number."""
    return {
        number: problem
        for one in rows
        for number, problem in zip(one.numbers, one.problems, strict=True)
    }


def write(folder: Path, name: str, rows: list) -> Path:
    """A file of these rows in the format that its name says."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(rows, name))
    return path
