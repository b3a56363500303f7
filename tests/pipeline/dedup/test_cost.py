"""The cost model against what a stage really leaves on disk."""

import numpy as np
import pytest

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup import cost as dedup_plan
from decant.pipeline.dedup import layout, merging, spills
from decant.pipeline.dedup.spill_file import write_spill
from tests.pipeline.dedup.dedup_runs import deduplicated, planted_clusters, write_run_directory


def test_tasks_objects_and_bytes_are_those_of_a_real_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "SLOT_BYTES_PER_DOCUMENT", 1 << 18)
    monkeypatch.setattr(layout, "SORT_BYTES_PER_RECORD", 1 << 14)
    documents = planted_clusters(np.random.default_rng(8), 1_500)
    store = write_run_directory(tmp_path, documents)
    deduplicated(store, memory_mb=16)
    sizes = store.sizes("3-deduplicated/_scratch")
    planned = layout.plan(1_500, 0, RunConfig.model_validate({"dedup": {"memory_mb": 16}}))
    exchange = dedup_plan.exchanges(planned)[0]
    keys = [size for name, size in sizes.items() if "/bands/" in name and name.endswith(".spill")]
    assert len(keys) == exchange.senders == planned.slots
    heads = len(keys) * (16 * planned.bins + 300)  # offsets, checksums
    assert exchange.bytes < sum(keys) < exchange.bytes + 2 * heads


@pytest.mark.parametrize("documents", [10**8, 10**9, 10**10])
def test_a_plan_stays_within_its_memory_and_a_few_objects_per_partition(documents):
    config = RunConfig.model_validate({"dedup": {"memory_mb": 8_000}})
    cost = dedup_plan.cost(documents, config)
    planned = layout.plan(documents, 0, config)
    partitions = documents / 33_000  # documents of a WARC file
    assert cost["objects"] < 3 * partitions
    per_bin = documents / 2**planned.prefix_bits
    assert per_bin * layout.SORT_BYTES_PER_RECORD <= 8_000 << 20
    assert planned.width * layout.SLOT_BYTES_PER_DOCUMENT <= 8_000 << 20
    for exchange in dedup_plan.exchanges(planned):
        rounds, _ = dedup_plan.merge_rounds(exchange, planned.payload, True)
        assert rounds <= 2


def test_merge_rounds_are_those_of_settle(tmp_path):
    """The model's rounds and files for files written by hand, without any deduplication."""
    from decant.pipeline.engine.execute import Engine
    from decant.pipeline.engine.storage import Store

    store, bins, payload = Store(str(tmp_path)), 32, 1 << 14
    names, kind = [], np.dtype([("doc", "<u4")])
    for number in range(100):
        counts = np.full(bins, 4)
        path = f"made/{number:04d}.spill"
        names.append(write_spill(store, path, np.zeros(4 * bins, kind), counts))
    spills.write_catalog(store, "made", names)
    exchange = dedup_plan.Exchange("made", 100, bins, 100 * 4 * bins, 4)
    with Engine(store, RunConfig(), workers=0) as engine:
        folder = merging.settle(engine, "made", "made", bins, payload, "", 1)
    rounds, objects = dedup_plan.merge_rounds(exchange, payload, remote=False)
    assert rounds >= 1 and folder == f"made.round-{rounds}"
    assert len(spills.read_catalog(store, folder)) == objects
    kept = spills.read_whole(store, folder, 0, bins, kind)
    assert len(kept) == 100 * 4 * bins
