"""What could not be read is said: in a table, on the terminal, in the report, by the exit code."""

import gzip

import pytest

from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import losses
from decant.pipeline.sample.crawl import generate

RECIPE = "seed: 1\nworkers: 0\ntokens: {when_missing: null}\nextract: {isolate: false}\n"
SKIPPED = (
    b"WARC/1.0\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
    b"WARC-Target-URI: http://example.com/\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    """A generated crawl of ten pages as one file, each record a gzip member."""
    folder = tmp_path_factory.mktemp("crawl")
    generate(folder, pages=10, seed=3, files=1)
    (path,) = folder.rglob("*.warc.gz")
    return path.read_bytes()


def with_hole(data: bytes) -> bytes:
    start = len(data) // 3
    return data[:start] + bytes(len(data) // 3) + data[2 * start :]


def extract(tmp_path, files: dict[str, bytes], *settings: str) -> tuple[int, Store]:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    config = tmp_path / "run.yaml"
    config.write_text(RECIPE)
    request = RunRequest(
        config=str(config),
        output=str(tmp_path / "run"),
        inputs=tuple(str(tmp_path / name) for name in files),
        workers=0,
        settings=settings,
        stages=("extract",),
    )
    return execute_run(request), Store(str(tmp_path / "run"))


def test_a_whole_file_loses_nothing_and_says_nothing(tmp_path, archive, capsys):
    code, store = extract(tmp_path, {"whole.warc.gz": archive})
    assert code == 0
    assert not store.exists("losses.parquet")
    assert "bytes" not in capsys.readouterr().err


def test_a_hole_is_named_with_its_file_and_bytes(tmp_path, archive, capsys):
    code, store = extract(tmp_path, {"hole.warc.gz": with_hole(archive)})
    said = capsys.readouterr().err
    assert code == 3
    rows = losses.read(store)
    assert {row["file_path"] for row in rows} == {"hole.warc.gz"}
    # What is lost begins in the last member before the hole and ends with the first one behind it.
    third = len(archive) // 3
    assert 0.9 * third < sum(row["bytes"] for row in rows) < 2 * third
    assert f"{rows[0]['bytes']:,} bytes lost at byte {rows[0]['offset']:,}" in said
    assert f"{sum(row['bytes'] for row in rows):,} bytes in {len(rows)} ranges of 1 files" in said
    report = store.read_bytes("report.html").decode()
    assert "Bytes that gave nothing" in report and "hole.warc.gz" in report


@pytest.mark.parametrize(("bound", "expected"), [("0.9", 3), ("0.001", 1)])
def test_more_loss_than_the_configuration_allows_fails_the_run(
    tmp_path, archive, capsys, bound, expected
):
    setting = f"input.max_lost={bound}"
    code, _ = extract(tmp_path, {"hole.warc.gz": with_hole(archive)}, setting)
    assert code == expected
    assert ("above input.max_lost" in capsys.readouterr().err) is (expected == 1)


def test_a_file_of_skipped_records_is_named_with_their_type(tmp_path, archive, capsys):
    files = {"only.warc.gz": gzip.compress(SKIPPED) * 3, "whole.warc.gz": archive}
    code, store = extract(tmp_path, files, "input.max_lost=0")
    assert code == 3
    (row,) = losses.read(store)
    assert (row["file_path"], row["reason"]) == ("only.warc.gz", "only_skipped: 3 resource")
    assert "only_skipped: 3 resource" in capsys.readouterr().err


def test_a_file_without_a_record_counts_as_lost_whole(tmp_path, archive):
    code, store = extract(tmp_path, {"none.warc.gz": b"nothing" * 100, "whole.warc.gz": archive})
    assert code == 3
    assert sum(row["bytes"] for row in losses.read(store)) == 700


def test_a_file_without_a_byte_is_named(tmp_path, archive):
    code, store = extract(tmp_path, {"none.warc.gz": b"", "whole.warc.gz": archive})
    assert code == 3
    (row,) = losses.read(store)
    assert (row["file_path"], row["reason"]) == ("none.warc.gz", "no_record")


def test_a_limit_that_ends_with_no_document_says_so(tmp_path, capsys):
    code, _ = extract(tmp_path, {"only.warc.gz": gzip.compress(SKIPPED)}, "input.limit_records=5")
    assert code == 3
    assert "the limit of 5 ended with no document" in capsys.readouterr().err


def test_losses_are_gone_once_nothing_is_lost(tmp_path, archive):
    _, store = extract(tmp_path, {"hole.warc.gz": with_hole(archive)})
    assert store.exists("losses.parquet")
    losses.collect(store, [], {})
    assert losses.read(store) == []


def test_the_terminal_gets_the_largest_losses_and_the_total_of_all():
    rows = [
        {"file": 0, "file_path": "a", "offset": at, "bytes": 100 - at, "ranges": 1, "reason": "x"}
        for at in range(30)
    ]
    shown = losses.lines(rows)
    assert len(shown) == losses.SHOWN + 2
    assert shown[-2] == "… and 10 more"
    assert shown[-1].startswith(f"{sum(range(71, 101)):,} bytes in 30 ranges of 1 files")


def test_bytes_are_counted_once_where_a_file_has_no_record_and_its_range_is_named(tmp_path):
    code, store = extract(tmp_path, {"zeros.warc": bytes(20_000)})
    assert code == 3
    assert sum(row["bytes"] for row in losses.read(store)) == 20_000
