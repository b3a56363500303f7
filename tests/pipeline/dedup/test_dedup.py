"""Deduplication of planted signatures, against a comparison of all pairs."""

import json

import numpy as np
import pyarrow as pa
import pytest

from decant.pipeline import deduplicate
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup import bands, layout
from decant.pipeline.dedup.signatures import SignatureError
from decant.pipeline.engine.execute import StepError
from decant.pipeline.rundir.records import FILTERED, SIGNATURE_OPTIONS, made_with
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    brute_clusters,
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
    return np.random.default_rng(20_241_014)


def test_clusters_are_those_of_an_all_pairs_comparison(tmp_path, rng):
    documents = planted_clusters(rng, 300)
    documents[7] = Planted(None)
    documents[9] = Planted(documents[5].signature, kept=False)
    store = write_run_directory(tmp_path, documents, [100, 100, 250])
    entry, dropped = deduplicated(store)
    roots = brute_clusters(documents)
    expected = {doc: f"<doc:{root}>" for doc, root in enumerate(roots) if doc != root}
    assert {doc: row["duplicate_of"] for doc, row in dropped.items()} == expected
    assert entry == {
        "in": 299,
        "kept": 299 - len(expected),
        "errors": 0,
        "dropped": {"minhash_duplicate": len(expected)},
    }
    sizes = {root: roots.count(root) for root in roots if roots.count(root) > 1}
    assert cluster_sizes(store) == sizes
    assert all(row["cluster_size"] == sizes[roots[doc]] for doc, row in dropped.items())


def test_a_dropped_row_names_estimated_jaccard_and_the_bands_that_met(tmp_path, rng):
    first = random_signature(rng)
    second = random_signature(rng)
    second[16:32] = first[16:32]  # bands 2 and 3 of 8 rows
    second[5] = first[5]
    store = write_run_directory(tmp_path, [Planted(first), Planted(second)])
    _, dropped = deduplicated(store)
    assert dropped[1]["jaccard"] == 17 / 112
    assert dropped[1]["detail"] == "bands 2 3"
    assert dropped[1]["rule"] == "minhash_duplicate"


@pytest.fixture
def tiny_tasks(monkeypatch):
    """Room for 64 documents and 500 band keys a task under memory_mb=16, as if it were 64 kB."""

    def shrink():
        monkeypatch.setattr(layout, "SLOT_BYTES_PER_DOCUMENT", 1 << 18)
        monkeypatch.setattr(layout, "SORT_BYTES_PER_RECORD", 1 << 15)
        monkeypatch.setattr(layout, "PAYLOAD_SHARE", 1 << 13)  # buffers of 2 kB

    return shrink


def test_partitions_and_memory_do_not_change_a_byte(tmp_path, rng, tiny_tasks):
    documents = planted_clusters(rng, 900)
    whole = write_run_directory(tmp_path / "whole", documents)
    deduplicated(whole, memory_mb=2_000)
    tiny_tasks()
    pieces = write_run_directory(tmp_path / "pieces", documents, [1, 1, 300, 640, 900])
    deduplicated(pieces, memory_mb=16)
    merged = [row for number in range(6) for row in _rows(pieces, number)]
    assert merged == _rows(whole, 0)
    report = "3-deduplicated/report.json"
    assert whole.read_bytes(report) == pieces.read_bytes(report)


@pytest.mark.ray
def test_two_workers_leave_the_bytes_of_one_process(tmp_path, rng, tiny_tasks):
    documents = planted_clusters(rng, 500)
    alone = write_run_directory(tmp_path / "alone", documents, [200])
    deduplicated(alone, memory_mb=2_000)
    tiny_tasks()
    together = write_run_directory(tmp_path / "together", documents, [200])
    deduplicated(together, workers=2, memory_mb=16)
    assert decisions_bytes(together) == decisions_bytes(alone)


def test_closure_on_disk_finds_the_clusters_of_union_find(tmp_path, rng, tiny_tasks, monkeypatch):
    documents = [*planted_clusters(rng, 300, 0.7), *chain(rng, 150), *planted_clusters(rng, 100)]
    order = rng.permutation(len(documents))
    documents = [documents[place] for place in order]
    held = write_run_directory(tmp_path / "memory", documents)
    deduplicated(held)
    tiny_tasks()
    monkeypatch.setattr(deduplicate, "fits_in_memory", lambda *_: False)
    disk = write_run_directory(tmp_path / "disk", documents)
    deduplicated(disk, memory_mb=16)
    assert any("small-star-001" in name for name in disk.list("manifests"))
    assert decisions_bytes(disk) == decisions_bytes(held)


def test_keys_that_meet_by_chance_join_nobody_and_part_nobody(tmp_path, rng, monkeypatch):
    documents = planted_clusters(rng, 200)
    keys = bands.band_keys
    few = np.uint64(0xFF << 56)  # 256 keys per band: most meetings are chance
    monkeypatch.setattr(bands, "band_keys", lambda *args: keys(*args) & few)
    store = write_run_directory(tmp_path, documents)
    _, dropped = deduplicated(store)
    roots = brute_clusters(documents)
    expected = {doc: f"<doc:{root}>" for doc, root in enumerate(roots) if doc != root}
    assert {doc: row["duplicate_of"] for doc, row in dropped.items()} == expected
    assert report(store)["verified"]["chance"] > 500


def test_pairs_below_min_jaccard_do_not_join(tmp_path, rng):
    first, second = random_signature(rng), random_signature(rng)
    second[:28] = first[:28]  # three bands and a half: a candidate pair at 0.25
    documents = [Planted(first), Planted(second)]
    at = write_run_directory(tmp_path / "at", documents)
    assert sorted(deduplicated(at, min_jaccard=0.25)[1]) == [1]
    above = write_run_directory(tmp_path / "above", documents)
    assert deduplicated(above, min_jaccard=29 / 112)[1] == {}
    assert report(above)["verified"] == {"joined": 0, "below": 1, "chance": 0}


@pytest.mark.parametrize("mode", ["cluster", "greedy"])
def test_longest_survives_ties_by_text_hash(tmp_path, rng, mode):
    one = random_signature(rng)
    documents = [
        Planted(one, chars=500, text_hash=b"\x00" * 16),
        Planted(one, chars=900, text_hash=b"\x02" * 16),
        Planted(one, chars=900, text_hash=b"\x01" + b"\xff" * 15),
        Planted(one, chars=899, text_hash=b"\x00" * 16),
    ]
    store = write_run_directory(tmp_path, documents, [2])
    _, dropped = deduplicated(store, mode=mode, survivor="longest")
    assert {doc: row["duplicate_of"] for doc, row in dropped.items()} == dict.fromkeys(
        (0, 1, 3), "<doc:2>"
    )
    assert cluster_sizes(store) == {2: 4}


@pytest.mark.parametrize(
    ("options", "survivor"),
    [
        ({"survivor": "newest_dump"}, 2),
        ({"survivor": "source_rank", "sources": ("CC-MAIN-2013-20", "CC-MAIN-2024-10")}, 1),
    ],
)
def test_dumps_rank_survivors_across_a_run(tmp_path, rng, options, survivor):
    one = random_signature(rng)
    dumps = ["CC-MAIN-2009-2010", "CC-MAIN-2013-20", "CC-MAIN-2024-10"]
    documents = [Planted(one, dump=dump) for dump in dumps]
    store = write_run_directory(tmp_path, documents, [1, 2])
    _, dropped = deduplicated(store, scope="run", **options)
    assert cluster_sizes(store) == {survivor: 3}
    assert len(dropped) == 2


def test_the_highest_score_survives_and_a_missing_column_is_named(tmp_path, rng):
    one = random_signature(rng)
    store = write_run_directory(tmp_path, [Planted(one)] * 3)
    schema = pa.schema([*FILTERED, ("quality", pa.float64())])
    columns = [[0, 0, 0], [0, 10, 20], [None] * 3, [-1.5, 0.25, float("nan")]]
    with store.table_writer("2-filtered/kept/00000.parquet", schema) as writer:
        writer.write(pa.table(columns, schema=schema))
    with pytest.raises(StepError, match="no column 'words'"):
        deduplicated(store, survivor="score:words")
    deduplicated(store, survivor="score:quality")
    assert cluster_sizes(store) == {1: 3}


def test_an_unknown_order_lists_the_valid_ones(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 3))
    with pytest.raises(ValueError, match="none of row_key, longest, newest_dump"):
        deduplicated(store, survivor="shortest")


def test_a_second_run_over_finished_work_changes_nothing(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 200), [50])
    deduplicated(store)
    before = decisions_bytes(store)
    deduplicated(store)
    assert decisions_bytes(store) == before


def test_documents_without_signature_are_never_dropped(tmp_path):
    store = write_run_directory(tmp_path, [Planted(None)] * 5)
    entry, dropped = deduplicated(store)
    assert entry["kept"] == 5 and dropped == {}


def test_an_empty_run_and_empty_partitions_are_fine(tmp_path):
    store = write_run_directory(tmp_path, [], [0, 0])
    entry, dropped = deduplicated(store)
    assert entry == {"in": 0, "kept": 0, "errors": 0, "dropped": {}} and dropped == {}
    assert len(store.list("3-deduplicated/dropped")) == 3


def test_two_dumps_in_one_run_lose_what_two_runs_lose(tmp_path, rng):
    shared = [random_signature(rng) for _ in range(60)]
    dumps = ["CC-MAIN-2024-10", "CC-MAIN-2024-18"]
    documents = [
        [Planted(near(one, 0.9, rng), dump=dump) for one in shared for _ in range(3)]
        for dump in dumps
    ]
    lost = []
    for number, one in enumerate(documents):
        _, dropped = deduplicated(write_run_directory(tmp_path / str(number), one), scope="dump")
        lost += [number * len(one) + doc for doc in dropped]
    joint = [*documents[0], *documents[1]]
    store = write_run_directory(tmp_path / "joint", joint, [100])  # one partition holds both dumps
    _, together = deduplicated(store, scope="dump")
    assert sorted(together) == lost
    _, across = deduplicated(write_run_directory(tmp_path / "run", joint), scope="run")
    assert len(across) > len(lost)


def test_a_missing_signature_file_is_named(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10), [5])
    store.remove("2-filtered/signatures/00001.parquet")
    with pytest.raises((SignatureError, StepError), match=r"signatures/00001\.parquet"):
        deduplicated(store)


def test_a_truncated_signature_file_is_named(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10), [5])
    path = "2-filtered/signatures/00001.parquet"
    store.write_bytes(path, store.read_bytes(path)[:-300])
    with pytest.raises((SignatureError, StepError), match=r"signatures/00001\.parquet"):
        deduplicated(store)


def test_a_signature_file_with_a_damaged_signature_is_named(tmp_path, rng):
    documents = planted_clusters(rng, 40)
    store = write_run_directory(tmp_path, documents, [20])
    path = "2-filtered/signatures/00001.parquet"
    sound = store.read_table(path)
    with store.table_writer(path, sound.schema, options=SIGNATURE_OPTIONS) as writer:
        writer.write(sound)
    data = bytearray(store.read_bytes(path))
    assert documents[30].signature is not None
    data[data.index(documents[30].signature.tobytes())] ^= 0x10
    store.write_bytes(path, bytes(data))
    with pytest.raises((SignatureError, StepError), match=r"signatures/00001\.parquet"):
        deduplicated(store)


@pytest.mark.parametrize("data", [b"", b"not a table", b"PAR1" * 100])
def test_a_signature_file_that_is_no_table_is_named(tmp_path, rng, data):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10), [5])
    store.write_bytes("2-filtered/signatures/00001.parquet", data)
    with pytest.raises((SignatureError, StepError), match=r"signatures/00001\.parquet"):
        deduplicated(store)


@pytest.mark.parametrize("column", ["signature", "kept", "offset", "text_hash"])
def test_a_signature_file_without_a_column_is_named(tmp_path, rng, column):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10))
    path = "2-filtered/signatures/00000.parquet"
    table = store.read_table(path).drop_columns([column])
    with store.table_writer(path, table.schema) as writer:
        writer.write(table)
    with pytest.raises(StepError, match=rf"signatures/00000\.parquet .*{column}"):
        deduplicated(store)


def test_signatures_of_another_configuration_are_refused(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10))
    with pytest.raises((SignatureError, StepError), match="20 bands x 8 rows = 160"):
        deduplicated(store, bands=20)


@pytest.mark.parametrize(
    "other", [{"seed": 7}, {"hash": "xxhash"}, {"filter_keys": "of another run"}]
)
def test_signatures_that_were_made_otherwise_are_refused(tmp_path, rng, other):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10))
    path = "2-filtered/signatures/00000.parquet"
    table = store.read_table(path)
    own = made_with(RunConfig())
    for made in (own, own | other):
        schema = table.schema.with_metadata({"minhash": json.dumps(made)})
        with store.table_writer(path, schema) as writer:
            writer.write(table)
        if made == own:
            deduplicated(store)
    store.remove("manifests")
    name = next(iter(other))
    with pytest.raises(StepError, match=rf"00000\.parquet: signatures were made with .*'{name}'"):
        deduplicated(store)


def test_rows_out_of_order_are_refused(tmp_path, rng):
    store = write_run_directory(tmp_path, planted_clusters(rng, 10), [5])
    first, second = (f"2-filtered/signatures/0000{number}.parquet" for number in (0, 1))
    store.write_bytes(second, store.read_bytes(first))
    with pytest.raises(SignatureError, match=r"00001\.parquet: its rows start at"):
        deduplicated(store)


def _rows(store, number):
    path = f"3-deduplicated/dropped/{number:05d}.parquet"
    return store.read_table(path).to_pylist()
