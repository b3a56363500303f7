"""Spill files: what is read is what was written, or the file is named."""

import json
import struct

import numpy as np
import pytest

from decant.pipeline.dedup import formats, spill_file, spills
from decant.pipeline.dedup.sketches import Sketches, sketch_path, write_sketches
from decant.pipeline.dedup.spill_file import SpillFile, document_limits, write_spill
from decant.pipeline.dedup.tasks import BinTask, SlotTask
from decant.pipeline.engine.damage import DamagedFile
from decant.pipeline.engine.execute import Job, Task
from decant.pipeline.engine.storage import StorageError, Store, file_checksum
from tests.pipeline.dedup.dedup_runs import layout_of

PAIR = formats.pair_type("<u4")


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def pairs(count: int) -> np.ndarray:
    made = np.zeros(count, PAIR)
    made["doc"], made["other"], made["band"] = np.arange(count), np.arange(count) // 2, 3
    return made


def everything(store: Store, path: str) -> np.ndarray:
    spill = SpillFile(store, path)
    return spill.read(spill.first, spill.first + spill.bins)


def test_every_flipped_bit_is_noticed_when_all_is_read(store):
    write_spill(store, "one.spill", pairs(9), np.array([4, 0, 5]), first=2)
    data = store.read_bytes("one.spill")
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        store.write_bytes("flipped.spill", bytes(flipped))
        with pytest.raises(DamagedFile, match=r"flipped\.spill is damaged: "):
            everything(store, "flipped.spill")


def test_the_manifest_gets_the_checksum_of_the_file_that_was_written(store):
    for count in (0, 1, 300_000):  # 2.7 MB: more than one piece
        write_spill(store, "one.spill", pairs(count), np.array([count]))
        written = store.written[-1]
        assert written.checksum == file_checksum(store.path("one.spill"))
        assert written.bytes == store.size("one.spill")


def test_a_file_cut_off_anywhere_or_missing_is_named(store):
    write_spill(store, "one.spill", pairs(9), np.array([9]))
    data = store.read_bytes("one.spill")
    for length in range(len(data)):
        store.write_bytes("cut.spill", data[:length])
        with pytest.raises(DamagedFile, match=r"cut\.spill is damaged"):
            SpillFile(store, "cut.spill")
    with pytest.raises(DamagedFile, match=r"none\.spill is damaged: it is missing"):
        SpillFile(store, "none.spill")


def test_a_damaged_bin_is_named_by_its_readers_and_by_no_others(store):
    names = [write_spill(store, "made/0.spill", pairs(9), np.array([4, 5]))]
    spills.write_catalog(store, "made", names)
    data = bytearray(store.read_bytes("made/0.spill"))
    data[-1] ^= 1
    store.write_bytes("made/0.spill", bytes(data))
    assert np.array_equal(spills.read_whole(store, "made", 0, 1, PAIR), pairs(9)[:4])
    with pytest.raises(DamagedFile, match=r"made/0\.spill is damaged: block 1"):
        spills.read_whole(store, "made", 1, 2, PAIR)


@pytest.mark.parametrize("rows", [1, 7, 64, 8_191, 1 << 40])
def test_chunks_of_any_size_are_the_records_in_order(store, rows):
    counts = np.array([20_000, 0, 3, 9_000])  # blocks of 64 kB hold 7,281 records of 9 bytes
    write_spill(store, "one.spill", pairs(29_003), counts, first=5)
    spill = SpillFile(store, "one.spill")
    for low, high in ((0, 99), (5, 6), (6, 7), (6, 9), (8, 9)):
        chunks = list(spill.chunks(low, high, PAIR, rows, {}))
        start, stop = spill.span(low, high)
        assert max([0, *map(len, chunks)]) <= rows
        assert np.array_equal(np.concatenate([*chunks, pairs(0)]), pairs(29_003)[start:stop])


def rewritten(data: bytes, offsets: list[int] | None = None, **described) -> bytes:
    """A spill file whose head says something else, with all checksums right."""
    length, text = struct.unpack_from("<8xQ8xQ", data)
    head = json.loads(data[32 : 32 + text]) | described
    tables = data[32 + text : 24 + length]
    if offsets is not None:
        tables = np.array(offsets, "<u8").tobytes() + tables[8 * len(offsets) :]
    encoded = json.dumps(head).encode()
    block = struct.pack("<Q", len(encoded)) + encoded + tables
    fixed = struct.pack("<8sQQ", data[:8], len(block), spill_file.head_checksum(block))
    return fixed + block + data[24 + length :]


@pytest.mark.parametrize(
    "lie",
    [
        {"offsets": [0, 9, 4, 9]},
        {"offsets": [4, 4, 4, 9]},
        {"offsets": [0, 4, 4, 1 << 62]},
        {"offsets": [0, 2**64 - 8, 4, 9]},
        {"bins": -1},
        {"bins": 1 << 40},
        {"bins": "3"},
        {"bins": None},
        {"first": -4},
        {"dtype": [["doc", "|O"]]},
        {"dtype": [["doc", "<f8"]]},
        {"dtype": [["doc", "<u4"], ["doc", "<u4"], ["band", "u1"]]},
        {"dtype": [["doc", "S0"]]},
        {"dtype": "<u4"},
        {"dtype": [["doc", "<u4", [1 << 40]]]},
    ],
)
def test_a_head_that_lies_under_a_right_checksum_is_refused(store, lie):
    write_spill(store, "one.spill", pairs(9), np.array([4, 0, 5]))
    store.write_bytes("lie.spill", rewritten(store.read_bytes("one.spill"), **lie))
    with pytest.raises(DamagedFile, match=r"lie\.spill"):
        everything(store, "lie.spill")


def test_a_head_rewritten_as_it_was_is_read(store):
    write_spill(store, "one.spill", pairs(9), np.array([4, 0, 5]))
    store.write_bytes("two.spill", rewritten(store.read_bytes("one.spill"), [0, 4, 4, 9]))
    assert np.array_equal(everything(store, "two.spill"), pairs(9))


def test_records_of_another_type_are_refused_before_they_are_read(store):
    choices = np.zeros(3, formats.choice_type("<u4"))
    names = [write_spill(store, "made/0.spill", choices, np.array([3]))]
    spills.write_catalog(store, "made", names)
    links = spills.read_whole(store, "made", 0, 1, formats.link_type("<u4"))
    assert links.dtype.names == ("doc", "other") and len(links) == 3
    for wrong in (formats.link_type("<u8"), formats.score_type("<u4")):
        with pytest.raises(StorageError, match=r"made/0\.spill has records of .*'rule'"):
            spills.read_whole(store, "made", 0, 1, wrong)


def test_ids_of_any_width_are_read(store):
    names = []
    for number, name in enumerate([b"<a>", b"<a-longer-one>"]):
        ids = np.array([(number, name)], formats.id_type("<u4", len(name)))
        names.append(write_spill(store, f"made/{number}.spill", ids, np.array([1])))
    spills.write_catalog(store, "made", names)
    ids = spills.read_whole(store, "made", 0, 1, formats.id_type("<u4"))
    assert ids["id"].tolist() == [b"<a>", b"<a-longer-one>"]


@pytest.mark.parametrize(("field", "value"), [("doc", 99), ("other", 100), ("band", 14)])
def test_a_number_that_there_is_not_is_refused(store, field, value):
    names = [write_spill(store, "made/0.spill", pairs(9), np.array([9]))]
    spills.write_catalog(store, "made", names)
    limits = document_limits(100, band=(0, 14), doc=(0, 99))
    assert len(spills.read_whole(store, "made", 0, 1, PAIR, limits)) == 9
    wrong = pairs(9)
    wrong[field][4] = value
    write_spill(store, "made/0.spill", wrong, np.array([9]))
    with pytest.raises(DamagedFile, match=rf"0\.spill is damaged: a value of {field} is not"):
        spills.read_whole(store, "made", 0, 1, PAIR, limits)


def job(store: Store, **args) -> Job:
    layout = layout_of(docs=200, width=64)
    return Job(store, None, Task("00000001", {"layout": layout.as_args(), **args}))


def test_a_task_reads_documents_of_its_own_slot_only(store):
    for value, fits in ((64, True), (127, True), (63, False), (128, False)):
        records = pairs(1)
        records["doc"], records["other"] = value, 199
        spills.write_catalog(
            store, "made", [write_spill(store, "made/0.spill", records, np.array([1]), first=1)]
        )
        task = SlotTask(job(store, slot=1, pairs="made"))
        if fits:
            assert task.places(task.read_whole("pairs", PAIR)["doc"]).tolist() == [value - 64]
        else:
            with pytest.raises(DamagedFile, match="a value of doc is not between 64 and 127"):
                task.read_whole("pairs", PAIR)
        assert len(task.read_whole("pairs", PAIR, by="")) == 1


def test_a_task_reads_buckets_of_its_own_bin_only(store):
    dtype = formats.member_of_bucket_type("<u4")
    for bucket, fits in ((5 << 40, True), ((5 << 40) - 1, False), (6 << 40, False)):
        records = np.array([(3, bucket)], dtype)
        spills.write_catalog(
            store, "made", [write_spill(store, "made/0.spill", records, np.array([1]), first=5)]
        )
        task = BinTask(job(store, bin=5, members="made"))
        if fits:
            assert len(task.read_whole("members", dtype)) == 1
        else:
            with pytest.raises(DamagedFile, match="a value of bucket"):
                task.read_whole("members", dtype)


def test_records_for_a_bin_that_there_is_not_are_not_counted_by_it(store):
    for wrong in (-1, 4):
        spill = spills.Spill(store, "made/0", 4, 1 << 20)
        spill.add(pairs(2), np.array([0, wrong]))
        with pytest.raises(ValueError, match="made/0: bins"):
            spill.close()


def test_a_catalog_with_a_flipped_bit_is_named(store):
    listed = ["made/0.spill", 0, 1, 12]
    spills.write_catalog(store, "made", [listed])
    path = "made/_spills.json"
    data = store.read_bytes(path)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        store.write_bytes(path, bytes(flipped))
        try:  # an added blank line is no damage
            assert spills.read_catalog(store, "made") == [spills.SpillName(*listed)]
        except DamagedFile as error:
            assert error.path == path


def test_a_file_that_is_not_the_listed_one_is_named(store):
    name = write_spill(store, "made/0.spill", pairs(9), np.array([9]))
    spills.write_catalog(store, "made", [[*name[:3], 8]])
    with pytest.raises(DamagedFile, match="it is not the file that its folder lists"):
        spills.read_whole(store, "made", 0, 1, PAIR)


def test_sketches_are_verified_as_they_are_asked_for(store):
    rng = np.random.default_rng(3)
    layout = layout_of(docs=1_000, width=1_000)
    values = rng.integers(0, 2**32, (1_000, 112), dtype=np.uint32)
    write_sketches(store, "made", 0, values)  # blocks of 146 sketches
    assert np.array_equal(Sketches(store, "made", 0, layout).all(), values)
    path = sketch_path("made", 0)
    data = bytearray(store.read_bytes(path))
    data[-1] ^= 0x40  # of the last sketch
    store.write_bytes(path, bytes(data))
    sketches = Sketches(store, "made", 0, layout)
    places = np.array([0, 145, 146, 800])
    assert np.array_equal(sketches.of(places)[places], values[places])
    with pytest.raises(DamagedFile, match=r"00000000\.spill is damaged: block 6"):
        sketches.of(np.array([999]))


def test_sketches_of_another_number_of_documents_are_refused(store):
    write_sketches(store, "made", 0, np.zeros((63, 112), np.uint32))
    with pytest.raises(DamagedFile, match="it has 63 sketches, not 64"):
        Sketches(store, "made", 0, layout_of(docs=64, width=64))
