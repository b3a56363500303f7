"""Who survives of a cluster: the first by a stated order, never by arrival.

`row_key` (default): the smallest row key, which is the cluster's root. The other orders rank every
member by a number, ties by the hash of its text, then by row key.

The order of survival as numbers: smaller survives, ties by text hash, then by row key.

`row_key`: everything ties, so the row key decides. `longest`: more characters first.
`newest_dump`: the latest year and week in the dump's name (CC-MAIN-YYYY-WW). `source_rank`: the
place of the dump in `dedup.sources`. `score:COLUMN`: the highest value of a measured column first.
"""

import re

import numpy as np
import pyarrow.compute as pc

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.formats import (
    EARLIER,
    FOLLOWER,
    NEAR,
    NEW,
    RANK_COLUMNS,
    choice_type,
    label_type,
    link_type,
    member_type,
)
from decant.pipeline.dedup.index import read_entries
from decant.pipeline.dedup.layout import Layout, Part, rows_between
from decant.pipeline.dedup.spills import Spill, read_bins, read_whole
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths

ORDERS = ("row_key", "longest", "newest_dump", "source_rank", "score:COLUMN")


class RankError(ValueError):
    """`dedup.survivor` cannot be applied; the message says what would be right."""


def check_order(config: RunConfig) -> None:
    survivor = config.dedup.survivor
    if survivor.startswith("score:") and len(survivor) > len("score:"):
        return
    if survivor not in ORDERS[:4]:
        raise RankError(f"dedup.survivor: {survivor!r} is none of {', '.join(ORDERS)}")


class Ranks:
    """The ranks of documents of some partitions, read when asked."""

    def __init__(self, store: Store, config: RunConfig, parts: list):
        self._store, self._config = store, config
        self._parts = [Part(*part) for part in parts]

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


def spill_members(job: Job) -> dict:
    """Send the members of one slot, with their ranks, to the slots of their roots."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    labels = read_whole(job.store, args["labels"], slot, slot + 1, label_type(layout.doc_type))
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    labels, weights = with_weights(job, layout, slot, labels)
    if len(labels):
        members = np.zeros(len(labels), member_type(layout.doc_type))
        members["doc"], members["root"] = labels["doc"], labels["root"]
        members["weight"] = weights
        members["state"] = NEW
        if layout.span(slot)[0] < layout.earlier:
            followers = np.isin(labels["doc"], followers_of(job, layout))
            members["state"] = np.where(followers, FOLLOWER, EARLIER)
        if not args["fixed"]:
            ranks = Ranks(job.store, job.config, args["parts"])
            for name, values in ranks.of(labels["doc"].astype(np.int64)).items():
                members[name] = values
        spill.add(members, members["root"] // layout.width)
    return {"runs": spill.close()}


def followers_of(job: Job, layout: Layout) -> np.ndarray:
    """The documents of one slot that an earlier run dropped, as its index entry says."""
    low, high = layout.span(job.task.args["slot"])
    entries = read_entries(job.store, layout.index)
    found = [
        rows["doc"]
        for entry in entries
        for rows in entry.documents("labels", low, high, label_type("<u8"))
    ]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def spill_followed(job: Job) -> dict:
    """The pairs (document, whom it followed) of one slot of an index, for the closure."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    low, high = layout.span(slot)
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    for entry in read_entries(job.store, layout.index) if low < layout.earlier else []:
        for labels in entry.documents("labels", low, high, label_type("<u8")):
            pairs = np.zeros(len(labels), link_type(layout.doc_type))
            pairs["doc"], pairs["other"] = labels["doc"], labels["root"]
            spill.add(pairs, labels["doc"] // np.uint64(layout.width))
    return {"runs": spill.close()}


def with_weights(
    job: Job, layout: Layout, slot: int, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(labels in document order, documents that each stands for, itself included).

    A document with exact duplicates behind it is a cluster even where MinHash found none.
    """
    labels = labels[np.argsort(labels["doc"], kind="stable")]
    if not job.task.args["exact"]:
        return labels, np.ones(len(labels), np.int64)
    low, high = layout.span(slot)
    weight = np.ones(high - low, np.int64)
    kind = choice_type(layout.doc_type)
    for choices in read_bins(job.store, job.task.args["exact"], slot, slot + 1, kind):
        stands = choices[choices["doc"] == choices["other"]]
        weight[stands["doc"].astype(np.int64) - low] = stands["size"]
    alone = np.setdiff1d(low + np.flatnonzero(weight > 1), labels["doc"].astype(np.int64))
    added = np.empty(len(alone), label_type(layout.doc_type))
    added["doc"], added["root"] = alone, alone
    labels = np.concatenate([labels, added]) if len(labels) else added
    labels = labels[np.argsort(labels["doc"], kind="stable")]
    return labels, weight[labels["doc"].astype(np.int64) - low]


def choose_survivors(job: Job) -> dict:
    """Choose the survivor of every cluster rooted in one slot; send it to all members.

    Reads the members twice in chunks with one small array per document of the slot, so that one
    cluster may hold every document of a dump.
    """
    args = job.task.args
    layout = Layout(**args["layout"])
    slot, folder = args["slot"], args["members"]
    low, high = layout.span(slot)
    kind = member_type(layout.doc_type)
    chunk = max(64, layout.payload // (2 * kind.itemsize))
    best = Best(low, high)
    for members in read_bins(job.store, folder, slot, slot + 1, kind, chunk):
        best.add(members)
    survivor = np.arange(low, high) if args["fixed"] else best.doc
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    for members in read_bins(job.store, folder, slot, slot + 1, kind, chunk):
        choices = np.zeros(len(members), choice_type(layout.doc_type))
        roots = members["root"].astype(np.int64) - low
        choices["doc"] = members["doc"]
        choices["other"] = survivor[roots]
        choices["size"] = best.size[roots]
        choices["rule"], choices["bridge"] = NEAR, best.earlier[roots] > 1
        choices = choices[(choices["size"] > 1) & (best.new[roots] > 0)]
        spill.add(choices, choices["doc"] // layout.width)
    return {"runs": spill.close(), **cluster_counts(best.size * (best.new > 0), survivor)}


class Best:
    """The best member so far of every cluster rooted in documents low … high-1."""

    def __init__(self, low: int, high: int):
        self._low = low
        count = high - low
        self.size = np.zeros(count, np.int64)
        self.earlier = np.zeros(count, np.int64)
        self.new = np.zeros(count, np.int64)
        self._state = np.zeros(count, np.uint8)
        self.doc = np.zeros(count, np.uint64)
        self._rank = {name: np.zeros(count, np.uint64) for name in RANK_COLUMNS}

    def add(self, members: np.ndarray) -> None:
        """Take in a chunk: its own best per root first, then that against what is held."""
        roots = members["root"].astype(np.int64) - self._low
        keys = [members["doc"], *(members[name] for name in reversed(RANK_COLUMNS))]
        # Documents of the index stay whatever the order says: earlier decisions never change.
        keys.append(members["state"])
        order = np.lexsort((*keys, roots))
        starts = np.flatnonzero(np.r_[True, np.diff(roots[order]) != 0])
        first = members[order[starts]]
        places = roots[order[starts]]
        fresh = self.size[places] == 0  # nothing held yet: every member weighs at least one
        wins = fresh | self._beats(first, places)
        winners, targets = first[wins], places[wins]
        self.doc[targets], self._state[targets] = winners["doc"], winners["state"]
        for name in RANK_COLUMNS:
            self._rank[name][targets] = winners[name]
        np.add.at(self.size, roots, members["weight"].astype(np.int64))
        np.add.at(self.earlier, roots, (members["state"] == EARLIER).astype(np.int64))
        np.add.at(self.new, roots, (members["state"] == NEW).astype(np.int64))

    def _beats(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whether each row comes before the held best of its place."""
        wins = np.zeros(len(rows), np.bool_)
        tied = np.ones(len(rows), np.bool_)
        held_doc = self.doc[places]
        columns = [(rows["state"], self._state[places])]
        columns += [(rows[name], self._rank[name][places]) for name in RANK_COLUMNS]
        columns.append((rows["doc"].astype(np.uint64), held_doc))
        for mine, held in columns:
            wins |= tied & (mine < held)
            tied &= mine == held
        return wins


def cluster_counts(sizes: np.ndarray, survivors: np.ndarray) -> dict:
    """How many clusters of which size, and the largest of them with their survivors."""
    several = sizes[sizes > 1]
    powers, times = np.unique(np.floor(np.log2(several)).astype(int), return_counts=True)
    histogram = {
        str(1 << power): count for power, count in zip(powers.tolist(), times.tolist(), strict=True)
    }
    order = np.lexsort((np.arange(len(sizes)), -sizes))[:20]
    largest = [[int(sizes[place]), int(survivors[place])] for place in order if sizes[place] > 1]
    return {"clusters": len(several), "cluster_sizes": histogram, "largest": largest}
