"""Rows as the extract stage judges them: texts or what stands in their place, labels, columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from decant.pipeline.documents.columns import (
    MISSING_KIND,
    ColumnNames,
    column_at,
    field_at,
    has_kind,
    is_label,
    is_number,
    is_text,
    missing_column,
    path_of,
    paths_in,
    plain_type,
    run_field,
)
from decant.pipeline.documents.formats import DocumentsError

# Why a row has no text. The first two are outcomes of rules, the others errors.
NULL, TOO_LARGE = "text_null", "row_bytes"
NOT_UTF8, NOT_JSON, NOT_AN_OBJECT = "not UTF-8", "not JSON", "not a JSON object"
NUMERIC_ROLE = "language_score"


@dataclass
class Rows:
    """Some rows of a file, in order.

    Where `texts` is None, `problems` says why, and `sizes` how many bytes the row has. `labels`
    holds id, url, date, … as strings (`language_score` as float), None where a row has none.
    `extra` are the columns that the run carries along, as the run's schema has them.
    """

    numbers: list[int] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    problems: list[str | None] = field(default_factory=list)
    labels: dict[str, list] = field(default_factory=dict)
    extra: dict[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def head(self, count: int) -> "Rows":
        """The first `count` rows."""
        return Rows(
            self.numbers[:count],
            self.texts[:count],
            self.sizes[:count],
            self.problems[:count],
            {role: values[:count] for role, values in self.labels.items()},
            {name: values[:count] for name, values in self.extra.items()},
        )


@dataclass(frozen=True)
class TableLayout:
    """Where the columns of one table lie: path by role, and path by name in the run."""

    roles: Mapping[str, str]
    extra: Mapping[str, str]
    names: ColumnNames

    @property
    def paths(self) -> list[str]:
        """The columns to read."""
        return sorted({*self.roles.values(), *self.extra.values()})


def table_layout(schema: pa.Schema, names: ColumnNames) -> TableLayout:
    """Where a table has what a run needs; raises DocumentsError where it has not, or as no text."""
    roles: dict[str, str] = {}
    for role in ("text", "id", "url", "date", "dump", "language", NUMERIC_ROLE, "file_path"):
        candidates = names.candidates(role)
        path = next((one for one in candidates if field_at(schema, one) is not None), None)
        if path is not None:
            _check_role(schema, role, path)
            roles[role] = path
        elif role == "text" or (names.given.get(role) and candidates[0] not in names.folders):
            raise missing_column(candidates[0], role, paths_in(schema))
    extra = {}
    for path, name in names.extra().items():
        if field_at(schema, path) is not None:
            extra[name] = path
        elif path not in names.folders:
            raise missing_column(path, None, paths_in(schema))
    return TableLayout(roles, extra, names)


def _check_role(schema: pa.Schema, role: str, path: str) -> None:
    field = field_at(schema, path)
    assert field is not None
    fits = {"text": is_text, NUMERIC_ROLE: is_number}.get(role, is_label)
    if not fits(field.type):
        needed = {"text": "text", NUMERIC_ROLE: "a number"}.get(role, "text, a number or a time")
        raise DocumentsError(
            f"column {path!r} ({role}) has type {field.type}, where {needed} is needed; "
            f"name another with input.columns: {{{role}: NAME}}"
        )


def extra_fields(schema: pa.Schema, names: ColumnNames) -> list[pa.Field]:
    """The fields of the columns that a run carries along from this table."""
    fields = []
    for path in names.extra():
        field = field_at(schema, path)
        kind = pa.large_string() if field is None else plain_type(field.type)
        if path not in names.carried:
            if not is_number(kind):
                raise DocumentsError(f"column {path!r} has type {kind}; a rule needs a number")
            kind = pa.float64()
        fields.append(run_field(path, kind))
    return fields


def table_rows(
    batch: pa.RecordBatch, first: int, layout: TableLayout, fields: pa.Schema, limit: int
) -> Rows:
    """The rows of a batch, numbered from `first`; a text over `limit` bytes is left out."""
    size = batch.num_rows
    rows = Rows(list(range(first, first + size)))
    _read_texts(rows, column_at(batch, layout.roles["text"]), limit)
    for role in layout.names.folders:
        rows.labels[role] = [layout.names.folders[role]] * size
    for role, path in layout.roles.items():
        if role != "text":
            rows.labels[role] = labels(column_at(batch, path), role)
    for one in fields:
        path = layout.extra.get(one.name)
        if path is None:
            values = pa.array([layout.names.folders[path_of(one)]] * size, one.type)
        else:
            values = as_type(column_at(batch, path), one.type)
        rows.extra[one.name] = values
    return rows


def _read_texts(rows: Rows, column: pa.Array, limit: int) -> None:
    column = column.cast(pa.large_binary())
    sizes = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    over = sizes > limit
    if over.any():
        column = pc.if_else(pa.array(over), pa.scalar(None, pa.large_binary()), column)
    rows.sizes = sizes.tolist()
    for data, is_over in zip(column.to_pylist(), over.tolist(), strict=True):
        text, problem = None, None
        if data is None:
            problem = TOO_LARGE if is_over else NULL
        else:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                problem = NOT_UTF8
        rows.texts.append(text)
        rows.problems.append(problem)


def labels(column: pa.Array, role: str) -> list:
    """A column as strings, times as ISO 8601 in UTC; `language_score` as floats."""
    if role == NUMERIC_ROLE:
        return as_type(column, pa.float64()).to_pylist()
    if pa.types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False)
        utc = seconds.cast(pa.timestamp("s")).cast(pa.string()).to_pylist()
        return [None if one is None else f"{one.replace(' ', 'T')}Z" for one in utc]
    if not is_text(column.type):
        column = column.cast(pa.large_string())
    raw = column.cast(pa.large_binary()).to_pylist()
    return [None if one is None else one.decode("utf-8", "replace") for one in raw]


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as the run has it; a boolean is 0 or 1 where a number is needed."""
    if pa.types.is_boolean(column.type) and pa.types.is_floating(kind):
        column = column.cast(pa.int8())
    if pa.types.is_large_string(kind) and pa.types.is_large_string(column.type):
        return _sound(column)
    return column.cast(kind, safe=not pa.types.is_floating(kind))


def _sound(column: pa.Array) -> pa.Array:
    """The strings, U+FFFD for bytes that are no UTF-8: Arrow reads them from a file unseen."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raw = column.cast(pa.large_binary()).to_pylist()
        sound = [None if one is None else one.decode("utf-8", "replace") for one in raw]
        return pa.array(sound, pa.large_string())
    return column


def common_fields(found: Iterable[tuple[str, list[pa.Field]]]) -> pa.Schema:
    """The columns carried along, with one type over all files (name, fields).

    Integers widen to floats and a column of nulls to any type; other differences raise
    DocumentsError with the names of two files.
    """
    types: dict[str, tuple[pa.Field, str]] = {}
    for file, fields in found:
        for one in fields:
            known, where = types.setdefault(one.name, (one, file))
            joined = _joined(known, one)
            if joined is None:
                raise DocumentsError(
                    f"{file}: column {one.name!r} has type {one.type} here and {known.type} in "
                    f"{where}; leave it out, or make one of both"
                )
            types[one.name] = joined, where
    for one, where in types.values():
        if has_kind(one, MISSING_KIND):
            raise DocumentsError(f"{where}: has no column {one.name!r} in any of its first rows")
    return pa.schema([_stored(one) for one, _ in types.values()])


def _joined(one: pa.Field, other: pa.Field) -> pa.Field | None:
    if has_kind(other, MISSING_KIND):
        return one
    if has_kind(one, MISSING_KIND):
        return other
    if pa.types.is_null(one.type):
        return other
    if pa.types.is_null(other.type) or one.equals(other, check_metadata=True):
        return one
    kinds = one.type, other.type
    if all(pa.types.is_integer(kind) for kind in kinds):
        return one.with_type(pa.int64())
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return one.with_type(pa.float64())
    return None


def _stored(one: pa.Field) -> pa.Field:
    return one.with_type(pa.large_string()) if pa.types.is_null(one.type) else one
