"""What a Ray worker has loaded once it has done the work of every stage."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.sample.crawl import generate
from tests import small_tokenizer

ROOT = Path(__file__).parents[1]


def all_stages(job: Job) -> dict:
    """Run all stages in this very process, and tell what is in it afterwards."""
    folder = Path(job.store.url)
    request = RunRequest(
        config=str(ROOT / "configs" / "quickstart.yaml"),
        output=str(folder / "inner"),
        inputs=(str(folder / "crawl"),),
        workers=0,
        settings=(f"tokens.path={folder / 'bpe'}",),
    )
    code = execute_run(request)
    ledger = json.loads((folder / "inner" / "ledger.json").read_text())
    return {
        "code": code,
        "kept": ledger["stages"]["shard"]["kept"],
        "pid": os.getpid(),
        "torch": "torch" in sys.modules,
        "trafilatura": "trafilatura" in sys.modules,
    }


@pytest.mark.ray
@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: nothing to keep out"
)
def test_a_ray_worker_that_did_the_work_of_all_stages_has_not_imported_torch(tmp_path):
    generate(tmp_path / "crawl", pages=30, seed=1, files=1)
    small_tokenizer.write(tmp_path / "bpe")
    store = Store(str(tmp_path))
    with Engine(store, RunConfig(), workers=1) as engine:
        done = engine.map("probe", all_stages, [Task("00000")], digest="0")["00000"]
    assert done["code"] == 0
    assert done["kept"] > 5
    assert done["pid"] != os.getpid()
    assert done["torch"] is False
    assert done["trafilatura"] is False  # 50 MB that only the page's child process needs
