"""Who survives of a cluster: the first by a stated order, never by arrival.

`row_key` (default): the smallest row key, which is the cluster's root. The other orders rank every
member by a number, ties by the hash of its text, then by row key.
"""

import numpy as np

from decant.pipeline.clusters import label_type
from decant.pipeline.engine.execute import Job
from decant.pipeline.index import read_entries
from decant.pipeline.layout import Layout
from decant.pipeline.pairs import pair_type
from decant.pipeline.ranks import RANK_COLUMNS, Ranks
from decant.pipeline.runs import Spill, read_bins, read_whole


def member_type(doc_type: str) -> np.dtype:
    return np.dtype(
        [
            *((name, doc_type) for name in ("doc", "root")),
            *((name, "<u8") for name in (*RANK_COLUMNS, "weight")),
            ("state", "u1"),
        ]
    )


def choice_type(doc_type: str) -> np.dtype:
    return np.dtype([("doc", doc_type), ("other", doc_type), ("size", "<u8"), ("flags", "u1")])


EARLIER, FOLLOWER, NEW = 0, 1, 2  # kept in an index, dropped in an index, of this run
BRIDGE = 1  # flag: the cluster joins two documents of the index that were kept before


def spill_members(job: Job) -> dict:
    """Send the members of one slot, with their ranks, to the slots of their roots."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    labels = read_whole(job.store, args["labels"], slot, slot + 1, np.dtype([("doc", "u4")]))
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    labels, weights = with_weights(job, layout, slot, labels)
    if len(labels):
        members = np.zeros(len(labels), member_type(layout.doc_type))
        members["doc"], members["root"] = labels["doc"], labels["root"]
        members["weight"] = weights
        members["state"] = NEW
        if layout.span(slot)[0] < layout.earlier:
            members["state"] = np.where(np.isin(labels["doc"], followers_of(job, layout)), 1, 0)
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
    found = [rows["doc"] for entry in entries for rows in entry.documents("labels", low, high)]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def spill_followed(job: Job) -> dict:
    """The pairs (document, whom it followed) of one slot of an index, for the closure."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    low, high = layout.span(slot)
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    for entry in read_entries(job.store, layout.index) if low < layout.earlier else []:
        for labels in entry.documents("labels", low, high):
            pairs = np.zeros(len(labels), pair_type(layout.doc_type))
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
    for choices in read_bins(job.store, job.task.args["exact"], slot, slot + 1, 1 << 40):
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
    chunk = max(64, layout.payload // (2 * member_type(layout.doc_type).itemsize))
    best = Best(low, high)
    for members in read_bins(job.store, folder, slot, slot + 1, chunk):
        best.add(members)
    survivor = np.arange(low, high) if args["fixed"] else best.doc
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    for members in read_bins(job.store, folder, slot, slot + 1, chunk):
        choices = np.zeros(len(members), choice_type(layout.doc_type))
        roots = members["root"].astype(np.int64) - low
        choices["doc"] = members["doc"]
        choices["other"] = survivor[roots]
        choices["size"] = best.size[roots]
        choices["flags"] = np.where(best.earlier[roots] > 1, BRIDGE, 0)
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
