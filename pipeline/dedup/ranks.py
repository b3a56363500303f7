"""The order of survival as numbers: the smaller rank survives, ties by text hash, then by row key.

`row_key`: everything ties, so the row key decides. `longest`: more characters first.
`newest_dump`: the latest year and week in the dump's name (CC-MAIN-YYYY-WW). `source_rank`: the
place of the dump in `dedup.sources`. `score:COLUMN`: the highest value of a measured column first.
"""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.layout import Part
from decant.pipeline.dedup.signatures import rows_between
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths

ORDERS = ("row_key", "longest", "newest_dump", "source_rank", "score:COLUMN")


class RankError(ValueError):
    """`dedup.survivor` cannot be applied; the message says what would be right."""


def check_order(config: RunConfig) -> None:
    """Refuse an order of survival that there is not."""
    survivor = config.dedup.survivor
    if survivor.startswith("score:") and len(survivor) > len("score:"):
        return
    if survivor not in ORDERS[:4]:
        raise RankError(f"dedup.survivor: {survivor!r} is none of {', '.join(ORDERS)}")


class Ranks:
    """The ranks of documents of some partitions, read where they are needed."""

    def __init__(self, store: Store, config: RunConfig, parts: Sequence[Part]):
        self._store, self._config, self._parts = store, config, parts

    def of(self, docs: np.ndarray) -> dict[str, np.ndarray]:
        """uint64 columns `rank` and `tie` for ascending document numbers; empty for row_key."""
        if self._config.dedup.survivor == "row_key" or not len(docs):
            return {}
        rank = np.zeros(len(docs), np.uint64)
        tie = np.zeros(len(docs), np.uint64)
        columns = ["offset", "text_hash", "chars"]
        for part in self._parts:
            inside = (docs >= part.base) & (docs < part.base + part.rows)
            if not inside.any():
                continue
            low, high = int(docs[inside][0]), int(docs[inside][-1]) + 1
            for first, batch in rows_between(self._store, [part], low, high, columns):
                start, stop = np.searchsorted(docs, [first, first + batch.num_rows])
                rows = batch.take(docs[start:stop] - first)
                hashes = b"".join(rows.column("text_hash").to_pylist())
                tie[start:stop] = np.frombuffer(hashes, ">u8")[::2]
                rank[start:stop] = self._rank(part, rows)
        return {"rank": rank, "tie": tie}

    def _rank(self, part: Part, rows) -> np.ndarray:
        survivor = self._config.dedup.survivor
        if survivor == "longest":
            return ~rows.column("chars").to_numpy().astype(np.uint64)
        offsets = rows.column("offset").to_numpy()
        if survivor.startswith("score:"):
            column = survivor.removeprefix("score:")
            path = paths.kept(part.number)
            if column not in self._store.parquet(path).schema_arrow.names:
                raise RankError(
                    f"dedup.survivor: {path} has no column {column!r}; scores need "
                    "filter.all_measures: true and the name of a rule"
                )
            return descending(self._looked_up(path, column, offsets))
        dumps = self._looked_up(paths.extracted(part.number), "dump", offsets)
        if survivor == "newest_dump":
            return np.array([descending_name(dump) for dump in dumps], np.uint64)
        order = {name: place for place, name in enumerate(self._config.dedup.sources)}
        return np.array([order.get(dump, len(order)) for dump in dumps], np.uint64)

    def _looked_up(self, path: str, column: str, offsets: np.ndarray):
        """The column's values at the given record offsets."""
        table = self._store.read_table(path, ["offset", column])
        places = pc.index_in(offsets, value_set=table.column("offset").combine_chunks())
        values = table.column(column).take(places)
        return values.to_numpy() if column != "dump" else values.to_pylist()


def descending(values: np.ndarray) -> np.ndarray:
    """uint64 in the opposite order of float64 `values`; NaN comes last."""
    bits = np.ascontiguousarray(values, np.float64).view(np.uint64)
    negative = bits >> np.uint64(63) == 1
    ascending = np.where(negative, ~bits, bits | np.uint64(1 << 63))
    return np.where(np.isnan(values), np.uint64(2**64 - 1), ~ascending)


def descending_name(name: str | None) -> int:
    """A number that is smaller for dumps that are newer: year, then week, as their names give them.

    >>> descending_name("CC-MAIN-2024-10") < descending_name("CC-MAIN-2009-2010")
    True
    """
    year, week, *_ = [int(digits[:9]) for digits in re.findall(r"[0-9]+", name or "")] + [0, 0]
    return (1 << 63) - (year * 10**9 + week)
