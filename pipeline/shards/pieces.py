"""One partition's survivors as sorted pieces: joined, token-counted, PII-formatted, keyed."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decant.filters.pii import PiiFormatter
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.document_inputs import published_schema
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.texts import surviving_documents
from decant.pipeline.shards import plan
from decant.pipeline.shards.plan import dump_folder
from decant.pipeline.shards.shuffle import (
    SORT_BYTES,
    piece_schema,
    shuffle_key,
    sort_rows,
    write_piece,
)
from decant.pipeline.tokens.counter import counter as frozen_counter

FILE_BITS = 24  # order key of `input` order: file number, then 40 bits of offset


def make_pieces(job: Job) -> dict[str, Any]:
    """Join, count and format one partition's survivors; leave sorted pieces per dump."""
    number = job.task.args["partition"]
    config = job.config
    counter = frozen_counter(job.store.url)
    formatter = PiiFormatter(**config.pii.model_dump())
    collector = _PieceCollector(job.store, number, config)
    for table in surviving_documents(job.store, number, config.dedup.lines is not None):
        texts = table.column("text").to_pylist()
        tokens = pa.array(counter.count(texts), pa.int64())
        # Tokens are counted before addresses are replaced, as in the reference.
        cleaned = [formatter.anonymize(text) for text in texts]
        column = pa.array([one.text for one in cleaned], pa.large_string())
        table = table.set_column(table.schema.get_field_index("text"), "text", column)
        collector.add(table.append_column("token_count", tokens))
        collector.replaced(sum(one.emails for one in cleaned), sum(one.ips for one in cleaned))
    return collector.finish()


class _PieceCollector:
    """Gathers rows of a partition until there are enough to sort, and keeps the counts."""

    def __init__(self, store: Store, number: int, config: RunConfig):
        self._store = store
        self._number = number
        self._config = config
        self._schema = piece_schema(published_schema(store, config))
        self._buffer: list[pa.Table] = []
        self._buffer_bytes = 0
        self._digest = 0
        self._counts: dict[str, Any] = {
            "in": 0, "tokens": 0, "text_bytes": 0, "emails_replaced": 0, "ips_replaced": 0
        }  # fmt: skip
        self._dumps: dict[str, dict[str, Any]] = {}

    def add(self, table: pa.Table) -> None:
        table = self._ordered(table)
        self._counts["in"] += table.num_rows
        self._counts["tokens"] += pc.sum(table.column("token_count")).as_py() or 0
        for record_id, text in zip(
            table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True
        ):
            line = hashlib.sha256(f"{record_id}\0{text}".encode("utf-8", "surrogatepass"))
            self._digest = (self._digest + int.from_bytes(line.digest(), "big")) % (1 << 256)
        self._buffer.append(table)
        self._buffer_bytes += table.nbytes
        if self._buffer_bytes >= SORT_BYTES:
            self._flush()

    def replaced(self, emails: int, ips: int) -> None:
        self._counts["emails_replaced"] += emails
        self._counts["ips_replaced"] += ips

    def finish(self) -> dict[str, Any]:
        self._flush()
        return {**self._counts, "documents": f"{self._digest:064x}", "dumps": self._dumps}

    def _ordered(self, table: pa.Table) -> pa.Table:
        if self._config.shard.order == "input":
            file = table.column("file").to_numpy().astype(np.uint64)
            keys = (file << np.uint64(64 - FILE_BITS)) | table.column("offset").to_numpy().astype(
                np.uint64
            )
        else:
            seed = self._config.seed
            ids = table.column("id").to_pylist()
            keys = np.array([shuffle_key(seed, one) for one in ids], np.uint64)
        return table.append_column("order", pa.array(keys, pa.uint64())).select(self._schema.names)

    def _flush(self) -> None:
        if not self._buffer:
            return
        table = pa.concat_tables(self._buffer).cast(self._schema)
        self._buffer, self._buffer_bytes = [], 0
        for dump in sorted(pc.unique(table.column("dump")).to_pylist()):
            rows = sort_rows(table.filter(pc.equal(table.column("dump"), dump)))
            entry = self._dumps.setdefault(
                dump_folder(dump), {"pieces": [], "rows": 0, "text_bytes": 0, "blocks": {}}
            )
            piece = f"{partition_name(self._number)}-{len(entry['pieces']):03d}.arrow"
            path = f"{paths.SHARD_PIECES}/{dump_folder(dump)}/{piece}"
            write_piece(self._store, path, [rows], self._schema)
            sizes = pc.binary_length(rows.column("text")).to_numpy()
            entry["pieces"].append(path)
            entry["rows"] += rows.num_rows
            entry["text_bytes"] += int(sizes.sum())
            self._counts["text_bytes"] += int(sizes.sum())
            if self._config.shard.order == "input":
                blocks = rows.column("order").to_numpy() >> np.uint64(plan.INPUT_BLOCK_BITS)
                for block in np.unique(blocks):
                    size = int(sizes[blocks == block].sum())
                    key = str(int(block))
                    entry["blocks"][key] = entry["blocks"].get(key, 0) + size
