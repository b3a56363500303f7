import pyarrow as pa
import pytest

from decant.pipeline.engine.storage import StorageError, Store

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.large_string())])


def rows(count: int, start: int = 0) -> pa.Table:
    numbers = range(start, start + count)
    return pa.table(
        {"number": list(numbers), "text": [f"text {number}" * 20 for number in numbers]},
        schema=SCHEMA,
    )


def test_a_table_whose_writer_fails_does_not_appear(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(RuntimeError), store.table_writer("a/t.parquet", SCHEMA) as writer:
        writer.write(rows(10))
        raise RuntimeError("disk on fire")
    assert not store.exists("a/t.parquet")
    assert list(tmp_path.rglob("*.tmp")) == []
    assert store.written == []


def test_parquet_bytes_do_not_depend_on_how_rows_were_batched(tmp_path):
    store = Store(str(tmp_path))
    table = rows(1_000)
    for name, size in (("whole", 1_000), ("crumbs", 7)):
        with store.table_writer(f"{name}.parquet", SCHEMA, row_group_rows=300) as writer:
            for start in range(0, 1_000, size):
                writer.write(table.slice(start, size))
    assert store.read_bytes("whole.parquet") == store.read_bytes("crumbs.parquet")
    assert store.parquet("whole.parquet").num_row_groups == 4  # 300 + 300 + 300 + 100
    assert store.written[0].checksum == store.written[1].checksum


def test_row_groups_are_bounded_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("decant.pipeline.engine.tables.ROW_GROUP_BYTES", 10_000)
    store = Store(str(tmp_path))
    with store.table_writer("t.parquet", SCHEMA) as writer:
        writer.write(rows(1_000))
    file = store.parquet("t.parquet")
    assert file.num_row_groups > 10
    assert store.read_table("t.parquet").equals(rows(1_000))


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd"])
def test_a_path_out_of_the_run_directory_is_refused(tmp_path, path):
    with pytest.raises(StorageError, match="outside the run directory"):
        Store(str(tmp_path / "run")).write_bytes(path, b"x")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"gone\.parquet is missing"):
        Store(str(tmp_path)).read_table("gone.parquet")


def test_damage_in_a_table_is_noticed_when_it_is_read(tmp_path):
    store = Store(str(tmp_path))
    with store.table_writer("t.parquet", SCHEMA) as writer:
        writer.write(rows(5_000))
    data = bytearray(store.read_bytes("t.parquet"))
    data[len(data) // 3] ^= 0xFF
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(StorageError, match=r"t\.parquet (is damaged|cannot be read)"):
        store.read_table("t.parquet")


def test_temporary_files_are_not_listed_and_can_be_removed(tmp_path):
    store = Store(str(tmp_path))
    store.write_bytes("a/b.json", b"{}")
    (tmp_path / "a" / ".b.json.host-1-ff.tmp").write_bytes(b"torn")
    assert store.list("a") == ["a/b.json"]
    store.remove_drafts("a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def test_a_run_directory_can_lie_on_a_remote_file_system():
    store = Store("memory://test-storage/run")
    store.write_bytes("x/y.json", b"{}")
    with store.table_writer("x/t.parquet", SCHEMA) as writer:
        writer.write(rows(3))
    assert store.list("x") == ["x/t.parquet", "x/y.json"]
    assert store.read_table("x/t.parquet").num_rows == 3
    assert store.sizes("x")["x/y.json"] == 2
