"""No damaged byte of a table is read: its blocks and its footer are checked before Arrow looks."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.pipeline.engine import seal, tables
from decant.pipeline.engine.storage import DamagedFile, StorageError, Store

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.large_string())], {"minhash": "{}"})
NAME = "t.parquet"


def rows(count: int) -> pa.Table:
    texts = [f"text {number**3 % 977}" * 9 if number % 7 else None for number in range(count)]
    return pa.table({"number": list(range(count)), "text": texts}, schema=SCHEMA)


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setattr(seal, "BLOCK_BYTES", 4_096)
    return Store(str(tmp_path))


def write(store: Store, table: pa.Table, sealed: bool = True, group: int = 400) -> bytes:
    with store.table_writer(NAME, SCHEMA, row_group_rows=group, sealed=sealed) as writer:
        writer.write(table)
    return store.read_bytes(NAME)


@pytest.mark.parametrize("count", [0, 1, 3_000])
def test_a_sealed_table_comes_back_whole_in_any_cut(store, count):
    table = rows(count)
    write(store, table)
    assert store.read_table(NAME).equals(table)
    assert store.read_table(NAME, ["number"]).equals(table.select(["number"]))
    batches = list(store.iter_batches(NAME, ["text"], batch_rows=77))
    assert sum(batch.num_rows for batch in batches) == count
    assert store.parquet(NAME).num_row_groups == -(-count // 400)


def test_the_blocks_cover_every_page(store):
    write(store, rows(3_000))
    file = pq.ParquetFile(store.path(NAME))
    blocks = seal.Blocks.decode(file.metadata.metadata[tables.BLOCKS_KEY].decode())
    ends = [
        (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size
        for group in range(file.num_row_groups)
        for chunk in (file.metadata.row_group(group).column(column) for column in (0, 1))
    ]
    assert max(ends) == blocks.size
    assert len(blocks.digests) == 16 * -(-blocks.size // 4_096) > 16


def test_other_readers_read_a_sealed_table(store):
    table = rows(500)
    write(store, table)
    assert pq.read_table(store.path(NAME)).equals(table)


def test_a_seal_does_not_pass_on_with_the_schema(store):
    write(store, rows(500))
    schema = store.parquet(NAME).schema_arrow
    assert schema.metadata == SCHEMA.metadata
    with store.table_writer("copy.parquet", schema) as writer:
        writer.write(store.read_table(NAME))
    with store.table_writer("fresh.parquet", SCHEMA) as writer:
        writer.write(rows(500))
    assert store.read_bytes("copy.parquet") == store.read_bytes("fresh.parquet")


def test_a_published_table_has_no_seal_and_is_checked_by_page(store):
    data = write(store, rows(3_000), sealed=False)
    assert b"decant.seal" not in data
    assert store.read_table(NAME).equals(rows(3_000))
    harmed = bytearray(data)
    harmed[len(data) // 3] ^= 1
    store.write_bytes(NAME, bytes(harmed))
    with pytest.raises(DamagedFile, match=r"t\.parquet is damaged"):
        store.read_table(NAME)


def flips(data: bytes, step: int, start: int = 0):
    """Copies of `data` with one bit changed: one in every `step` bytes."""
    for place in range(start, len(data), step):
        harmed = bytearray(data)
        harmed[place] ^= 1 << place % 8
        yield bytes(harmed)


@pytest.mark.parametrize(("start", "step"), [(0, 211), (-700, 1)])
def test_a_flipped_bit_is_damage_or_changes_nothing(store, start, step):
    table = rows(1_000)
    data = write(store, table)
    seen = count = 0
    for harmed in flips(data, step, start % len(data) if start else 0):
        store.write_bytes(NAME, harmed)
        count += 1
        try:
            assert store.read_table(NAME).equals(table)  # the page index, which nobody reads
        except DamagedFile as damage:
            assert damage.path == NAME
            seen += 1
    assert seen == count if start else seen > 0.9 * count


@pytest.mark.parametrize("length", [0, 3, 11, 200, -1, -9])
def test_a_table_that_is_cut_off_is_damage(store, length):
    data = write(store, rows(1_000))
    store.write_bytes(NAME, data[:length])
    with pytest.raises(DamagedFile):
        store.read_table(NAME)


def test_a_column_is_read_though_another_is_damaged(store):
    data = bytearray(write(store, rows(3_000), group=3_000))
    chunk = pq.ParquetFile(store.path(NAME)).metadata.row_group(0).column(1)
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    store.write_bytes(NAME, bytes(data))
    assert store.read_table(NAME, ["number"]).equals(rows(3_000).select(["number"]))
    with pytest.raises(DamagedFile, match=r"block \d+ of \d+ has another checksum"):
        store.read_table(NAME, ["text"])


def test_a_remote_table_is_checked_too():
    store = Store("memory://test-tables/run")
    data = bytearray(write(store, rows(1_000)))
    assert store.read_table(NAME).equals(rows(1_000))
    data[500] ^= 1
    store.write_bytes(NAME, bytes(data))
    with pytest.raises(StorageError, match="another checksum"):
        store.read_table(NAME)
