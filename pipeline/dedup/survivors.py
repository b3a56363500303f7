"""Who survives of a cluster: the first of its members by a stated order, never by arrival.

`row_key` (default): the smallest row key, which is the cluster's root. The other orders rank every
member by a number (`ranks.py`), ties by the hash of its text, then by row key.
"""

import numpy as np

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
from decant.pipeline.dedup.ranks import Ranks
from decant.pipeline.dedup.tasks import SlotTask
from decant.pipeline.engine.execute import Job


def spill_members(job: Job) -> dict:
    """Send the members of one slot, with their ranks, to the slots of their roots."""
    task = SlotTask(job)
    layout = task.layout
    spill = task.spill()
    labels, weights = with_weights(task, task.read_whole("labels", label_type(task.doc_type)))
    if len(labels):
        members = np.zeros(len(labels), member_type(task.doc_type))
        members["doc"], members["root"] = labels["doc"], labels["root"]
        members["weight"] = weights
        members["state"] = NEW
        if task.low < layout.earlier:
            dropped = np.isin(labels["doc"], dropped_before(task))
            members["state"] = np.where(dropped, FOLLOWER, EARLIER)
        if not task.args["fixed"]:
            ranks = Ranks(task.store, task.config, task.parts)
            for name, values in ranks.of(labels["doc"].astype(np.int64)).items():
                members[name] = values
        spill.add(members, members["root"] // layout.width)
    return {"spills": spill.close()}


def dropped_before(task: SlotTask) -> np.ndarray:
    """The documents of one slot that an earlier run dropped, as its index entry says."""
    entries = read_entries(task.store, task.layout.index)
    labels = label_type("<u8")
    dropped = [
        rows["doc"]
        for entry in entries
        for rows in entry.documents("labels", task.low, task.high, labels)
    ]
    return np.concatenate(dropped) if dropped else np.empty(0, np.uint64)


def spill_followed(job: Job) -> dict:
    """The links (document, whom it followed) of one slot of an index, for the closure."""
    task = SlotTask(job)
    layout = task.layout
    spill = task.spill()
    for entry in read_entries(task.store, layout.index) if task.low < layout.earlier else []:
        for labels in entry.documents("labels", task.low, task.high, label_type("<u8")):
            links = np.zeros(len(labels), link_type(task.doc_type))
            links["doc"], links["other"] = labels["doc"], labels["root"]
            spill.add(links, labels["doc"] // np.uint64(layout.width))
    return {"spills": spill.close()}


def with_weights(task: SlotTask, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(labels in document order, documents that each stands for, itself included).

    A document with exact duplicates behind it is a cluster even where MinHash found none.
    """
    labels = labels[np.argsort(labels["doc"], kind="stable")]
    if not task.args["exact"]:
        return labels, np.ones(len(labels), np.int64)
    weight = np.ones(task.high - task.low, np.int64)
    for choices in task.read("exact", choice_type(task.doc_type)):
        stands = choices[choices["doc"] == choices["other"]]
        weight[task.places(stands["doc"])] = stands["size"]
    alone = np.setdiff1d(task.low + np.flatnonzero(weight > 1), labels["doc"].astype(np.int64))
    added = np.empty(len(alone), label_type(task.doc_type))
    added["doc"], added["root"] = alone, alone
    labels = np.concatenate([labels, added]) if len(labels) else added
    labels = labels[np.argsort(labels["doc"], kind="stable")]
    return labels, weight[task.places(labels["doc"])]


def choose_survivors(job: Job) -> dict:
    """Choose the survivor of every cluster rooted in one slot; send it to all members.

    Reads the members twice in chunks with one small array per document of the slot, so that one
    cluster may hold every document of a dump.
    """
    task = SlotTask(job)
    dtype = member_type(task.doc_type)
    rows = task.rows_at_once(dtype, 2)
    best = Best(task.low, task.high)
    for members in task.read("members", dtype, rows, by="root"):
        best.add(members)
    survivor = np.arange(task.low, task.high) if task.args["fixed"] else best.doc
    spill = task.spill()
    for members in task.read("members", dtype, rows, by="root"):
        choices = np.zeros(len(members), choice_type(task.doc_type))
        roots = task.places(members["root"])
        choices["doc"] = members["doc"]
        choices["other"] = survivor[roots]
        choices["size"] = best.size[roots]
        choices["rule"], choices["bridge"] = NEAR, best.earlier[roots] > 1
        choices = choices[(choices["size"] > 1) & (best.new[roots] > 0)]
        spill.add(choices, choices["doc"] // task.layout.width)
    return {"spills": spill.close(), **cluster_counts(best.size * (best.new > 0), survivor)}


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
        """Take in a chunk: the best of the chunk per root, then that against the best before."""
        roots = members["root"].astype(np.int64) - self._low
        keys = [members["doc"], *(members[name] for name in reversed(RANK_COLUMNS))]
        # Documents of the index stay whatever the order says: earlier decisions never change.
        keys.append(members["state"])
        order = np.lexsort((*keys, roots))
        starts = np.flatnonzero(np.r_[True, np.diff(roots[order]) != 0])
        first = members[order[starts]]
        places = roots[order[starts]]
        fresh = self.size[places] == 0  # none yet: every member weighs at least one
        wins = fresh | self._beats(first, places)
        winners, targets = first[wins], places[wins]
        self.doc[targets], self._state[targets] = winners["doc"], winners["state"]
        for name in RANK_COLUMNS:
            self._rank[name][targets] = winners[name]
        np.add.at(self.size, roots, members["weight"].astype(np.int64))
        np.add.at(self.earlier, roots, (members["state"] == EARLIER).astype(np.int64))
        np.add.at(self.new, roots, (members["state"] == NEW).astype(np.int64))

    def _beats(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whether each row comes before the best so far of its place."""
        wins = np.zeros(len(rows), np.bool_)
        tied = np.ones(len(rows), np.bool_)
        columns = [(rows["state"], self._state[places])]
        columns += [(rows[name], self._rank[name][places]) for name in RANK_COLUMNS]
        columns.append((rows["doc"].astype(np.uint64), self.doc[places]))
        for value, so_far in columns:
            wins |= tied & (value < so_far)
            tied &= value == so_far
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
