import itertools

import numpy as np
import pyarrow as pa
import pytest

from decant.pipeline.engine.storage import DamagedFile, StorageError, Store
from decant.pipeline.shards import shuffle
from decant.pipeline.shards.shuffle import (
    ORDER_SPAN,
    PIECE,
    Range,
    even_ranges,
    merged,
    sort_rows,
    write_piece,
)


def make_rows(count: int, seed: int, text_bytes: int = 40) -> pa.Table:
    generator = np.random.default_rng(seed)
    keys = generator.integers(0, 2**64 - 1, count, dtype=np.uint64)
    columns = {name: pa.nulls(count, PIECE.field(name).type) for name in PIECE.names}
    columns |= {
        "order": pa.array(keys, pa.uint64()),
        "file": pa.array(np.full(count, seed), pa.int32()),
        "offset": pa.array(np.arange(count), pa.int64()),
        "text": pa.array(["x" * text_bytes] * count, pa.large_string()),
    }
    return pa.table([columns[name] for name in PIECE.names], schema=PIECE)


def keys_of(tables) -> list[tuple[int, int, int]]:
    rows = []
    for table in tables:
        columns = (table.column(name).to_pylist() for name in ("order", "file", "offset"))
        rows += list(zip(*columns, strict=True))
    return rows


@pytest.mark.parametrize("pieces", [1, 3, 11])
@pytest.mark.parametrize("shards", [1, 4])
def test_merged_ranges_are_the_sorted_whole(tmp_path, pieces, shards, monkeypatch):
    monkeypatch.setattr(shuffle, "PIECE_BATCH_BYTES", 2_000)
    store = Store(str(tmp_path))
    rows = [make_rows(50, seed) for seed in range(pieces)]
    for number, table in enumerate(rows):
        write_piece(store, f"{number}.arrow", [sort_rows(table)])
    names = [f"{number}.arrow" for number in range(pieces)]
    found = [
        row
        for span in even_ranges(shards)
        for row in keys_of(merged(store, names, span, 10 * shuffle.MERGE_BYTES))
    ]
    assert found == sorted(keys_of(rows))


def test_ties_of_the_order_key_stand_by_row_key(tmp_path):
    store = Store(str(tmp_path))
    same = pa.array(np.full(5, 7, np.uint64))
    for seed in (2, 1):
        rows = make_rows(5, seed).set_column(0, PIECE.field("order"), same)
        write_piece(store, f"{seed}.arrow", [rows])
    tables = merged(store, ["2.arrow", "1.arrow"], Range(0, ORDER_SPAN), 1)
    assert keys_of(tables) == [(7, file, offset) for file in (1, 2) for offset in range(5)]


def small_piece(store: Store) -> tuple[list, bytes]:
    """What merging the piece `1.arrow` gives, and its bytes."""
    texts = pa.array([f"{n**7}" for n in range(500)], pa.large_string())
    rows = make_rows(500, 1).set_column(PIECE.names.index("text"), PIECE.field("text"), texts)
    write_piece(store, "1.arrow", [sort_rows(rows)])
    return merged_rows(store), store.read_bytes("1.arrow")


def merged_rows(store: Store) -> list:
    tables = merged(store, ["1.arrow"], Range(0, ORDER_SPAN), 1)
    return [row for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize("harm", ["missing", "cut", "overwritten", "empty"])
def test_a_harmed_piece_is_named(tmp_path, harm):
    store = Store(str(tmp_path))
    _, data = small_piece(store)
    path, middle = tmp_path / "1.arrow", len(data) // 2
    if harm == "missing":
        path.unlink()
    elif harm == "overwritten":
        path.write_bytes(data[: middle - 500] + b"x" * 1_000 + data[middle + 500 :])
    else:
        path.write_bytes(data[:middle] if harm == "cut" else b"")
    with pytest.raises(StorageError, match=r"1\.arrow is (missing|damaged)"):
        merged_rows(store)


@pytest.mark.parametrize(("start", "step"), [(0, 97), (-700, 1)])
def test_a_flipped_bit_of_a_piece_is_noticed_before_arrow_sees_it(tmp_path, start, step):
    store = Store(str(tmp_path))
    _, data = small_piece(store)
    for place in range(start % len(data) if start else 0, len(data), step):
        harmed = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        (tmp_path / "1.arrow").write_bytes(harmed)
        with pytest.raises(DamagedFile, match=r"1\.arrow is damaged"):
            merged_rows(store)


def old_piece(store: Store, rows: pa.Table) -> None:
    """A piece as version 2 of the stage wrote it: Arrow's file, a checksum beside each batch."""
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        store.local_draft("1.arrow") as draft,
        pa.ipc.new_file(draft, PIECE, options=options) as writer,
    ):
        for batch in rows.to_batches(max_chunksize=100):
            checksum = {shuffle.CHECKSUM: shuffle.checksum(batch)}
            writer.write_batch(batch, custom_metadata=checksum)


def test_a_piece_of_an_earlier_version_is_read_and_checked_by_batch(tmp_path):
    store = Store(str(tmp_path))
    rows = sort_rows(make_rows(500, 1, text_bytes=400))
    old_piece(store, rows)
    assert merged_rows(store) == rows.to_pylist()
    data = bytearray(store.read_bytes("1.arrow"))
    data[data.index(b"\x28\xb5\x2f\xfd") + 40] ^= 4  # within the first compressed column
    (tmp_path / "1.arrow").write_bytes(data)
    with pytest.raises(DamagedFile, match=r"1\.arrow is damaged"):
        merged_rows(store)


def test_even_ranges_cover_every_key_once():
    ranges = even_ranges(7)
    assert ranges[0].low == 0
    assert ranges[-1].high == ORDER_SPAN
    assert all(a.high == b.low for a, b in itertools.pairwise(ranges))


def test_the_largest_key_belongs_to_the_last_range():
    keys = np.array([0, 2**64 - 1], np.uint64)
    first, last = even_ranges(2)
    assert first.mask(keys).tolist() == [True, False]
    assert last.mask(keys).tolist() == [False, True]


def test_the_shuffle_key_depends_on_the_seed_and_the_id_alone():
    assert shuffle.shuffle_key(1, "<urn:uuid:a>") == shuffle.shuffle_key(1, "<urn:uuid:a>")
    assert shuffle.shuffle_key(1, "<urn:uuid:a>") != shuffle.shuffle_key(2, "<urn:uuid:a>")
    assert 0 <= shuffle.shuffle_key(1, "\ud800") < ORDER_SPAN
