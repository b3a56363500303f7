"""Rows come out of a file as they stand in it, whatever its format and however it is cut."""

import gzip
import io
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.pipeline.documents.columns import ColumnNames
from decant.pipeline.documents.formats import DocumentsError
from decant.pipeline.documents.lines import count_lines
from decant.pipeline.documents.reader import look
from tests.pipeline.documents.document_files import (
    FORMATS,
    LIMIT,
    json_lines,
    packed,
    problems,
    read,
    texts,
)

ROWS = [{"text": f"text {n} é", "id": f"d{n}", "url": f"http://e.org/{n}"} for n in range(10)]


def table(columns: dict, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(name):
    rows, damage = read(packed(ROWS, name), name=name)
    assert texts(rows) == {n: f"text {n} é" for n in range(10)}
    assert [one for part in rows for one in part.labels["id"]] == [f"d{n}" for n in range(10)]
    assert damage == []


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
@pytest.mark.parametrize("parts", [2, 3, 7, 50])
def test_the_parts_of_a_file_have_each_row_once_with_its_own_number(name, parts):
    data = packed(ROWS, name)
    edges = [len(data) * k // parts for k in range(parts)]
    found: dict = {}
    row = 0
    for start, end in zip(edges, [*edges[1:], None], strict=True):
        rows, _ = read(data, span=(start, end), first_row=row, name=name)
        row += count_lines(io.BytesIO(data), start, len(data) if end is None else end)
        assert not found.keys() & texts(rows).keys()
        found |= texts(rows)
    assert found == {n: f"text {n} é" for n in range(10)}


@pytest.mark.parametrize("data", [b"", b"a", b"a\n", b"\n\na", b"a\nb\n", b"\n"])
def test_the_lines_of_all_parts_are_the_lines_of_the_file(data):
    for parts in range(1, len(data) + 2):
        edges = [len(data) * k // parts for k in range(parts + 1)]
        counts = [count_lines(io.BytesIO(data), *span) for span in itertools.pairwise(edges)]
        ends = data.count(b"\n")
        # A line feed at the end begins a line without a byte: no part counts it, none reads it.
        assert sum(counts) - ends in (0, 1), (parts, counts)


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_a_text_may_be_of_any_type_of_string(kind):
    column = pa.array(["one", None, "one"])
    column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, pa.schema([("text", column.type)])) as writer:
        writer.write_batch(pa.record_batch({"text": column}))
    rows, _ = read(sink.getvalue())
    assert texts(rows) == {0: "one", 1: None, 2: "one"}


def test_a_row_over_the_bound_has_no_text_and_one_at_it_has():
    sizes = [10, 11, 3]
    for name in ("a.parquet", "a.arrow"):
        rows, _ = read(packed([{"text": "x" * size} for size in sizes], name), limit=10)
        assert problems(rows) == {0: None, 1: "row_bytes", 2: None}
        assert [size for one in rows for size in one.sizes] == sizes
    line = len('{"text": ""}')
    rows, _ = read(json_lines([{"text": "x" * size} for size in sizes]), limit=line + 10)
    assert problems(rows) == {0: None, 1: "row_bytes", 2: None}


def test_a_line_of_many_chunks_is_not_kept_in_memory_when_it_is_over_the_bound():
    long = {"text": "x" * 5_000_000}
    rows, _ = read(json_lines([{"text": "a"}, long, {"text": "b"}]))
    assert texts(rows) == {0: "a", 1: None, 2: "b"}
    assert problems(rows)[1] == "row_bytes"


WRONG_LINES = {
    b'{"text": null}': "text_null",
    b'{"body": "x"}': "text_null",
    b'{"text": 3}': "the text is a number",
    b'{"text": ["a"]}': "the text is a list",
    b'{"text": {"a": 1}}': "the text is an object",
    b'{"text": "a"': "not JSON",
    b"text": "not JSON",
    b'["a"]': "not a JSON object",
    b'{"text": "\xff"}': "not UTF-8",
    b'{"text": "a", "url": ["x"]}': "column 'url' has another type",
    b'{"text": "a", "id": 1.5}': "column 'id' has another type",
    b"[" * 100_000: "not JSON",
    b'{"text": "a", "n": ' + b"9" * 10_000 + b"}": "not JSON",
}


@pytest.mark.parametrize("line", WRONG_LINES, ids=lambda line: line[:30].decode("latin-1"))
def test_a_wrong_line_says_what_is_wrong_with_it_and_costs_no_other(line):
    rows, damage = read(b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    assert texts(rows) == {0: "before", 1: None, 2: "after"}
    assert problems(rows)[1] == WRONG_LINES[line]
    assert damage == []


def test_blank_lines_and_a_byte_order_mark_are_no_rows():
    rows, _ = read(b'\xef\xbb\xbf{"text": "a"}\n\n \r\n{"text": "b"}')
    assert texts(rows) == {0: "a", 3: "b"}


def test_lone_surrogates_of_json_become_replacement_characters():
    rows, _ = read(b'{"text": "a\\ud800b", "url": "\\udfff"}\n')
    assert texts(rows) == {0: "a\ufffdb"}
    assert rows[0].labels["url"] == ["\ufffd"]


def test_bytes_in_a_string_column_that_are_no_utf8_are_an_outcome():
    column = pa.array([b"fine", b"\xff\xfe"]).cast(pa.binary())
    strings = pa.Array.from_buffers(pa.string(), 2, column.buffers())
    rows, _ = read(table({"text": strings, "url": strings}))
    assert problems(rows) == {0: None, 1: "not UTF-8"}
    assert rows[0].labels["url"] == ["fine", "\ufffd\ufffd"]


def test_a_row_group_that_is_damaged_costs_its_rows_and_no_others():
    plain = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    columns = {"text": [f"text {n}" * 50 for n in range(9)]}
    data = bytearray(table(columns, row_group_size=3, **plain))
    at = data.index(b"text 4text 4")
    data[at : at + 4] = b"\0\0\0\0"
    rows, damage = read(bytes(data))
    assert sorted(texts(rows)) == [0, 1, 2, 6, 7, 8]
    assert [(one.row, one.rows) for one in damage] == [(3, 3)]
    assert damage[0].offset < at < damage[0].offset + damage[0].bytes


def test_a_gzip_file_that_is_cut_off_gives_the_rows_before_the_cut():
    rows = [{"text": f"text {n} " + str(n) * 400} for n in range(2_000)]
    data = gzip.compress(json_lines(rows), mtime=0)
    found, damage = read(data[: len(data) // 2])
    assert 0 < len(texts(found)) < 2_000
    assert len(damage) == 1
    assert damage[0].row == max(texts(found)) + 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_anywhere_ends_in_a_message_or_in_counted_damage(name):
    data = packed(ROWS, name)
    for size in range(0, len(data), 7):
        try:
            read(data[:size], name=name)
        except DocumentsError as error:
            assert "\n" not in str(error)


def test_names_are_found_as_fineweb_datatrove_dolma_and_c4_write_them():
    rows = {
        "fineweb": {"text": "t", "id": "i", "url": "u", "date": "d", "dump": "p"},
        "datatrove": {"text": "t", "id": "i", "metadata": {"url": "u", "date": "d", "dump": "p"}},
        "dolma": {"text": "t", "id": "i", "source": "s", "created": "d", "metadata": {"url": "u"}},
        "c4": {"text": "t", "url": "u", "timestamp": "d"},
    }
    for name, row in rows.items():
        for file in ("a.parquet", "a.jsonl"):
            (one,), _ = read(packed([row], file))
            assert (one.texts, one.labels["url"], one.labels["date"]) == (["t"], ["u"], ["d"]), name


def test_a_named_column_may_be_nested_and_replaces_the_usual_name():
    names = ColumnNames({"text": "page.body", "id": "nr"})
    row = {"page": {"body": "the text"}, "text": "another", "nr": 17}
    for file in ("a.parquet", "a.jsonl"):
        (one,), _ = read(packed([row], file), names)
        assert (one.texts, one.labels["id"]) == (["the text"], ["17"])


def test_times_become_iso_8601_in_utc():
    when = pa.array([1_700_000_000_123_456]).cast(pa.timestamp("us"))
    rows, _ = read(table({"text": ["a"], "date": when}))
    assert rows[0].labels["date"] == ["2023-11-14T22:13:20Z"]


def test_a_file_without_a_text_column_names_the_columns_it_has():
    row = {"body": "a", "url": "u", "meta": {"x": 1}}
    for file in ("a.parquet", "a.jsonl"):
        data = packed([row], file)
        kind = "parquet" if file.endswith("parquet") else "jsonl"
        with pytest.raises(DocumentsError, match=r"'text'; its columns: body, meta, meta\.x"):
            look(io.BytesIO(data), kind, ColumnNames())
        with pytest.raises(DocumentsError, match="no column 'nr'"):
            look(io.BytesIO(data), kind, ColumnNames({"text": "body", "id": "nr"}))


@pytest.mark.parametrize(
    ("value", "kind"), [(1, "int64"), (1.5, "double"), ([1], "list"), ({"a": "b"}, "struct")]
)
def test_a_text_column_of_another_type_is_refused_with_its_type(value, kind):
    with pytest.raises(DocumentsError, match=rf"column 'text' \(text\) has type {kind}"):
        look(io.BytesIO(table({"text": [value]})), "parquet", ColumnNames())


def test_a_json_array_is_no_file_of_lines():
    data = json.dumps([{"text": "a"}], indent=1).encode()
    with pytest.raises(DocumentsError, match="no JSON objects"):
        look(io.BytesIO(data), "jsonl", ColumnNames())


def test_columns_are_carried_along_with_their_types():
    names = ColumnNames(carried=("tags", "metadata.score", "seen"), measured=("edu",))
    row = {"text": "a", "tags": ["x", "y"], "metadata": {"score": 3}, "seen": True, "edu": 2}
    for file in ("a.parquet", "a.jsonl"):
        data = packed([row], file)
        kind = "parquet" if file.endswith("parquet") else "jsonl"
        fields = pa.schema(look(io.BytesIO(data), kind, names))
        (one,), _ = read(data, names, fields)
        assert {name: column.to_pylist() for name, column in one.extra.items()} == {
            "tags": [["x", "y"]] if kind == "parquet" else ['["x", "y"]'],
            "score": [3],
            "seen": [True],
            "edu": [2.0],
        }
        assert one.extra["edu"].type == pa.float64()


def test_a_limit_that_no_text_reaches_changes_nothing():
    data = packed(ROWS, "a.parquet")
    assert texts(read(data, limit=LIMIT)[0]) == texts(read(data, limit=100)[0])
