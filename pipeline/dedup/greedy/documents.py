"""Greedy deduplication: a document is dropped only if it is similar to a kept one.

Rounds between documents and buckets, until nobody is undecided. A bucket tells its undecided
members which documents were newly kept and who is now the first of them (greedy_leads.py). A
document similar to a newly kept one is dropped and names it; one that is first in all its buckets
is kept (`judge`). Earlier documents are thus always decided, and compared with, before later ones.

The rounds stop early when what is left fits in memory; greedy_memory.py then finishes in one pass
with the same outcome, so that a long chain of near-duplicates does not cost a round per link.
"""

from typing import Any

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.compare import least_matches
from decant.pipeline.dedup.formats import (
    FOLLOWS,
    KEPT,
    UNDECIDED,
    label_type,
    lead_type,
    member_of_bucket_type,
    score_type,
    vote_type,
)
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.dedup.spills import Spill, read_bins, read_whole, write_run
from decant.pipeline.dedup.survivors import Ranks
from decant.pipeline.engine.execute import Job


def enter(job: Job) -> dict:
    """Send the members of one slot to their buckets; documents of an index are kept already."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    low, high = layout.span(slot)
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.bins, layout.payload)
    ranks = Ranks(job.store, job.config, args["parts"])
    seen = np.zeros(high - low, np.bool_)
    kind = member_of_bucket_type(layout.doc_type)
    chunk = max(64, layout.payload // (2 * vote_type(layout.doc_type).itemsize))
    for members in read_bins(job.store, args["members"], slot, slot + 1, kind, chunk):
        seen[members["doc"].astype(np.int64) - low] = True
    docs = low + np.flatnonzero(seen)
    order = ranks.of(docs)
    for members in read_bins(job.store, args["members"], slot, slot + 1, kind, chunk):
        votes = np.zeros(len(members), vote_type(layout.doc_type))
        votes["doc"], votes["bucket"] = members["doc"], members["bucket"]
        votes["state"] = np.where(members["doc"] < layout.earlier, KEPT, UNDECIDED)
        places = np.searchsorted(docs, members["doc"])
        for name, values in order.items():
            votes[name] = values[places]
        spill.add(votes, bin_of(votes["bucket"]))
    earlier = docs[docs < layout.earlier]
    return {
        "runs": spill.close(),
        "undecided": int((docs >= layout.earlier).sum()),
        "labels": write_labels(job, layout, slot, earlier, earlier),
    }


def bin_of(buckets: np.ndarray) -> np.ndarray:
    return (buckets >> np.uint64(40)).astype(np.int64)


def write_labels(
    job: Job, layout: Layout, slot: int, docs: np.ndarray, roots: np.ndarray
) -> list[list]:
    """Leave (document, representative) of newly decided documents; the catalog's entries."""
    if not len(docs):
        return []
    labels = np.empty(len(docs), label_type(layout.doc_type))
    labels["doc"], labels["root"] = docs, roots
    path = f"{job.task.args['labels']}/{slot:08d}.run"
    write_run(job.store, path, labels, np.array([len(labels)]), slot)
    return [[path, slot, 1, len(labels)]]


def judge(job: Job) -> dict:
    """Decide the documents of one slot that can be, and pass all states on to the buckets."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot, source = args["slot"], args["leads"]
    low, high = layout.span(slot)
    chunk = max(64, layout.payload // (4 * vote_type(layout.doc_type).itemsize))
    kind = lead_type(layout.doc_type)
    similar = similar_pairs(job, layout, slot)
    state = np.full(high - low, -1, np.int8)
    root = np.full(high - low, np.iinfo(np.int64).max)
    for leads in read_bins(job.store, source, slot, slot + 1, kind, chunk):
        places = leads["doc"].astype(np.int64) - low
        state[places] = np.where(state[places] < 0, KEPT, state[places])
    for leads in read_bins(job.store, source, slot, slot + 1, kind, chunk):
        places = leads["doc"].astype(np.int64) - low
        state[places[leads["head"] != leads["doc"]]] = UNDECIDED
    for leads in read_bins(job.store, source, slot, slot + 1, kind, chunk):
        told = leads[similar.holds(leads)]
        np.minimum.at(root, told["doc"].astype(np.int64) - low, told["other"].astype(np.int64))
    state[root < np.iinfo(np.int64).max] = FOLLOWS
    decided = low + np.flatnonzero((state == KEPT) | (state == FOLLOWS))
    roots = np.where(state == KEPT, np.arange(low, high), root)[decided - low]
    return {
        "runs": spill_votes(job, layout, state, chunk),
        "undecided": int((state == UNDECIDED).sum()),
        "labels": write_labels(job, layout, slot, decided, roots),
    }


def spill_votes(job: Job, layout: Layout, state: np.ndarray, chunk: int) -> list[list]:
    """Tell the buckets of one slot's documents who is kept and who still undecided."""
    args = job.task.args
    slot = args["slot"]
    low, _ = layout.span(slot)
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.bins, layout.payload)
    docs = low + np.flatnonzero(state >= 0)
    order = Ranks(job.store, job.config, args["parts"]).of(docs)
    kind = lead_type(layout.doc_type)
    for leads in read_bins(job.store, args["leads"], slot, slot + 1, kind, chunk):
        leads = leads[leads["first"] == 1]
        leads = leads[state[leads["doc"].astype(np.int64) - low] != FOLLOWS]
        votes = np.zeros(len(leads), vote_type(layout.doc_type))
        for name in ("doc", "bucket", "kept"):
            votes[name] = leads[name]
        votes["state"] = state[leads["doc"].astype(np.int64) - low]
        for name, values in order.items():
            votes[name] = values[np.searchsorted(docs, leads["doc"])]
        spill.add(votes, bin_of(votes["bucket"]))
    return spill.close()


class SimilarPairs:
    """Which (document, newly kept document) pairs of a slot are similar."""

    def __init__(self, pairs: np.ndarray | None):
        self._pairs = pairs
        if pairs is not None:
            self._order = np.lexsort((pairs["other"], pairs["doc"]))

    def holds(self, leads: np.ndarray) -> np.ndarray:
        told = leads["other"] != leads["doc"]
        if self._pairs is None:
            return told
        pairs = self._pairs[self._order]
        wanted = (leads["doc"].astype(np.uint64), leads["other"].astype(np.uint64))
        held = pairs["doc"].astype(np.uint64), pairs["other"].astype(np.uint64)
        return told & rows_in(*wanted, *held)


@kernel
def rows_in(docs, others, held_docs, held_others):
    """Whether each (doc, other) is among the held ones, which are sorted."""
    found = np.zeros(len(docs), np.bool_)
    for row in range(len(docs)):
        low, high = 0, len(held_docs)
        while low < high:
            middle = (low + high) // 2
            earlier = held_docs[middle] < docs[row] or (
                held_docs[middle] == docs[row] and held_others[middle] < others[row]
            )
            if earlier:
                low = middle + 1
            else:
                high = middle
        found[row] = (
            low < len(held_docs) and held_docs[low] == docs[row] and held_others[low] == others[row]
        )
    return found


def similar_pairs(job: Job, layout: Layout, slot: int) -> SimilarPairs:
    """The slot's compared pairs that pass; every pair where nothing was compared."""
    folder: Any = job.task.args["scores"]
    if not folder:
        return SimilarPairs(None)
    scores = read_whole(job.store, folder, slot, slot + 1, score_type(layout.doc_type))
    if not len(scores):
        return SimilarPairs(scores)
    met = (scores["met"] & scores["claimed"]) != 0
    return SimilarPairs(scores[met & (scores["matches"] >= least_matches(job, layout))])
