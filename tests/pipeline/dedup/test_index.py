"""The index of earlier dumps, and datasets to compare against."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.filters.doc import Doc
from decant.filters.minhash import shingles, signature
from decant.pipeline.dedup import layout
from decant.pipeline.dedup.greedy import in_memory
from decant.pipeline.dedup.signatures import SignatureError
from decant.pipeline.engine.execute import StepError
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    chain,
    cluster_sizes,
    decisions_bytes,
    deduplicated,
    near,
    planted_clusters,
    random_signature,
    report,
    write_run_directory,
)


@pytest.fixture
def rng():
    return np.random.default_rng(20_190_613)


def named(documents, prefix):
    """The documents with ids of their own; what has no text hash gets one."""
    return [
        replace(
            one,
            name=f"<{prefix}:{place}>",
            text_hash=one.text_hash if any(one.text_hash) else f"{prefix:>8}{place:>8}".encode(),
        )
        for place, one in enumerate(documents)
    ]


def ids(documents, dropped):
    return {documents[doc].name: row["duplicate_of"] for doc, row in dropped.items()}


@pytest.mark.parametrize("min_jaccard", [None, 0.75])
@pytest.mark.parametrize("on_disk", [False, True])
def test_greedy_over_dumps_equals_one_run_with_the_earlier_dump_first(
    tmp_path, rng, min_jaccard, on_disk, monkeypatch
):
    together = [*planted_clusters(rng, 240, 0.7), *chain(rng, 60)]
    order = rng.permutation(len(together))
    first = named([together[place] for place in order[:150]], "a")
    second = named([together[place] for place in order[150:230]], "b")
    third = named([together[place] for place in order[230:]], "c")
    options = {"mode": "greedy", "scope": "run", "min_jaccard": min_jaccard}
    joint = [*first, *second, *third]
    _, dropped = deduplicated(write_run_directory(tmp_path / "joint", joint), **options)
    expected = set(ids(joint, dropped))
    if on_disk:
        monkeypatch.setattr(layout, "SLOT_BYTES_PER_DOCUMENT", 1 << 18)
        monkeypatch.setattr(layout, "SORT_BYTES_PER_RECORD", 1 << 15)
        monkeypatch.setattr(layout, "PAYLOAD_SHARE", 1 << 13)
        monkeypatch.setattr(in_memory, "fits", lambda *_: False)
        options["memory_mb"] = 16
    found = set()
    for number, dump in enumerate((first, second, third)):
        store = write_run_directory(tmp_path / str(number), dump, [40])
        _, lost = deduplicated(store, index=str(tmp_path / "index"), **options)
        found |= set(ids(dump, lost))
    assert found == expected


def test_in_cluster_mode_earlier_survivors_stay_and_bridges_are_counted(tmp_path, rng):
    one, other = random_signature(rng), random_signature(rng)
    follower = one.copy()
    follower[8:] = random_signature(rng)[8:]  # meets `one` in band 0 only
    bridge = np.concatenate([one[:56], other[56:]])
    late = follower.copy()
    late[:8] = random_signature(rng)[:8]  # meets the follower, not `one`
    options = {"scope": "run", "index": str(tmp_path / "index")}
    first = named([Planted(one), Planted(follower), Planted(other)], "a")
    store = write_run_directory(tmp_path / "a", first)
    assert ids(first, deduplicated(store, **options)[1]) == {"<a:1>": "<a:0>"}
    before = decisions_bytes(store)
    second = named([Planted(bridge), Planted(late), Planted(random_signature(rng))], "b")
    later = write_run_directory(tmp_path / "b", second)
    _, dropped = deduplicated(later, **options)
    assert ids(second, dropped) == {"<b:0>": "<a:0>", "<b:1>": "<a:0>"}
    assert cluster_sizes(later) == {}
    assert report(later)["bridges"] == 2  # their cluster holds two documents kept before
    assert decisions_bytes(store) == before


def test_a_run_is_never_compared_with_itself(tmp_path, rng):
    documents = named(planted_clusters(rng, 120), "a")
    options = {"scope": "run", "index": str(tmp_path / "index")}
    store = write_run_directory(tmp_path / "a", documents)
    entry, _ = deduplicated(store, **options)
    before = decisions_bytes(store)
    again = write_run_directory(tmp_path / "again", documents)
    assert deduplicated(again, **options)[0] == entry
    assert decisions_bytes(again) == before
    assert len(list((tmp_path / "index").glob("*/entry.json"))) == 1


@pytest.mark.parametrize("mode", ["cluster", "greedy"])
def test_an_identical_dump_is_dropped_whole(tmp_path, rng, mode):
    documents = [Planted(random_signature(rng), text_hash=rng.bytes(16)) for _ in range(50)]
    options = {"scope": "run", "index": str(tmp_path / "index"), "mode": mode}
    deduplicated(write_run_directory(tmp_path / "a", named(documents, "a")), **options)
    later = write_run_directory(tmp_path / "b", named([*documents, Planted(None)], "b"), [7])
    entry, dropped = deduplicated(later, **options)
    assert entry["kept"] == 1
    assert all(row["jaccard"] == 1.0 for row in dropped.values())
    assert dropped[13]["duplicate_of"] == "<a:13>"


def test_an_index_of_another_configuration_is_refused(tmp_path, rng):
    documents = planted_clusters(rng, 20)
    index = str(tmp_path / "index")
    deduplicated(write_run_directory(tmp_path / "a", documents), scope="run", index=index)
    store = write_run_directory(tmp_path / "b", planted_clusters(rng, 20))
    with pytest.raises(SignatureError, match=r"entry\.json: the index was made with"):
        deduplicated(store, scope="run", index=index, mode="greedy")


def test_an_index_of_another_format_is_refused(tmp_path, rng):
    index = tmp_path / "index"
    first = write_run_directory(tmp_path / "a", planted_clusters(rng, 20))
    deduplicated(first, scope="run", index=str(index))
    (entry,) = index.glob("*/entry.json")
    entry.write_text('{"format": 2, "own": "", "asked": {}, "entry": {}}')  # as once written
    store = write_run_directory(tmp_path / "b", planted_clusters(rng, 20))
    with pytest.raises(SignatureError, match=r"entry\.json: an entry of format 1 or 2, this"):
        deduplicated(store, scope="run", index=str(index))


def test_an_index_under_scope_dump_is_refused(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 3))
    with pytest.raises(SignatureError, match=r"set dedup\.scope: run"):
        deduplicated(store, index=str(tmp_path / "index"))


@pytest.mark.parametrize("mode", ["cluster", "greedy"])
def test_documents_near_a_parquet_dataset_are_dropped(tmp_path, rng, mode):
    words = [first + second for first in "bcdfghklmn" for second in ("ab", "el", "in", "os", "ut")]
    texts = [" ".join(rng.choice(words, 80)) for _ in range(12)]
    documents = named([Planted(signature(shingles(Doc(text)))) for text in texts], "a")
    folder = tmp_path / "set"
    folder.mkdir()
    known = pa.table({"id": ["k0", "k1", "k2"], "text": [texts[3], texts[7] + " end", "short"]})
    pq.write_table(known, folder / "known.parquet")
    pq.write_table(pa.table({"text": [texts[9], None]}), folder / "more.parquet")
    store = write_run_directory(tmp_path / "run", documents, [5])
    _, dropped = deduplicated(store, scope="run", mode=mode, against=(str(folder),))
    found = ids(documents, dropped)
    assert {name: of.rsplit("/", 1)[-1] for name, of in found.items()} == {
        "<a:3>": "k0",
        "<a:7>": "k1",
        "<a:9>": "more.parquet#0",
    }
    assert dropped[3]["jaccard"] == 1.0 > dropped[7]["jaccard"] > 0.8


def test_a_dataset_without_text_is_named(tmp_path, rng):
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"body": ["x"]}), path)
    store = write_run_directory(tmp_path / "run", planted_clusters(rng, 3))
    with pytest.raises(StepError, match=r"set\.parquet has no column text"):
        deduplicated(store, scope="run", against=(str(path),))


def test_near_copies_of_index_documents_name_them(tmp_path, rng):
    one = random_signature(rng)
    options = {"scope": "run", "index": str(tmp_path / "index")}
    deduplicated(write_run_directory(tmp_path / "a", named([Planted(one)], "a")), **options)
    second = named([Planted(near(one, 0.9, rng))], "b")
    _, dropped = deduplicated(write_run_directory(tmp_path / "b", second), **options)
    assert dropped[0]["duplicate_of"] == "<a:0>"
    assert dropped[0]["cluster_size"] == 2
