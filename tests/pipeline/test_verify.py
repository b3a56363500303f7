"""`decant verify` over the run of an earlier version, over one of today and over a dataset."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from decant.ablations.program import app
from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.run import RunError
from decant.pipeline.sample.crawl import generate
from decant.pipeline.verify import verify

OLD = Path(__file__).parent / "fixtures" / "format_1" / "run"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A finished run of today."""
    folder = tmp_path_factory.mktemp("verified")
    generate(folder / "crawl", pages=24, seed=11, files=1)
    config, run = str(OLD / "config.yaml"), folder / "run"
    assert execute_run(RunRequest(config, str(run), (str(folder / "crawl"),), workers=0)) in (0, 3)
    return run


@pytest.fixture
def run(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_finished_run_and_its_dataset_are_as_they_were_written(run):
    for folder in (run, run / "4-shards", OLD):
        result = verify(str(folder))
        assert result.wrong == []
        assert result.bytes > 1_000
    tables = [path for path in run.rglob("*.parquet") if "_" not in path.parent.name]
    assert verify(str(run)).files > len(tables)


def test_every_table_and_report_of_a_run_is_looked_into(run):
    names = [
        path.relative_to(run).as_posix()
        for path in sorted(run.rglob("*"))
        if path.suffix in (".parquet", ".json") and path.name != "versions.json"
    ]
    assert len(names) > 20
    for name in names:
        whole = (run / name).read_bytes()
        flip(run / name, len(whole) // 2)
        assert any(line.startswith(f"{name}: ") for line in verify(str(run)).wrong), name
        (run / name).write_bytes(whole)


def test_a_missing_and_a_cut_file_are_named_with_exit_1(run):
    shards = sorted((run / "4-shards/data").rglob("*.parquet"))
    shards[0].unlink()
    kept = run / "2-filtered/kept/00000.parquet"
    kept.write_bytes(kept.read_bytes()[:-1])
    done = CliRunner().invoke(app, ["verify", str(run)])
    assert done.exit_code == 1
    assert f"{shards[0].relative_to(run)}: it is missing" in done.stderr
    assert "2-filtered/kept/00000.parquet: it has " in done.stderr
    assert done.stdout.endswith("2 wrong\n")


def test_a_copied_dataset_is_verified_by_its_list(run, tmp_path):
    copy = Path(shutil.copytree(run / "4-shards", tmp_path / "copy"))
    assert verify(str(copy)).wrong == []
    path = next((copy / "data").rglob("*.parquet"))
    flip(path, 100)
    assert verify(str(copy)).wrong == [f"{path.relative_to(copy)}: its checksum is another"]


def test_what_is_neither_run_nor_dataset_is_refused(tmp_path):
    with pytest.raises(RunError, match="neither a run directory nor a dataset"):
        verify(str(tmp_path))
    assert CliRunner().invoke(app, ["verify", str(tmp_path)]).exit_code == 2


def test_a_finished_run_says_how_to_check_it(made, capsys):
    config, crawl = str(OLD / "config.yaml"), str(made.parent / "crawl")
    execute_run(RunRequest(config, str(made), (crawl,), workers=0))
    assert f"`decant verify {made}` checks it" in capsys.readouterr().err


def test_what_is_named_can_be_deleted_and_is_made_again(run, made):
    kept = run / "2-filtered/kept/00000.parquet"
    whole = kept.read_bytes()
    kept.unlink()
    config, crawl = str(OLD / "config.yaml"), str(made.parent / "crawl")
    assert execute_run(RunRequest(config, str(run), (crawl,), workers=0)) in (0, 3)
    assert kept.read_bytes() == whole
    assert verify(str(run)).wrong == []


def test_a_damaged_table_is_made_again_by_the_run_that_meets_it(run, made, capsys):
    texts = run / "1-extracted/00000.parquet"
    whole, ledger = texts.read_bytes(), (run / "ledger.json").read_bytes()
    flip(texts, 100)
    for path in (run / "2-filtered", run / "manifests/filter"):
        shutil.rmtree(path)
    config, crawl = str(OLD / "config.yaml"), str(made.parent / "crawl")
    assert execute_run(RunRequest(config, str(run), (crawl,), workers=0)) in (0, 3)
    assert "1-extracted/00000.parquet is damaged (block 1 of 1" in capsys.readouterr().err
    assert (texts.read_bytes(), (run / "ledger.json").read_bytes()) == (whole, ledger)
    assert verify(str(run)).wrong == []
