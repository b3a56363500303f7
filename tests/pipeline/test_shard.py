import pyarrow as pa
import pytest

from decant.pipeline import shard
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Engine, StepError
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.records import CLUSTERS, PUBLISHED
from decant.pipeline.shard import published_files
from decant.pipeline.shards import plan, shuffle
from tests.pipeline.made_run import document, write_inputs, write_partition


def config(**sections) -> RunConfig:
    tokens = {"when_missing": "null", "tokenizer": "no such tokenizer"}
    return RunConfig.model_validate({"tokens": tokens, **sections})


def make_run(url: str, documents: list[dict], partitions: int, **decisions) -> Store:
    """The documents in row order, cut into `partitions` partitions."""
    store = Store(url)
    write_inputs(store, partitions)
    width = -(-len(documents) // partitions)
    for number in range(partitions):
        part = documents[number * width : (number + 1) * width]
        write_partition(store, number, part, **decisions)
    return store


def shard_run(store: Store, settings: RunConfig) -> tuple[dict, list[dict]]:
    entry = shard.run(Engine(store, settings), store, settings)
    rows = [row for path in published_files(store) for row in store.read_table(path).to_pylist()]
    return entry, rows


DOCUMENTS = [document(0, offset, f"This is text number {offset}.") for offset in range(60)]


def test_survivors_are_published_with_the_released_columns(tmp_path):
    store = make_run(
        str(tmp_path),
        DOCUMENTS,
        partitions=1,
        dropped=lambda one: one["offset"] % 3 == 0,
        duplicate=lambda one: one["offset"] % 5 == 0,
    )
    entry, rows = shard_run(store, config())
    expected = {one["id"] for one in DOCUMENTS if one["offset"] % 3 and one["offset"] % 5}
    assert {row["id"] for row in rows} == expected
    assert (entry["in"], entry["kept"]) == (len(expected), len(expected))
    assert store.parquet(next(published_files(store))).schema_arrow.names == PUBLISHED.names


def test_the_edited_text_is_published(tmp_path):
    def edit(one: dict) -> str | None:
        return "edited" if one["offset"] == 7 else None

    store = make_run(str(tmp_path), DOCUMENTS, partitions=1, edited=edit)
    _, rows = shard_run(store, config())
    texts = {row["id"]: row["text"] for row in rows}
    assert texts["<urn:test:0:7>"] == "edited"
    assert texts["<urn:test:0:8>"] == "This is text number 8."


def test_bytes_do_not_depend_on_partitions(tmp_path):
    outputs = []
    for partitions in (1, 4):
        store = make_run(str(tmp_path / str(partitions)), DOCUMENTS, partitions)
        entry, _ = shard_run(store, config(shard={"target_bytes": 500}))
        files = {path: store.read_bytes(path) for path in published_files(store)}
        outputs.append((entry["documents"], files))
    assert outputs[0] == outputs[1]
    assert len(outputs[0][1]) == -(-sum(len(one["text"]) for one in DOCUMENTS) // 500)


def test_bytes_do_not_depend_on_whether_pieces_were_grouped(tmp_path, monkeypatch):
    plain = make_run(str(tmp_path / "plain"), DOCUMENTS, 7)
    shard_run(plain, config(shard={"target_bytes": 400}))
    monkeypatch.setattr(shard, "MERGE_FAN_IN", 3)
    grouped = make_run(str(tmp_path / "grouped"), DOCUMENTS, 7)
    shard_run(grouped, config(shard={"target_bytes": 400}))
    assert grouped.list("4-shards/_groups")
    for path in published_files(plain):
        assert plain.read_bytes(path) == grouped.read_bytes(path)


def test_another_seed_gives_another_order_of_the_same_documents(tmp_path):
    orders = []
    for seed in (1, 2):
        store = make_run(str(tmp_path / str(seed)), DOCUMENTS, 2)
        _, rows = shard_run(store, config(seed=seed))
        orders.append([row["id"] for row in rows])
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_input_order_keeps_the_order_of_the_records(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "INPUT_BLOCK_BITS", 3)
    documents = [document(file, offset, "text") for file in (0, 1) for offset in range(30)]
    store = make_run(str(tmp_path), documents, 2)
    _, rows = shard_run(store, config(shard={"order": "input", "target_bytes": 100}))
    assert [row["id"] for row in rows] == [one["id"] for one in documents]
    assert len(list(published_files(store))) > 1


def test_addresses_are_replaced(tmp_path):
    documents = [document(0, 0, "Write to ann@shop.com from 8.8.8.8 now.")]
    entry, rows = shard_run(make_run(str(tmp_path), documents, 1), config())
    assert rows[0]["text"] == "Write to email@example.com from 22.214.171.124 now."
    assert (entry["emails_replaced"], entry["ips_replaced"]) == (1, 1)


def test_cluster_sizes_are_published(tmp_path):
    store = make_run(str(tmp_path), DOCUMENTS[:3], 1)
    with store.table_writer("3-deduplicated/clusters/00000.parquet", CLUSTERS) as writer:
        writer.write_rows([{"file": 0, "offset": 1, "cluster_size": 4}])
    _, rows = shard_run(store, config())
    sizes = {row["id"]: row["minhash_cluster_size"] for row in rows}
    assert sizes == {"<urn:test:0:0>": 1, "<urn:test:0:1>": 4, "<urn:test:0:2>": 1}


def test_each_dump_has_a_folder_and_none_lies_outside(tmp_path):
    names = ("CC-MAIN-2024-10", "../../outside", "..", "")
    documents = [document(0, n, "text", dump) for n, dump in enumerate(names)]
    store = make_run(str(tmp_path / "run"), documents, 1)
    shard_run(store, config())
    folders = {path.split("/")[2] for path in published_files(store)}
    assert folders == {"CC-MAIN-2024-10", ".._.._outside", "unknown"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_repeated_ids_are_kept_and_counted(tmp_path):
    documents = [{**one, "id": "<urn:test:same>"} for one in DOCUMENTS[:3]] + DOCUMENTS[3:6]
    entry, rows = shard_run(make_run(str(tmp_path), documents, 2), config())
    assert (entry["kept"], len(rows), entry["repeated_ids"]) == (6, 6, 3 - 1)


def test_a_corpus_without_survivors_has_no_shards(tmp_path):
    store = make_run(str(tmp_path), DOCUMENTS, 1, dropped=lambda _: True)
    entry, rows = shard_run(store, config())
    assert (entry["in"], entry["kept"], entry["shards"], rows) == (0, 0, 0, [])


def test_stages_that_do_not_belong_together_are_refused(tmp_path):
    store = make_run(str(tmp_path), DOCUMENTS, 1)
    write_partition(store, 0, DOCUMENTS[:10])
    kept = store.read_table("2-filtered/kept/00000.parquet")
    stranger = pa.table(
        {"file": [0], "offset": [10_000], "text": pa.array(["x"], pa.large_string())},
        schema=kept.schema,
    )
    with store.table_writer("2-filtered/kept/00000.parquet", kept.schema) as writer:
        writer.write(pa.concat_tables([kept, stranger]))
    with pytest.raises(StepError, match="JoinError"):
        shard_run(store, config())


def test_text_columns_can_pass_two_gib():
    assert shuffle.PIECE.field("text").type == pa.large_string()
    assert PUBLISHED.field("text").type == pa.large_string()
