"""The buckets' side of a greedy round: who leads, who was newly kept, and what was not compared.

Buckets are lists of documents that share a band key. A bucket's number is its bin in the upper 24
bits and its place among the bin's buckets below, so that the task of a bin keeps one entry per
bucket in plain arrays. Votes come in from documents, leads go out to them (`documents.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.formats import (
    PLACE_BITS,
    UNDECIDED,
    lead_type,
    member_of_bucket_type,
    vote_type,
)
from decant.pipeline.dedup.pairs import BucketReader
from decant.pipeline.dedup.tasks import BinTask
from decant.pipeline.engine.damage import StorageError
from decant.pipeline.engine.execute import Job

MOST_COMPARED = 1_000  # kept documents of one bucket that later ones are compared with


def bucket_places(buckets: np.ndarray) -> np.ndarray:
    """The place of each bucket among those of its bin."""
    return (buckets & np.uint64((1 << PLACE_BITS) - 1)).astype(np.int64)


@kernel
def bucket_members(keys, docs, names, sizes, first, out_docs, out_buckets):
    """Fill (document, bucket) for sorted keys in buckets of two and more; the count."""
    bucket = 0
    count = 0
    for place in range(len(keys)):
        while names[bucket] != keys[place]:
            bucket += 1
        if sizes[bucket] > 1:
            out_docs[count] = docs[place]
            out_buckets[count] = first | np.uint64(bucket)
            count += 1
    return count


def find_buckets(job: Job) -> dict:
    """Spill (document, bucket) of every bucket of two and more in one bin, by slot of document."""
    task = BinTask(job)
    reader = BucketReader(task.store, task.args["bands"], task.number, task.layout)
    spill = task.spill()
    names, _, fresh, sizes = reader.table()
    sizes = np.where(fresh != reader.nobody, sizes, 0)  # all of an index: decided long ago
    for keys, docs in reader.chunks():
        out_docs, out_buckets = np.empty(len(docs), docs.dtype), np.empty(len(docs), np.uint64)
        first = np.uint64(task.number << PLACE_BITS)
        count = bucket_members(keys, docs, names, sizes, first, out_docs, out_buckets)
        members = np.empty(count, member_of_bucket_type(task.doc_type))
        members["doc"], members["bucket"] = out_docs[:count], out_buckets[:count]
        spill.add(members, members["doc"] // task.layout.width)
    return {"spills": spill.close(), "table": len(names), **reader.counts()}


@dataclass
class Leaders:
    """Per bucket of a bin: its first undecided member by (rank, tie, document), and the count of
    members kept before."""

    doc: np.ndarray
    rank: np.ndarray
    tie: np.ndarray
    kept: np.ndarray

    @classmethod
    def of(cls, buckets: int) -> "Leaders":
        return cls(
            np.full(buckets, -1, np.int64),
            np.zeros(buckets, np.uint64),
            np.zeros(buckets, np.uint64),
            np.zeros(buckets, np.int64),
        )


@kernel
def lead(places, docs, ranks, ties, leader_doc, leader_rank, leader_tie):
    """Make each vote's document the leader of its bucket if it comes before the leader so far."""
    for row in range(len(places)):
        at = places[row]
        doc, leader = np.int64(docs[row]), leader_doc[at]
        before = leader < 0
        if not before:
            if ranks[row] != leader_rank[at]:
                before = ranks[row] < leader_rank[at]
            elif ties[row] != leader_tie[at]:
                before = ties[row] < leader_tie[at]
            else:
                before = doc < leader
        if before:
            leader_doc[at], leader_rank[at], leader_tie[at] = doc, ranks[row], ties[row]


def votes_of(task: BinTask) -> Iterator[np.ndarray]:
    """The votes of one bin, in bounded chunks; each for a bucket that the bin has."""
    dtype = vote_type(task.doc_type)
    for votes in task.read("source", dtype, task.rows_at_once(dtype, 4), by=""):
        if len(votes) and int(bucket_places(votes["bucket"]).max()) >= task.args["buckets"]:
            raise StorageError(f"{task.args['source']}: a vote for a bucket that there is not")
        yield votes


def read_votes(task: BinTask) -> tuple[Leaders, list[np.ndarray]]:
    """(leaders of one bin's buckets, votes of those newly kept)."""
    leaders = Leaders.of(task.args["buckets"])
    kept: list[np.ndarray] = []
    for votes in votes_of(task):
        places = bucket_places(votes["bucket"])
        undecided = votes["state"] == UNDECIDED
        lead(
            places[undecided],
            np.ascontiguousarray(votes["doc"][undecided]),
            np.ascontiguousarray(votes["rank"][undecided]),
            np.ascontiguousarray(votes["tie"][undecided]),
            leaders.doc,
            leaders.rank,
            leaders.tie,
        )
        np.maximum.at(leaders.kept, places, votes["kept"].astype(np.int64))
        kept.append(votes[~undecided])
    return leaders, kept


def spill_leads(job: Job) -> dict:
    """Tell the undecided members of one bin's buckets who leads and who was newly kept."""
    task = BinTask(job)
    leaders, kept = read_votes(task)
    announced = Announced.of(kept, leaders, task.layout.earlier)
    spill = task.spill()
    compared = 0
    for votes in votes_of(task):
        leads = announced.leads(votes[votes["state"] == UNDECIDED], task.doc_type, task.band)
        compared += int((leads["other"] != leads["doc"]).sum())
        spill.add(leads, leads["doc"] // task.layout.width)
    return {"spills": spill.close(), "compared": compared, "unmet": announced.unmet}


def pairs_beyond(kept: np.ndarray) -> int:
    """The pairs that never meet in buckets of so many kept members, because of MOST_COMPARED."""
    beyond = kept[kept > MOST_COMPARED].astype(object) - MOST_COMPARED  # the sum may pass 2^63
    return int((beyond * (beyond - 1) // 2).sum())


class Announced:
    """The newly kept members of the buckets of one bin, at most MOST_COMPARED per bucket ever.

    `unmet` counts the pairs that newly kept members make with those, and among themselves, that
    are not announced because their bucket is full; documents of an index were counted by its run.
    """

    def __init__(self, docs: np.ndarray, starts: np.ndarray, leaders: Leaders, kept: np.ndarray):
        self._docs, self._starts, self._leaders = docs, starts, leaders
        self._kept = kept  # members of every bucket, the newly kept included
        self.unmet = 0

    @classmethod
    def of(cls, votes: list[np.ndarray], leaders: Leaders, earlier: int) -> "Announced":
        buckets = len(leaders.doc)
        edges = np.arange(buckets + 1)
        if not votes or not buckets:
            return cls(np.empty(0, np.int64), 0 * edges, leaders, leaders.kept)
        rows = np.concatenate(votes)
        places = bucket_places(rows["bucket"])
        order = np.lexsort((rows["doc"], rows["tie"], rows["rank"], places))
        places, docs = places[order], rows["doc"][order].astype(np.int64)
        starts = np.searchsorted(places, edges)
        room = np.arange(len(places)) - starts[places] + leaders.kept[places] < MOST_COMPARED
        kept = leaders.kept + np.diff(starts)
        announced = cls(docs[room], np.searchsorted(places[room], edges), leaders, kept)
        fresh = np.bincount(places[docs >= earlier], minlength=buckets)
        announced.unmet = pairs_beyond(kept) - pairs_beyond(kept - fresh)
        return announced

    def leads(self, votes: np.ndarray, doc_type: str, band: int) -> np.ndarray:
        """One row per undecided vote and newly kept member of its bucket, at least one per vote."""
        places = bucket_places(votes["bucket"])
        kept = self._kept[places]
        fresh = self._starts[places + 1] - self._starts[places]
        times = np.maximum(fresh, 1)
        rows = np.repeat(np.arange(len(votes)), times)
        nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        leads = np.zeros(len(rows), lead_type(doc_type))
        leads["doc"], leads["bucket"] = votes["doc"][rows], votes["bucket"][rows]
        full = kept >= MOST_COMPARED  # such a bucket binds nobody any more
        leads["head"] = np.where(full, votes["doc"], self._leaders.doc[places])[rows]
        leads["kept"] = kept[rows]
        leads["first"], leads["band"] = nth == 0, band
        leads["other"] = leads["doc"]
        news = fresh[rows] > 0
        leads["other"][news] = self._docs[(self._starts[places][rows] + nth)[news]]
        return leads
