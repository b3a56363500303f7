"""A run whose driver is interrupted or killed goes on where it was and ends with the same bytes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from decant.pipeline.engine import interrupts
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
    assert done.returncode == 3, done.stderr.decode()  # the sample has damaged records


def results_of(run: Path) -> dict[str, bytes]:
    """Every table and the ledger: all that a run promises to be the same."""
    paths = [*run.rglob("*.parquet"), run / "ledger.json"]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in sorted(paths)}


# A run that sends itself a signal when the first task of a step is done. In `__del__` Python drops
# the exception that the signal raises, as it does in the destructor of pyarrow's writers.
SIGNALLED = """
import os, sys
from decant.ablations.program import main
from decant.pipeline.engine import manifest

way, number = sys.argv.pop(1), int(sys.argv.pop(1))
original, signals = manifest.write, [number]

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), number)

def write(store, step, done):
    original(store, step, done)
    if step == "filter/verdicts" and signals:
        signals.clear()
        if way == "dropped":
            Dropped()
        else:
            os.kill(os.getpid(), number)

manifest.write = write
main()
"""


@pytest.mark.parametrize("way", ["raised", "dropped"])
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_in_one_line_and_continues(crawl, whole, tmp_path, which, way):
    run = tmp_path / "run"
    arguments = [way, str(int(which)), *command(crawl, run, 0)[len(DECANT) :]]
    script = [sys.executable, "-c", SIGNALLED, *arguments]
    done = subprocess.run(script, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == interrupts.EXIT_CODE
    assert done.stderr.decode().count("decant: interrupted; the same command continues\n") == 1
    assert b"Traceback" not in done.stderr and b"ignored" not in done.stderr
    assert not list(run.glob("4-shards/data/**/*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in run.glob("1-extracted/*.parquet")}
    finish(crawl, run)
    assert results_of(run) == results_of(whole)
    assert len(before) == FILES
    assert all(path.stat().st_mtime_ns == then for path, then in before.items()), "read twice"


def start_and_kill(crawl: Path, run: Path, workers: int, folder: str) -> int:
    """The exit code of a run that was killed as soon as a first table lay in `folder`."""
    arguments = command(crawl, run, workers)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as driver:
        deadline = time.monotonic() + PATIENCE_S
        while not list((run / folder).glob("*.parquet")):
            assert driver.poll() is None, driver.communicate()[0].decode()
            assert time.monotonic() < deadline, "no partition was ever finished"
            time.sleep(0.002)
        driver.kill()
        output = driver.communicate(timeout=PATIENCE_S)[0].decode()
    assert "the same command continues" in output
    return driver.returncode


@pytest.mark.ray
def test_a_run_on_ray_whose_driver_is_killed_continues(crawl, whole, tmp_path):
    run = tmp_path / "run"
    code = start_and_kill(crawl, run, 2, "1-extracted")
    assert code == -signal.SIGKILL
    assert len(list(run.glob("2-filtered/kept/*.parquet"))) < FILES
    finish(crawl, run)  # at once: tasks of the dead driver may still be writing
    assert results_of(run) == results_of(whole)


def test_running_a_finished_run_again_writes_no_table(crawl, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.parquet")}
    finish(crawl, whole)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.parquet")} == before
