"""Tasks that ask for GPUs, on a local Ray that believes it has some."""

import os
import time

import pytest
import ray

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store

MEETING_S = 60.0


def seen_gpu(job: Job) -> dict:
    """The GPUs that this task may see, told once as many tasks run as the test waits for."""
    job.store.write_bytes(f"met/{job.task.key}", b"")
    late = time.monotonic() + MEETING_S
    while len(job.store.list("met")) < job.task.args["together"] and time.monotonic() < late:
        time.sleep(0.01)
    return {
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "met": len(job.store.list("met")),
    }


@pytest.fixture
def two_gpus():
    ray.init(num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.ray
def test_runs_beside_each_other_get_a_gpu_each_or_share_one(two_gpus, tmp_path):
    with Engine(Store(str(tmp_path)), RunConfig(), workers=2) as engine:
        tasks = [Task(key, {"together": 2}) for key in "ab"]
        whole = engine.map("whole", seen_gpu, tasks, "0", gpus=1.0)
        tasks = [Task(key, {"together": 6}) for key in "cdef"]
        halves = engine.map("halves", seen_gpu, tasks, "0", gpus=0.5)
    assert sorted(done["gpus"] for done in whole.values()) == ["0", "1"]
    assert sorted(done["gpus"] for done in halves.values()) == ["0", "0", "1", "1"]
    assert {done["met"] for done in halves.values()} == {6}


@pytest.mark.ray
def test_where_there_are_no_gpus_none_are_asked_for(tmp_path):
    with Engine(Store(str(tmp_path)), RunConfig(), workers=1) as engine:
        done = engine.map("probe", seen_gpu, [Task("a", {"together": 1})], "0", gpus=1.0)
    assert done["a"]["met"] == 1
