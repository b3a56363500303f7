"""Which column of a file is a document's text, id, address, date, …: by convention or by name.

The names are those of FineWeb (`text, id, url, date, dump, language, language_score, file_path`),
datatrove (`text, id, metadata.…`), dolma (`text, id, created, metadata.…`) and C4 (`text, url,
timestamp`); `input.columns` names others. A dot leads into a nested field.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from decant.pipeline.documents.formats import DocumentsError

NAMES: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "id": ("id",),
    "url": ("url", "metadata.url"),
    "date": ("date", "timestamp", "created", "metadata.date", "metadata.timestamp"),
    "dump": ("dump", "metadata.dump"),
    "language": ("language", "metadata.language"),
    "language_score": ("language_score", "metadata.language_score"),
    "file_path": ("file_path", "metadata.file_path"),
}
LISTED_COLUMNS = 30  # of a file that lacks a column, in the message
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
# What a field's metadata say: where the column lies in its file, and what kind of values it has.
PATH, KIND = b"decant.path", b"decant.kind"
JSON_KIND = b"json"  # kept as JSON text
MISSING_KIND = b"missing"  # no row looked at has it


@dataclass(frozen=True)
class ColumnNames:
    """The columns to read: candidates for each role, and what is carried along.

    `given` are the names of `input.columns`; `carried` go to the published set, `measured` are read
    by rules as numbers. `folders` are values that the path gives (`dump=CC-MAIN-2024-10/`).
    """

    given: Mapping[str, str | None] = field(default_factory=dict)
    carried: Sequence[str] = ()
    measured: Sequence[str] = ()
    folders: Mapping[str, str] = field(default_factory=dict)

    def candidates(self, role: str) -> tuple[str, ...]:
        """The names a role may have in a file, the first that is there counts."""
        name = self.given.get(role)
        return NAMES[role] if name is None else (name,)

    def extra(self) -> dict[str, str]:
        """The columns beside the roles: their name here by their name in the file."""
        names = dict.fromkeys((*self.carried, *self.measured))
        return {name: short_name(name) for name in names}


def has_kind(one: pa.Field, kind: bytes) -> bool:
    """Whether a field says of itself that its values are of this kind."""
    return (one.metadata or {}).get(KIND) == kind


def run_field(path: str, kind: pa.DataType, mark: bytes | None = None) -> pa.Field:
    """The field of a column that a run carries along; `mark`: what kind of values it has."""
    metadata = {PATH: path.encode()} | ({} if mark is None else {KIND: mark})
    return pa.field(short_name(path), kind, metadata=metadata)


def path_of(one: pa.Field) -> str:
    """Where the column of a field lies in its file."""
    return (one.metadata or {}).get(PATH, one.name.encode()).decode("utf-8", "replace")


def short_name(path: str) -> str:
    """What a column is called in the run: its own name, without what it is nested in.

    >>> short_name("metadata.quality.score")
    'score'
    """
    return path.rsplit(".", 1)[-1]


def folder_values(url: str) -> dict[str, str]:
    """The columns that the folders of a path give, as Hive writes them.

    >>> folder_values("data/dump=CC-MAIN-2024-10/lang=en/0.parquet")
    {'dump': 'CC-MAIN-2024-10', 'lang': 'en'}
    """
    values = {}
    for part in url.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name.isidentifier() and value != HIVE_NULL:
            values[name] = unquote(value)
    return values


def field_at(schema: pa.Schema, path: str) -> pa.Field | None:
    """The field of a column, nested or not; None where there is none."""
    if path in schema.names:
        if len(schema.get_all_field_indices(path)) > 1:
            raise DocumentsError(f"has several columns called {path!r}")
        return schema.field(path)
    first, *inside = path.split(".")
    field = schema.field(first) if schema.get_field_index(first) >= 0 else None
    for name in inside:
        if field is None or not pa.types.is_struct(field.type):
            return None
        at = field.type.get_field_index(name)
        field = field.type.field(at) if at >= 0 else None
    return field


def column_at(batch: pa.RecordBatch, path: str) -> pa.Array:
    """A column's values, nested or not, null where a parent is."""
    if path in batch.schema.names:
        return plain(batch.column(path))
    first, *inside = path.split(".")
    column = batch.column(first)
    for name in inside:
        column = pc.struct_field(column, name)
    return plain(column)


def plain(column: pa.Array) -> pa.Array:
    """The column without dictionary, extension type or string views: all of them are storage."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(plain_type(column.type))


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that `plain` gives a column of this one; lists and structs stay as they are."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind) or pa.types.is_binary(kind):
        return pa.large_binary()
    return kind


def paths_in(schema: pa.Schema) -> list[str]:
    """Every column that a configuration may name, fields of structs with a dot."""
    names: list[str] = []

    def visit(prefix: str, kind: pa.DataType) -> None:
        names.append(prefix)
        if pa.types.is_struct(kind):
            for one in kind:
                visit(f"{prefix}.{one.name}", one.type)

    for one in schema:
        visit(one.name, one.type)
    return names


def missing_column(name: str, role: str | None, there: Iterable[str]) -> DocumentsError:
    """The error of a file without a column, with the columns it has."""
    listed = sorted(there)
    more = f" and {len(listed) - LISTED_COLUMNS} more" if len(listed) > LISTED_COLUMNS else ""
    columns = ", ".join(listed[:LISTED_COLUMNS]) + more or "none"
    hint = f"; say which it is with input.columns: {{{role}: NAME}}" if role else ""
    return DocumentsError(f"has no column {name!r}; its columns: {columns}{hint}")


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold texts; one of nulls alone can."""
    kind = plain_type(kind)
    tests = (pa.types.is_large_string, pa.types.is_large_binary, pa.types.is_null)
    return any(test(kind) for test in tests)


def is_number(kind: pa.DataType) -> bool:
    """Whether a rule can compare the values of a column of this type."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(test(plain_type(kind)) for test in (*tests, pa.types.is_null))


def is_label(kind: pa.DataType) -> bool:
    """Whether a column of this type can be an id, an address, a date or a name."""
    return is_text(kind) or pa.types.is_integer(kind) or pa.types.is_temporal(kind)


def json_at(row: Mapping[str, Any], path: str) -> Any:
    """The value of a column in a JSON object, nested or not; None where there is none."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
