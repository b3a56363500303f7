"""The engine in one process; the same through Ray is part of the end-to-end tests."""

import errno
import json
import pickle

import pytest

from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json, execute, manifest
from decant.pipeline.engine.damage import DamagedFile, damage_behind
from decant.pipeline.engine.execute import DamagedInput, Engine, Job, StepError, Task
from decant.pipeline.engine.storage import Store

CONFIG = RunConfig()


def double(job: Job) -> dict:
    number = job.task.args["number"]
    with open(job.store.path("calls.log"), "a") as log:
        log.write(f"{job.task.key}\n")
    job.store.write_bytes(f"out/{job.task.key}.txt", str(2 * number).encode())
    return {"in": 1, "doubled": 2 * number}


def fails_on_three(job: Job) -> dict:
    if job.task.args["number"] == 3:
        raise ValueError("three is wrong")
    return double(job)


def tasks(count: int) -> list[Task]:
    return [Task(f"{number:05d}", {"number": number}) for number in range(count)]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


def calls(store: Store) -> list[str]:
    return store.read_bytes("calls.log").decode().split()


def test_counts_come_back_by_task_key(store):
    results = Engine(store, CONFIG).map("numbers", double, tasks(3), digest="d")
    assert results["00002"] == {"in": 1, "doubled": 4}
    assert store.list("manifests") == ["manifests/numbers.json"]


def test_a_finished_task_is_not_run_again(store):
    for _ in range(2):
        results = Engine(store, CONFIG).map("numbers", double, tasks(3), digest="d")
    assert calls(store) == ["00000", "00001", "00002"]
    assert results["00001"]["doubled"] == 2


@pytest.mark.parametrize("change", [{"digest": "other"}, {"version": 2}])
def test_another_question_is_asked_again(store, change):
    Engine(store, CONFIG).map("numbers", double, tasks(2), **{"digest": "d"})
    Engine(store, CONFIG).map("numbers", double, tasks(2), **{"digest": "d", **change})
    assert calls(store) == ["00000", "00001"] * 2


def test_a_task_whose_file_is_gone_or_cut_short_runs_again(store):
    Engine(store, CONFIG).map("numbers", double, tasks(3), digest="d")
    store.remove("out/00001.txt")
    store.write_bytes("out/00002.txt", b"")
    Engine(store, CONFIG).map("numbers", double, tasks(3), digest="d")
    assert calls(store)[3:] == ["00001", "00002"]
    assert store.read_bytes("out/00002.txt") == b"4"


def test_a_torn_manifest_counts_as_not_there(store):
    Engine(store, CONFIG).map("numbers", double, tasks(1), digest="d")
    data = store.read_bytes("manifests/numbers.json")
    store.write_bytes("manifests/numbers.json", data[: len(data) // 2])
    Engine(store, CONFIG).map("numbers", double, tasks(1), digest="d")
    assert calls(store) == ["00000", "00000"]


def test_manifests_are_merged_while_a_step_runs(store, monkeypatch):
    monkeypatch.setattr(manifest, "MERGE_EVERY", 4)
    with pytest.raises(StepError):
        Engine(store, CONFIG).map("numbers", fails_late, tasks(10), digest="d")
    merged = [name for name in store.list("manifests/numbers") if "_merged" in name]
    assert merged == [f"manifests/numbers/_merged-0000{n}.json" for n in (0, 1)]
    assert len(manifest.read(store, "numbers")[0]) == 9
    Engine(store, CONFIG).map("numbers", double, tasks(10), digest="d")
    assert store.list("manifests") == ["manifests/numbers.json"]
    assert calls(store) == [f"{number:05d}" for number in range(10)]


def fails_late(job: Job) -> dict:
    if job.task.args["number"] == 9:
        raise ValueError("late")
    return double(job)


def test_a_deterministic_error_ends_the_step_and_names_the_task(store):
    with pytest.raises(StepError, match=r"numbers, task 00003: ValueError: three is wrong"):
        Engine(store, CONFIG).map("numbers", fails_on_three, tasks(5), digest="d")
    assert calls(store) == ["00000", "00001", "00002"]


def flaky(job: Job) -> dict:
    """Fails twice as a network does, then works."""
    double(job)
    if calls(job.store).count(job.task.key) < 3:
        raise OSError(errno.EIO, "disk is away")
    return {"in": 1}


def test_a_transient_error_is_tried_again(store, monkeypatch):
    monkeypatch.setattr(execute, "BACKOFF_S", 0.0)
    assert Engine(store, CONFIG).map("numbers", flaky, tasks(1), digest="d") == {"00000": {"in": 1}}
    assert calls(store) == ["00000"] * 3


def stopped_in_a_kernel(job: Job) -> dict:
    raise SystemError("returned a result with an exception set") from KeyboardInterrupt()


def test_a_keyboard_interrupt_inside_compiled_code_is_no_failed_task(store):
    with pytest.raises(KeyboardInterrupt):
        Engine(store, CONFIG).map("numbers", stopped_in_a_kernel, tasks(1), digest="d")


def test_what_came_before_enters_the_question(store):
    engine = Engine(store, CONFIG)
    for engine.upstream in ("first", "second"):
        engine.map("numbers", double, tasks(1), digest="d")
    assert calls(store) == ["00000"] * 2


def test_manifests_hold_no_time_host_or_worker(store):
    Engine(store, CONFIG).map("numbers", double, tasks(1), digest="d")
    record = json.loads(store.read_bytes("manifests/numbers.json"))
    assert sorted(record) == ["checksum", "counts", "digest", "format", "key", "outputs"]


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionResetError("reset"), True),
        (TimeoutError("slow"), True),
        (OSError(errno.EIO, "io"), True),
        (OSError(errno.ENOSPC, "full"), False),
        (FileNotFoundError("gone"), False),
        (ValueError("wrong"), False),
        (MemoryError(), False),
    ],
)
def test_only_infrastructure_errors_are_transient(error, transient):
    assert execute.is_transient(error) is transient


def write_part(job: Job) -> dict:
    number = job.task.args["number"]
    checked_json.write(job.store, f"parts/{job.task.key}.json", {"number": number})
    return {}


def test_a_step_names_all_damaged_files_after_its_other_tasks_are_done(store):
    engine = Engine(store, CONFIG)
    engine.map("parts", write_part, tasks(4), digest="d")
    for number in (1, 2):
        name = f"parts/0000{number}.json"
        store.write_bytes(name, store.read_bytes(name).replace(b"number", b"numbed"))
    with pytest.raises(DamagedInput, match=r"sums: .*00001\.json is damaged") as raised:
        engine.map("sums", sum_of_one, tasks(4), digest="d")
    assert [one.path for one in raised.value.files] == ["parts/00001.json", "parts/00002.json"]
    assert sorted(manifest.read(store, "sums")[0]) == ["00000", "00003"]


def sum_of_one(job: Job) -> dict:
    return {"sum": checked_json.read(job.store, f"parts/{job.task.key}.json")["number"]}


def test_damage_that_a_task_wraps_in_another_error_is_found():
    damage = DamagedFile("run", "a/b", "its checksum is another")
    try:
        raise ValueError("cannot go on") from damage
    except ValueError as error:
        assert damage_behind(error) is damage
    assert damage_behind(ValueError("no file")) is None


def test_damage_keeps_its_file_on_the_way_between_processes():
    there = pickle.loads(pickle.dumps(DamagedFile("run", "a/b", "cut off")))
    assert (there.url, there.path, str(there)[:28]) == (
        "run",
        "a/b",
        "run/a/b is damaged: cut off;",
    )
