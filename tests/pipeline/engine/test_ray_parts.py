"""Words for a run whose Ray dies, with toys in the place of Ray's processes."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from decant.pipeline.engine import ray_parts
from decant.pipeline.engine.ray_parts import dead_parts


def toy_ray(**codes: int | None) -> SimpleNamespace:
    """A module like Ray's whose processes have these exit codes; None: alive."""
    processes = {
        kind: [SimpleNamespace(process=SimpleNamespace(poll=lambda code=code: code))]
        for kind, code in codes.items()
    }
    node = SimpleNamespace(all_processes=processes)
    return SimpleNamespace(_private=SimpleNamespace(worker=SimpleNamespace(_global_node=node)))


def test_the_parts_that_ended_are_named():
    assert dead_parts(toy_ray(raylet=None, gcs_server=None)) == []
    assert dead_parts(toy_ray(raylet=-9, gcs_server=None)) == ["raylet"]
    assert dead_parts(toy_ray(raylet=-9, gcs_server=1)) == ["gcs_server", "raylet"]


def test_of_a_cluster_that_was_joined_nothing_is_known():
    worker = SimpleNamespace(_global_node=None)
    assert dead_parts(SimpleNamespace(_private=SimpleNamespace(worker=worker))) == []


@pytest.mark.parametrize(
    ("ending", "speaks"),
    [("words.close()", False), ("words.close(); words.close(); os._exit(1)", False),
     ("os._exit(1)", True), ("os.kill(os.getpid(), 9)", True)],
)  # fmt: skip
def test_a_process_that_ends_without_closing_still_says_what_to_do(ending, speaks):
    script = f"import os\nfrom {ray_parts.__name__} import LastWords\nwords = LastWords()\n{ending}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == (ray_parts.ENDED + "\n" if speaks else "")
