"""A run whose driver is interrupted or killed goes on where it was and ends with the same bytes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from decant.pipeline.sample.crawl import generate
from tests import small_tokenizer

FILES = 6
PATIENCE_S = 240  # for a loaded machine; nothing is timed
DECANT = [sys.executable, "-c", "from decant.ablations.program import main; main()"]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    generate(folder / "in", pages=50 * FILES, seed=11, files=FILES)
    small_tokenizer.write(folder / "bpe")
    return folder


@pytest.fixture(scope="module")
def whole(crawl, tmp_path_factory) -> Path:
    """A run that nobody disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(crawl, run)
    return run


def command(crawl: Path, run: Path, workers: int) -> list[str]:
    return [
        *DECANT, "run", "configs/quickstart.yaml", "--input", str(crawl / "in"),
        "--output", str(run), "--workers", str(workers), "--set", f"tokens.path={crawl / 'bpe'}",
    ]  # fmt: skip


def finish(crawl: Path, run: Path) -> None:
    done = subprocess.run(command(crawl, run, 0), capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()


def results_of(run: Path) -> dict[str, bytes]:
    """Every table and the ledger: all that a run promises to be the same."""
    paths = [*run.rglob("*.parquet"), run / "ledger.json"]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in sorted(paths)}


def start_and_signal(crawl: Path, run: Path, workers: int, which: int, folder: str) -> int:
    """The exit code of a run that got a signal as soon as a first table lay in `folder`."""
    arguments = command(crawl, run, workers)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as driver:
        deadline = time.monotonic() + PATIENCE_S
        while not list((run / folder).glob("*.parquet")):
            assert driver.poll() is None, driver.communicate()[0].decode()
            assert time.monotonic() < deadline, "no partition was ever finished"
            time.sleep(0.002)  # the rest of such a run takes half a second
        driver.send_signal(which)
        output = driver.communicate(timeout=PATIENCE_S)[0].decode()
    assert which != signal.SIGINT or "interrupted" in output
    return driver.returncode


def test_a_run_interrupted_from_the_keyboard_continues(crawl, whole, tmp_path):
    run = tmp_path / "run"
    code = start_and_signal(crawl, run, 0, signal.SIGINT, "2-filtered/kept")
    assert code == 1
    assert not list(run.glob("4-shards/data/**/*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in run.glob("1-extracted/*.parquet")}
    finish(crawl, run)
    assert results_of(run) == results_of(whole)
    assert len(before) == FILES
    assert all(path.stat().st_mtime_ns == then for path, then in before.items()), "read twice"


@pytest.mark.ray
def test_a_run_on_ray_whose_driver_is_killed_continues(crawl, whole, tmp_path):
    run = tmp_path / "run"
    code = start_and_signal(crawl, run, 2, signal.SIGKILL, "1-extracted")
    assert code == -signal.SIGKILL
    assert len(list(run.glob("2-filtered/kept/*.parquet"))) < FILES
    finish(crawl, run)  # at once: tasks of the dead driver may still be writing
    assert results_of(run) == results_of(whole)


def test_running_a_finished_run_again_writes_no_table(crawl, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.parquet")}
    finish(crawl, whole)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.parquet")} == before
