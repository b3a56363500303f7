"""The order of stages, what a finished stage refuses, and what a run remembers; with toy stages."""

import json

import pytest

from decant.pipeline import run as running
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.damage import DamagedFile, StorageError
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.run import RunError, Stage, run_stages
from decant.pipeline.rundir.ledger import LedgerError

CONFIG = RunConfig()


def write_count(job: Job) -> dict:
    with open(job.store.path("calls.log"), "a") as log:
        log.write(f"{job.task.args['stage']}\n")
    job.store.write_bytes(f"{job.task.args['folder']}/00000.txt", job.task.args["stage"].encode())
    return {"in": 10, "kept": 10}


def toy(name: str, folder: str, kept: int = 10, dropped: int = 0, took: int = 10) -> Stage:
    def stage(engine: Engine, store: Store, config: RunConfig) -> dict:
        tasks = [Task("00000", {"stage": name, "folder": folder})]
        digest = running.stage_digest(config, name)
        engine.map(f"{name}/work", write_count, tasks, digest)
        entry = {"in": took, "kept": kept, "errors": 0, "dropped": {"rule": dropped}}
        if name == "shard":
            entry |= {"documents": "d"}
        return entry

    return Stage(name, stage, folder)


@pytest.fixture
def toys(monkeypatch):
    folders = {"extract": "1-extracted", "filter": "2-filtered"}
    folders |= {"deduplicate": "3-deduplicated", "shard": "4-shards"}
    stages = tuple(toy(name, folder) for name, folder in folders.items())
    monkeypatch.setattr(running, "STAGES", stages)
    return stages


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


def run(store: Store, config: RunConfig = CONFIG, names: tuple[str, ...] | None = None):
    return run_stages(Engine(store, config), store, config, names)


def calls(store: Store) -> list[str]:
    return store.read_bytes("calls.log").decode().split()


def test_stages_run_in_order_and_once(toys, store):
    for _ in range(2):
        outcome = run(store)
    assert calls(store) == ["extract", "filter", "deduplicate", "shard"]
    assert list(outcome.stages) == calls(store)
    assert json.loads(store.read_bytes("ledger.json"))["digest"]["documents"] == "d"


def test_one_stage_needs_those_before_it(toys, store):
    with pytest.raises(RunError, match="stage extract has not run yet"):
        run(store, names=("filter",))
    run(store, names=("extract",))
    run(store, names=("filter",))
    assert calls(store) == ["extract", "filter"]


def test_a_finished_stage_of_another_configuration_is_refused(toys, store):
    run(store)
    before = {name: store.read_bytes(name) for name in store.list("")}
    other = CONFIG.model_copy(
        update={"language": CONFIG.language.model_copy(update={"threshold": 0.5})}
    )
    with pytest.raises(RunError) as refused:
        run(store, other)
    assert "stage extract is finished with language.threshold = 0.65" in str(refused.value)
    assert {name: store.read_bytes(name) for name in store.list("")} == before


def test_changed_keys_of_a_stage_not_yet_run_are_accepted(toys, store):
    run(store, names=("extract", "filter"))
    other = CONFIG.model_copy(update={"seed": 2})
    run(store, other)
    assert calls(store) == ["extract", "filter", "deduplicate", "shard"]


def test_a_stage_whose_file_is_gone_runs_again(toys, store):
    run(store)
    store.remove("2-filtered/00000.txt")
    run(store)
    assert calls(store)[4:] == ["filter"]


def test_a_single_stage_names_the_file_of_an_earlier_one_that_is_gone(toys, store):
    run(store, names=("extract", "filter"))
    store.remove("1-extracted/00000.txt")
    with pytest.raises(RunError, match=r"1-extracted/00000\.txt is missing or cut off since stage"):
        run(store, names=("deduplicate",))


def test_a_stage_that_loses_rows_fails_the_run(toys, store, monkeypatch):
    lossy = (toy("extract", "1-extracted", kept=8, dropped=1),)
    monkeypatch.setattr(running, "STAGES", lossy)
    with pytest.raises(LedgerError, match="10 rows in, but 8 kept"):
        run(store)
    assert not store.exists("ledger.json")


def test_a_stage_must_take_in_what_the_one_before_kept(toys, store, monkeypatch):
    leaky = (toy("extract", "1-extracted", kept=9, dropped=1), toys[1])
    monkeypatch.setattr(running, "STAGES", leaky)
    with pytest.raises(LedgerError, match="extract kept 9 rows, but filter took in 10"):
        run(store)


def test_a_stage_that_does_not_follow_from_the_one_before_is_not_marked(toys, store, monkeypatch):
    leaky = (toy("extract", "1-extracted", kept=9, dropped=1), toys[1])
    monkeypatch.setattr(running, "STAGES", leaky)
    with pytest.raises(LedgerError):
        run(store)
    assert store.exists("manifests/extract.done.json")
    assert not store.exists("manifests/filter.done.json")
    monkeypatch.setattr(running, "STAGES", (leaky[0], toy("filter", "2-filtered", took=9, kept=9)))
    assert list(run(store).stages) == ["extract", "filter"]


def harm(store: Store, name: str, old: bytes, new: bytes) -> None:
    data = store.read_bytes(name)
    assert old in data
    store.write_bytes(name, data.replace(old, new, 1))


@pytest.mark.parametrize("old", [b'"kept": 10', b'"keys"', b"}"])
def test_a_damaged_marker_is_written_again(toys, store, old, capsys):
    run(store)
    marker = "manifests/filter.done.json"
    before = store.read_bytes(marker), store.read_bytes("ledger.json")
    harm(store, marker, old, old[:-1] + b"9")
    with_progress = Engine(store, CONFIG, progress=Progress(store))
    run_stages(with_progress, store, CONFIG)
    assert (store.read_bytes(marker), store.read_bytes("ledger.json")) == before
    assert calls(store) == ["extract", "filter", "deduplicate", "shard"]
    assert "filter.done.json is damaged" in capsys.readouterr().err


def test_a_damaged_marker_under_another_configuration_is_refused(toys, store):
    run(store)
    harm(store, "manifests/extract.done.json", b'"kept": 10', b'"kept": 19')
    other = CONFIG.model_copy(
        update={"language": CONFIG.language.model_copy(update={"threshold": 0.5})}
    )
    with pytest.raises(RunError, match=r"extract\.done\.json is damaged .* another --output"):
        run(store, other)


def test_a_damaged_manifest_has_its_task_done_again(toys, store):
    run(store)
    harm(store, "manifests/filter/work.json", b'"in": 10', b'"in": 11')
    ledger = store.read_bytes("ledger.json")
    run(store)
    assert calls(store)[4:] == ["filter"]
    assert store.read_bytes("ledger.json") == ledger


def read_extracted(engine: Engine, store: Store, config: RunConfig) -> dict:
    if store.read_bytes("1-extracted/00000.txt") != b"extract":
        raise DamagedFile(store.url, "1-extracted/00000.txt", "its bytes are others")
    return {"in": 10, "kept": 10, "errors": 0, "dropped": {}}


def test_a_damaged_file_of_an_earlier_stage_is_made_again(toys, store, monkeypatch):
    run(store, names=("extract",))
    store.write_bytes("1-extracted/00000.txt", b"extrakt")
    monkeypatch.setattr(running, "STAGES", (toys[0], Stage("filter", read_extracted, "2-filtered")))
    run(store)
    assert store.read_bytes("1-extracted/00000.txt") == b"extract"
    assert calls(store) == ["extract", "extract"]


def never_whole(engine: Engine, store: Store, config: RunConfig) -> dict:
    raise DamagedFile(store.url, "1-extracted/00000.txt", "its bytes are others")


def test_a_file_that_is_damaged_again_ends_the_run(toys, store, monkeypatch):
    monkeypatch.setattr(running, "STAGES", (toys[0], Stage("filter", never_whole, "2-filtered")))
    with pytest.raises(StorageError, match="was made again and is damaged again"):
        run(store)
    assert calls(store) == ["extract", "extract"]


def test_a_single_stage_names_a_damaged_file_of_another_and_leaves_it(toys, store, monkeypatch):
    run(store, names=("extract",))
    monkeypatch.setattr(running, "STAGES", (toys[0], Stage("filter", never_whole, "2-filtered")))
    with pytest.raises(DamagedFile, match=r"1-extracted/00000\.txt is damaged"):
        run(store, names=("filter",))
    assert store.exists("1-extracted/00000.txt")


def test_what_dead_writers_left_is_cleaned_up(toys, store, tmp_path):
    (tmp_path / "1-extracted").mkdir()
    (tmp_path / "1-extracted" / ".00007.parquet.elsewhere-1-ab.tmp").write_bytes(b"half")
    run(store)
    assert list(tmp_path.rglob("*.tmp")) == []
