"""Lines of JSON become rows: one object a line, whatever it holds instead."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from decant.filters.words.unicode import without_surrogates
from decant.pipeline.documents.columns import (
    JSON_KIND,
    MISSING_KIND,
    ColumnNames,
    has_kind,
    is_number,
    json_at,
    missing_column,
    path_of,
    run_field,
)
from decant.pipeline.documents.formats import DocumentsError
from decant.pipeline.documents.lines import Line
from decant.pipeline.documents.rows import (
    NOT_AN_OBJECT,
    NOT_JSON,
    NOT_UTF8,
    NULL,
    NUMERIC_ROLE,
    TOO_LARGE,
    Rows,
)

BATCH_ROWS = 500
BATCH_BYTES = 8 << 20
ROLES = ("id", "url", "date", "dump", "language", NUMERIC_ROLE, "file_path")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_rows(lines: Iterator[Line], names: ColumnNames, fields: pa.Schema) -> Iterator[Rows]:
    """The rows of lines, some at a time; blank lines are none."""
    batch = _Batch(names, fields)
    for number, line, size in lines:
        if line is not None and not line.strip(b" \t\r"):
            continue
        batch.add(number, line, size)
        if batch.is_full():
            yield batch.rows()
            batch = _Batch(names, fields)
    if batch.numbers:
        yield batch.rows()


class _Batch:
    """Rows on their way from JSON to columns."""

    def __init__(self, names: ColumnNames, fields: pa.Schema) -> None:
        self._names, self._fields = names, fields
        self._extra_paths = [path_of(one) for one in fields]
        self._candidates = {role: names.candidates(role) for role in ("text", *ROLES)}
        self.numbers: list[int] = []
        self._sizes: list[int] = []
        self._texts: list[str | None] = []
        self._problems: list[str | None] = []
        self._labels: dict[str, list] = {role: [] for role in ROLES}
        self._extra: list[list] = [[] for _ in fields]

    def is_full(self) -> bool:
        return len(self.numbers) >= BATCH_ROWS or sum(self._sizes[-BATCH_ROWS:]) >= BATCH_BYTES

    def add(self, number: int, line: bytes | None, size: int) -> None:
        row, problem = (None, TOO_LARGE) if line is None else parsed(line, number)
        text = None if row is None else self._first(row, "text")
        if row is not None and not isinstance(text, str):
            problem = NULL if text is None else f"the text is {_kind(text)}"
        labels = {role: label(self._first(row or {}, role), role) for role in ROLES}
        wrong = [role for role, value in labels.items() if value is _WRONG]
        extra = [
            value_of(json_at(row or {}, path), one)
            for path, one in zip(self._extra_paths, self._fields, strict=True)
        ]
        named = zip(self._fields.names, extra, strict=True)
        wrong += [name for name, value in named if value is _WRONG]
        if problem is None and wrong:
            problem = f"column {wrong[0]!r} has another type"
        self.numbers.append(number)
        self._sizes.append(size)
        self._texts.append(
            without_surrogates(text)[0] if problem is None and isinstance(text, str) else None
        )
        self._problems.append(problem)
        for role, value in labels.items():
            self._labels[role].append(None if value is _WRONG else value)
        for values, value in zip(self._extra, extra, strict=True):
            values.append(None if value is _WRONG else value)

    def rows(self) -> Rows:
        extra = {
            one.name: pa.array(values, one.type)
            for one, values in zip(self._fields, self._extra, strict=True)
        }
        return Rows(self.numbers, self._texts, self._sizes, self._problems, self._labels, extra)

    def _first(self, row: dict, role: str) -> Any:
        """The value of a role: of the first candidate that the row has, else of a folder."""
        for name in self._candidates[role]:
            value = json_at(row, name)
            if value is not None:
                return value
        return self._names.folders.get(role) if role != "text" else None


class _Wrong:
    """A value that is not of its column's type."""


_WRONG = _Wrong()


def parsed(line: bytes, number: int) -> tuple[dict | None, str | None]:
    """(object, None), or None and what the line is instead."""
    if number == 0:
        line = line.removeprefix(BYTE_ORDER_MARK)
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError:
        return None, NOT_UTF8
    except (ValueError, RecursionError):
        return None, NOT_JSON
    return (row, None) if isinstance(row, dict) else (None, NOT_AN_OBJECT)


def label(value: Any, role: str) -> Any:
    """A label as a string (`language_score`: a float), None for null, _WRONG for other types."""
    if value is None:
        return None
    if role == NUMERIC_ROLE:
        return _number(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return _WRONG
    return without_surrogates(str(value))[0]


def value_of(value: Any, one: pa.Field) -> Any:
    """A value as a column of the run has it, None for null, _WRONG where it does not fit."""
    if value is None:
        return None
    if has_kind(one, JSON_KIND):
        return json.dumps(value, sort_keys=True)
    if pa.types.is_floating(one.type):
        return _number(value)
    if pa.types.is_boolean(one.type):
        return value if isinstance(value, bool) else _WRONG
    if pa.types.is_integer(one.type):
        fits = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        return value if fits else _WRONG
    return without_surrogates(value)[0] if isinstance(value, str) else _WRONG


def _number(value: Any) -> Any:
    if not isinstance(value, bool | int | float):
        return _WRONG
    try:
        return float(value)
    except OverflowError:
        return _WRONG


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", bool: "a boolean"}.get(type(value), "a number")


def sample_fields(lines: Sequence[Line], names: ColumnNames) -> list[pa.Field]:
    """The fields that a run carries along, by the first lines of a file.

    Raises DocumentsError where none of them has a text.
    """
    rows = [row for number, line, _ in lines if line for row, _ in [parsed(line, number)] if row]
    filled = any(line and line.strip() for _, line, _ in lines)
    if filled and not rows:
        first = next(line for _, line, _ in lines if line and line.strip())
        raise DocumentsError(f"its first lines are no JSON objects: {first[:40]!r}")
    there = sorted({name for row in rows for name in json_paths(row)})
    for role, given in (("text", None), *names.given.items()):
        name = given or names.candidates(role)[0]
        if (role == "text" or given) and rows and name not in there and name not in names.folders:
            raise missing_column(name, role, there)
    fields = []
    for path in names.extra():
        values = [json_at(row, path) for row in rows]
        one = json_field(path, [value for value in values if value is not None])
        if path in names.folders and pa.types.is_null(one.type):
            one = one.with_type(pa.large_string())
        elif pa.types.is_null(one.type) and path not in there:
            one = run_field(path, pa.null(), MISSING_KIND)
        if path not in names.carried:
            if not is_number(one.type):
                raise DocumentsError(f"column {path!r} holds no numbers; a rule needs one")
            one = one.with_type(pa.float64())
        fields.append(one)
    return fields


def json_paths(row: dict, prefix: str = "") -> Iterator[str]:
    """The columns of a JSON object, nested ones with a dot."""
    for name, value in row.items():
        yield prefix + name
        if isinstance(value, dict) and prefix.count(".") < 3:
            yield from json_paths(value, f"{prefix}{name}.")


def json_field(path: str, values: list) -> pa.Field:
    """A column for these JSON values: strings, numbers, booleans, else their JSON text."""
    kinds = {type(value) for value in values}
    simple = {str: pa.large_string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    if not kinds:
        return run_field(path, pa.null())
    if len(kinds) == 1 and kinds <= simple.keys():
        return run_field(path, simple[kinds.pop()])
    if kinds == {int, float}:
        return run_field(path, pa.float64())
    return run_field(path, pa.large_string(), JSON_KIND)
