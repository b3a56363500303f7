"""Greedy deduplication: dropped only if similar to a kept document, by rounds or in one pass."""

import itertools

import numpy as np
import pytest

from decant.pipeline.dedup import layout
from decant.pipeline.dedup.greedy import buckets, in_memory
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    chain,
    decisions_bytes,
    deduplicated,
    meets,
    near,
    planted_clusters,
    random_signature,
    report,
    write_run_directory,
)


@pytest.fixture
def rng():
    return np.random.default_rng(20_240_518)


@pytest.fixture
def tiny_tasks(monkeypatch):
    """Room for 64 documents and 500 band keys a task under memory_mb=16, as if it were 64 kB."""

    def shrink():
        monkeypatch.setattr(layout, "SLOT_BYTES_PER_DOCUMENT", 1 << 18)
        monkeypatch.setattr(layout, "SORT_BYTES_PER_RECORD", 1 << 15)
        monkeypatch.setattr(layout, "PAYLOAD_SHARE", 1 << 13)

    return shrink


def agreement(one: Planted, other: Planted) -> float:
    assert one.signature is not None and other.signature is not None
    return float((one.signature == other.signature).mean())


def brute_greedy(documents, order, min_jaccard=0.0) -> set[int]:
    """The kept documents, deciding one after the other in the given order."""
    kept: list[int] = []
    for doc in order:
        similar = (
            meets(documents[doc], documents[other])
            and agreement(documents[doc], documents[other]) >= min_jaccard
            for other in kept
        )
        if not any(similar):
            kept.append(doc)
    return set(kept)


@pytest.mark.parametrize("min_jaccard", [None, 0.75])
def test_kept_documents_are_those_of_deciding_one_by_one(tmp_path, rng, min_jaccard):
    documents = [*planted_clusters(rng, 150, 0.7), *chain(rng, 100)]
    store = write_run_directory(tmp_path, documents, [90])
    _, dropped = deduplicated(store, mode="greedy", min_jaccard=min_jaccard)
    kept = brute_greedy(documents, range(len(documents)), min_jaccard or 0.0)
    assert set(range(len(documents))) - set(dropped) == kept
    for doc, row in dropped.items():
        representative = int(row["duplicate_of"][5:-1])
        assert representative in kept
        assert agreement(documents[doc], documents[representative]) == row["jaccard"]
        assert row["jaccard"] >= (min_jaccard or 0.0)
        assert row["detail"].startswith("bands ")


@pytest.mark.parametrize("survivor", ["row_key", "longest"])
@pytest.mark.parametrize("min_jaccard", [None, 0.75])
def test_rounds_on_disk_decide_what_one_pass_decides(
    tmp_path, rng, tiny_tasks, monkeypatch, survivor, min_jaccard
):
    documents = [*planted_clusters(rng, 200, 0.7), *chain(rng, 80), *planted_clusters(rng, 40)]
    options = {"mode": "greedy", "survivor": survivor, "min_jaccard": min_jaccard}
    held = write_run_directory(tmp_path / "memory", documents)
    deduplicated(held, **options)
    tiny_tasks()
    monkeypatch.setattr(in_memory, "fits", lambda *_: False)
    disk = write_run_directory(tmp_path / "disk", documents)
    deduplicated(disk, memory_mb=16, **options)
    assert any("votes-0002" in name for name in disk.list("manifests"))
    assert decisions_bytes(disk) == decisions_bytes(held)


def test_one_pass_takes_over_after_any_round(tmp_path, rng, monkeypatch):
    documents = [*planted_clusters(rng, 150, 0.7), *chain(rng, 80)]
    seen = []
    for rounds in range(4):
        calls = itertools.count()
        monkeypatch.setattr(in_memory, "fits", lambda *_, c=calls, n=rounds: next(c) >= n)
        store = write_run_directory(tmp_path / str(rounds), documents)
        deduplicated(store, mode="greedy", min_jaccard=0.7)
        seen.append(decisions_bytes(store))
    assert seen[0] == seen[1] == seen[2] == seen[3]


def test_a_bucket_compares_with_a_bounded_number_of_kept_documents(tmp_path, rng, monkeypatch):
    first = random_signature(rng)
    documents = []
    for _ in range(60):  # all share band 0 and nothing else: a bucket of strangers
        other = random_signature(rng)
        other[:8] = first[:8]
        documents.append(Planted(near(other, 1.0, rng)))
    documents.append(documents[-1])  # but the last two are twins
    seen = []
    for module_fits in (True, False):
        monkeypatch.setattr(buckets, "MOST_COMPARED", 10)
        monkeypatch.setattr(in_memory, "MOST_COMPARED", 10)
        monkeypatch.setattr(in_memory, "fits", lambda *_, held=module_fits: held)
        store = write_run_directory(tmp_path / str(module_fits), documents)
        _, dropped = deduplicated(store, mode="greedy", min_jaccard=0.5)
        seen.append(decisions_bytes(store))
        assert sorted(dropped) == [60]  # found through the bands that only the twins share
        found = report(store)["candidates"]
        # of 60 kept the first 10 have met everybody, the other 50 not each other; the twins' last
        # 13 bands are buckets of two
        assert found["kept_pairs_beyond_limit"] == 50 * 49 // 2
        assert found["pairs_compared"] == 10 * 9 // 2 + 51 * 10 + 13
        assert found["pairs_not_compared"] == 51 * 50 // 2
    assert seen[0] == seen[1]


def test_pairs_compared_are_those_of_undecided_documents_with_kept_ones(tmp_path, rng):
    first = random_signature(rng)
    bucket = []
    for _ in range(4):  # share band 0 and nothing else
        other = random_signature(rng)
        other[:8] = first[:8]
        bucket.append(Planted(other))
    bucket.insert(1, bucket[0])  # a twin of the first: dropped at once, through all 14 bands
    store = write_run_directory(tmp_path, bucket)
    _, dropped = deduplicated(store, mode="greedy", min_jaccard=0.5)
    assert sorted(dropped) == [1]
    found = report(store)["candidates"]
    # band 0: the twin and three strangers meet the first, then each other; 13 buckets of two
    assert found["pairs_compared"] == (4 + 3) + 13
    assert found["pairs_not_compared"] == 5 * 4 // 2 - (4 + 3)
    assert found["kept_pairs_beyond_limit"] == 0


def test_on_a_drift_chain_every_dropped_document_has_a_similar_survivor(tmp_path, rng):
    documents = chain(rng, 300)
    greedily = write_run_directory(tmp_path / "greedy", documents)
    _, dropped = deduplicated(greedily, mode="greedy")
    assert len(dropped) > 200
    assert min(row["jaccard"] for row in dropped.values()) >= 8 / 112
    assert all(row["detail"].startswith("bands ") for row in dropped.values())
    clustered = write_run_directory(tmp_path / "cluster", documents)
    _, closed = deduplicated(clustered, mode="cluster")
    assert sum(row["detail"].startswith("no band") for row in closed.values()) > 150
