"""A run made by a decant without a format number is read, and resumed where it was begun.

The fixture was made by that decant from `decant sample-crawl --pages 24 --seed 11 --files 1` in one
process; its page and event log are left out.
"""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.sample.crawl import generate

FIXTURE = Path(__file__).parent / "fixtures" / "format_1" / "run"
AFTER_FILTER = ("3-deduplicated", "4-shards", "manifests/deduplicate", "manifests/shard")


@pytest.fixture
def old_run(tmp_path) -> Path:
    """A copy of the run beside the crawl it was made from."""
    generate(tmp_path / "crawl", pages=24, seed=11, files=1)
    run = tmp_path / "run"
    shutil.copytree(FIXTURE, run)
    inputs = pq.read_table(run / "inputs.parquet")
    (path,) = (tmp_path / "crawl").rglob("*.warc.gz")
    urls = pa.array([str(path)], inputs.schema.field("url").type)
    place = inputs.schema.get_field_index("url")
    pq.write_table(inputs.set_column(place, "url", urls), run / "inputs.parquet")
    return run


def resume(run: Path) -> int:
    return execute_run(
        RunRequest(
            config=str(FIXTURE / "config.yaml"),
            output=str(run),
            inputs=(str(run.parent / "crawl"),),
            workers=0,
        )
    )


def contents(run: Path, folder: str) -> dict[str, bytes]:
    paths = sorted(path for path in (run / folder).rglob("*") if path.is_file())
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}


def test_a_finished_run_of_format_1_is_finished(old_run):
    stages = ("1-extracted", "2-filtered", "3-deduplicated", "4-shards")
    before = {folder: contents(old_run, folder) for folder in stages}
    times = {path: path.stat().st_mtime_ns for path in old_run.rglob("*.parquet")}
    assert resume(old_run) == 0
    assert {folder: contents(old_run, folder) for folder in stages} == before
    assert {path: path.stat().st_mtime_ns for path in old_run.rglob("*.parquet")} == times


def test_a_run_of_format_1_that_was_begun_ends_in_the_same_corpus(old_run):
    shards, ledger = contents(old_run, "4-shards/data"), (old_run / "ledger.json").read_bytes()
    listed = json.loads((old_run / "4-shards/manifest.json").read_bytes())["files"]
    for name in AFTER_FILTER:
        shutil.rmtree(old_run / name)
    for stage in ("deduplicate", "shard"):
        (old_run / f"manifests/{stage}.done.json").unlink()
    kept = {path: path.stat().st_mtime_ns for path in (old_run / "2-filtered").rglob("*.parquet")}
    assert kept
    assert resume(old_run) == 0
    assert contents(old_run, "4-shards/data") == shards
    assert json.loads((old_run / "4-shards/manifest.json").read_bytes())["files"] == listed
    after = json.loads((old_run / "ledger.json").read_bytes())
    assert {key: after[key] for key in ("stages", "digest")} == json.loads(ledger)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
