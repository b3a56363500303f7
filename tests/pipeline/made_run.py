"""A run directory made by hand up to `3-deduplicated`, for tests and benches of later stages."""

from collections.abc import Callable

import pyarrow as pa

from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import CLUSTERS, DUPLICATES, EXTRACTED, FILTERED

INPUTS = pa.schema([("file", pa.int32()), ("partition", pa.int32())])


def document(file: int, offset: int, text: str, dump: str = "CC-MAIN-2024-10") -> dict:
    """One extracted row; its id tells its address."""
    return {
        "file": file,
        "offset": offset,
        "id": f"<urn:test:{file}:{offset}>",
        "url": f"https://example.org/{file}/{offset}",
        "date": "2024-02-20T00:00:00Z",
        "file_path": f"crawl-data/{dump}/{file:05d}.warc.gz",
        "dump": dump,
        "language": "en",
        "language_score": 0.9,
        "payload_digest": b"\0" * 16,
        "text": text,
    }


def write_partition(
    store: Store,
    number: int,
    documents: list[dict],
    dropped: Callable[[dict], bool] = lambda _: False,
    duplicate: Callable[[dict], bool] = lambda _: False,
    edited: Callable[[dict], str | None] = lambda _: None,
) -> None:
    """One partition of stages 1 to 3; `dropped`, `duplicate` and `edited` decide per document."""
    name = f"{partition_name(number)}.parquet"
    kept = [one for one in documents if not dropped(one)]
    with store.table_writer(f"1-extracted/{name}", EXTRACTED) as writer:
        writer.write_rows(documents)
    with store.table_writer(f"2-filtered/kept/{name}", FILTERED) as writer:
        rows = [{"file": one["file"], "offset": one["offset"], "text": edited(one)} for one in kept]
        writer.write_rows(rows)
    with store.table_writer(f"3-deduplicated/dropped/{name}", DUPLICATES) as writer:
        writer.write_rows(
            [
                {"id": one["id"], "file": one["file"], "offset": one["offset"]}
                for one in kept
                if duplicate(one)
            ]
        )
    with store.table_writer(f"3-deduplicated/clusters/{name}", CLUSTERS):
        pass


def write_inputs(store: Store, partitions: int) -> None:
    """The list of partitions, one per file."""
    with store.table_writer("inputs.parquet", INPUTS) as writer:
        writer.write_rows([{"file": number, "partition": number} for number in range(partitions)])
