"""Files are told apart by name and bytes; one column has one type over all files."""

import pyarrow as pa
import pytest

from decant.pipeline.documents.columns import folder_values
from decant.pipeline.documents.formats import DocumentsError, container, has_document_name
from decant.pipeline.documents.rows import common_fields
from decant.pipeline.documents.tables import groups_between


@pytest.mark.parametrize(
    "name", ["a.parquet", "x/b.jsonl", "b.jsonl.gz", "c.json.zst", "d.arrow", "e.feather", "F.JSON"]
)
def test_names_of_documents(name):
    assert has_document_name(name) is True


@pytest.mark.parametrize("name", ["a.warc.gz", "notes.txt", "x.csv", "a.gz", "parquet", "a.arc"])
def test_names_of_other_files(name):
    assert has_document_name(name) is False


def test_the_first_bytes_say_what_a_file_is():
    assert container("x", b"PAR1") == "parquet"
    assert container("x.arrow", b"\xff\xff\xff\xff") == "arrow_stream"
    assert container("x.jsonl", b"\x1f\x8b\x08\0") == "jsonl_gzip"
    assert container("x.jsonl.zst", b"\x50\x2a\x4d\x18") == "jsonl_zstd"
    assert container("x", b'{"te') == "jsonl"


def test_a_file_that_is_not_what_its_name_says_is_refused():
    with pytest.raises(DocumentsError, match="named like parquet"):
        container("x.parquet", b'{"te')
    with pytest.raises(DocumentsError, match="named like jsonl"):
        container("x.jsonl", b"PAR1")


def test_folders_of_a_path_give_columns():
    url = "s3://bucket/dump=CC-MAIN-2024-10/name=a%20b/lang=__HIVE_DEFAULT_PARTITION__/x=1.parquet"
    assert folder_values(url) == {"dump": "CC-MAIN-2024-10", "name": "a b"}


def test_groups_are_shared_out_whatever_sizes_they_claim():
    for sizes in ([5, 0, 100, 3], [0, 0, 0], [1 << 60] * 3, []):
        for parts in (1, 2, 5):
            edges = [77 * k // parts for k in range(parts)]
            spans = zip(edges, [*edges[1:], None], strict=True)
            found = [k for span in spans for k in groups_between(sizes, *span, 77)]
            assert found == list(range(len(sizes)))


def fields(kind: pa.DataType) -> list[pa.Field]:
    return [pa.field("score", kind)]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.int64(), pa.int64(), pa.int64()),
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.null(), pa.bool_(), pa.bool_()),
        (pa.null(), pa.null(), pa.large_string()),
    ],
)
def test_types_that_go_together_over_files(one, other, both):
    for pair in ((one, other), (other, one)):
        schema = common_fields([("a", fields(pair[0])), ("b", fields(pair[1]))])
        assert schema.field("score").type == both


def test_a_column_that_changes_its_type_between_files_is_refused_with_both_files():
    with pytest.raises(DocumentsError, match=r"'score' has type double here and .*string in a"):
        common_fields([("a", fields(pa.large_string())), ("b", fields(pa.float64()))])
