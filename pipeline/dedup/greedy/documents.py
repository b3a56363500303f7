"""The documents' side of a greedy round: what of what they are told decides them.

Rounds go between documents and buckets, until nobody is undecided. A bucket tells its undecided
members which documents were newly kept and who is now the first of them (`buckets.py`). A document
similar to a newly kept one is dropped and names it; one that is first in all its buckets is kept
(`judge`). Earlier documents are thus always decided, and compared with, before later ones.

The rounds stop early when what is left fits in memory; `in_memory.py` then finishes in one pass
with the same outcome, so that a long chain of near-duplicates does not cost a round per link.
"""

from collections.abc import Iterator

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.compare import least_matches
from decant.pipeline.dedup.formats import (
    FOLLOWS,
    KEPT,
    PLACE_BITS,
    UNDECIDED,
    label_type,
    lead_type,
    member_of_bucket_type,
    score_type,
    vote_type,
)
from decant.pipeline.dedup.ranks import Ranks
from decant.pipeline.dedup.tasks import SlotTask, StepTask
from decant.pipeline.engine.execute import Job

NOBODY = np.iinfo(np.int64).max


def enter(job: Job) -> dict:
    """Send the members of one slot to their buckets; documents of an index are kept already."""
    task = SlotTask(job)
    layout, low = task.layout, task.low
    spill = task.spill(layout.bins)
    seen = np.zeros(task.high - low, np.bool_)
    dtype = member_of_bucket_type(task.doc_type)
    rows = task.rows_at_once(vote_type(task.doc_type), 2)
    for members in task.read("members", dtype, rows):
        seen[task.places(members["doc"])] = True
    docs = low + np.flatnonzero(seen)
    order = Ranks(task.store, task.config, task.parts).of(docs)
    for members in task.read("members", dtype, rows):
        votes = np.zeros(len(members), vote_type(task.doc_type))
        votes["doc"], votes["bucket"] = members["doc"], members["bucket"]
        votes["state"] = np.where(members["doc"] < layout.earlier, KEPT, UNDECIDED)
        places = np.searchsorted(docs, members["doc"])
        for name, values in order.items():
            votes[name] = values[places]
        spill.add(votes, bin_of(votes["bucket"]))
    earlier = docs[docs < layout.earlier]
    return {
        "spills": spill.close(),
        "undecided": int((docs >= layout.earlier).sum()),
        "labels": leave_labels(task, earlier, earlier),
    }


def bin_of(buckets: np.ndarray) -> np.ndarray:
    """The bin in which each bucket lies."""
    return (buckets >> np.uint64(PLACE_BITS)).astype(np.int64)


def leave_labels(task: SlotTask, docs: np.ndarray, roots: np.ndarray) -> list[list]:
    """Leave (document, representative) of newly decided documents; the catalog's entries."""
    labels = np.empty(len(docs), label_type(task.doc_type))
    labels["doc"], labels["root"] = docs, roots
    return task.leave(labels, task.args["labels"])


def leads_of(task: SlotTask) -> Iterator[np.ndarray]:
    """What the buckets told the documents of one slot, in bounded chunks."""
    rows = task.rows_at_once(vote_type(task.doc_type), 4)
    return task.read("leads", lead_type(task.doc_type), rows)


def judge(job: Job) -> dict:
    """Decide the documents of one slot that can be, and pass all states on to the buckets."""
    task = SlotTask(job)
    low, high = task.low, task.high
    similar = similar_pairs(task)
    state = np.full(high - low, -1, np.int8)
    root = np.full(high - low, NOBODY)
    for leads in leads_of(task):
        places = task.places(leads["doc"])
        state[places] = np.where(state[places] < 0, KEPT, state[places])
    for leads in leads_of(task):
        places = task.places(leads["doc"])
        state[places[leads["head"] != leads["doc"]]] = UNDECIDED
    for leads in leads_of(task):
        binding = leads[similar.holds(leads)]
        np.minimum.at(root, task.places(binding["doc"]), binding["other"].astype(np.int64))
    state[root < NOBODY] = FOLLOWS
    decided = low + np.flatnonzero((state == KEPT) | (state == FOLLOWS))
    roots = np.where(state == KEPT, np.arange(low, high), root)[decided - low]
    return {
        "spills": spill_votes(task, state),
        "undecided": int((state == UNDECIDED).sum()),
        "labels": leave_labels(task, decided, roots),
    }


def spill_votes(task: SlotTask, state: np.ndarray) -> list[list]:
    """Tell the buckets of one slot's documents who is kept and who still undecided."""
    spill = task.spill(task.layout.bins)
    docs = task.low + np.flatnonzero(state >= 0)
    order = Ranks(task.store, task.config, task.parts).of(docs)
    for leads in leads_of(task):
        leads = leads[leads["first"] == 1]
        leads = leads[state[task.places(leads["doc"])] != FOLLOWS]
        votes = np.zeros(len(leads), vote_type(task.doc_type))
        for name in ("doc", "bucket", "kept"):
            votes[name] = leads[name]
        votes["state"] = state[task.places(leads["doc"])]
        for name, values in order.items():
            votes[name] = values[np.searchsorted(docs, leads["doc"])]
        spill.add(votes, bin_of(votes["bucket"]))
    return spill.close()


class SimilarPairs:
    """Which (document, newly kept document) pairs of a slot are similar; None: all of them."""

    def __init__(self, pairs: np.ndarray | None):
        self._pairs = pairs
        if pairs is not None:
            order = np.lexsort((pairs["other"], pairs["doc"]))
            self._sorted = tuple(pairs[name][order].astype(np.uint64) for name in ("doc", "other"))

    def holds(self, leads: np.ndarray) -> np.ndarray:
        """bool per lead: whether it names a newly kept document that is similar."""
        news = leads["other"] != leads["doc"]
        if self._pairs is None:
            return news
        queries = (leads["doc"].astype(np.uint64), leads["other"].astype(np.uint64))
        return news & rows_in(*queries, *self._sorted)


@kernel
def rows_in(docs, others, sorted_docs, sorted_others):
    """Whether each (doc, other) is among the sorted ones."""
    inside = np.zeros(len(docs), np.bool_)
    for row in range(len(docs)):
        low, high = 0, len(sorted_docs)
        while low < high:
            middle = (low + high) // 2
            earlier = sorted_docs[middle] < docs[row] or (
                sorted_docs[middle] == docs[row] and sorted_others[middle] < others[row]
            )
            if earlier:
                low = middle + 1
            else:
                high = middle
        inside[row] = (
            low < len(sorted_docs)
            and sorted_docs[low] == docs[row]
            and sorted_others[low] == others[row]
        )
    return inside


def similar_pairs(task: StepTask) -> SimilarPairs:
    """The task's compared pairs that pass; every pair where nothing was compared."""
    if not task.args["scores"]:
        return SimilarPairs(None)
    scores = task.read_whole("scores", score_type(task.doc_type))
    met = (scores["met"] & scores["claimed"]) != 0
    least = least_matches(task.config, task.layout)
    return SimilarPairs(scores[met & (scores["matches"] >= least)])
