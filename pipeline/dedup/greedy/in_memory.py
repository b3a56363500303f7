"""The rest of a greedy deduplication in one pass over documents in order, in memory.

Gives, document for document, what further rounds would: a document's round is one after those of
the members that bind it, and it follows the smallest of the similar kept documents that were
announced first.
"""

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.compare import least_matches
from decant.pipeline.dedup.formats import RANK_COLUMNS, label_type, lead_type
from decant.pipeline.dedup.greedy.buckets import MOST_COMPARED, pairs_beyond
from decant.pipeline.dedup.greedy.documents import similar_pairs
from decant.pipeline.dedup.ranks import Ranks
from decant.pipeline.dedup.sketches import sketches_of
from decant.pipeline.dedup.spill_file import write_spill
from decant.pipeline.dedup.tasks import StepTask
from decant.pipeline.engine.execute import Job

NEVER = np.int64(1 << 62)
# Bytes per row of leads while they are ordered, and per document's sketch of 112 x 4 and its copy.
LEAD_BYTES, DOCUMENT_BYTES = 160, 1_000


def fits(undecided: int, rows: int, memory_bytes: int) -> bool:
    """Whether a pass over what is left stays within the bound."""
    return undecided * DOCUMENT_BYTES + rows * LEAD_BYTES <= memory_bytes


def finish(job: Job) -> dict:
    """Decide every document that is left; write the labels, by slot."""
    task = StepTask(job)
    layout = task.layout
    leads = task.read_whole("leads", lead_type(task.doc_type))
    docs = np.unique(leads["doc"]).astype(np.int64)
    position = survival_order(task, docs)
    announced = announced_roots(task, leads, docs)
    members = leads[leads["first"] == 1]
    who = position[np.searchsorted(docs, members["doc"])]
    order = np.lexsort((members["bucket"], who))
    members, who = members[order], who[order]
    _, buckets = np.unique(members["bucket"], return_inverse=True)
    kept = np.zeros(int(buckets.max(initial=-1)) + 1, np.int64)
    kept[buckets] = members["kept"]
    sequence = np.argsort(position)
    sketches = np.empty((0, layout.permutations), np.uint32)
    if folder := task.args["sketches"]:
        sketches = sketches_of(task.store, folder, layout, docs)[sequence]
    by_position = docs[sequence]
    before = kept.copy()
    root, compared = decide_in_order(
        np.searchsorted(who, np.arange(len(docs) + 1)),
        buckets,
        members["band"].astype(np.int64),
        kept,
        announced[sequence],
        by_position,
        sketches,
        layout.rows,
        least_matches(task.config, layout),
        MOST_COMPARED,
    )
    labels = np.empty(len(docs), label_type(task.doc_type))
    labels["doc"], labels["root"] = by_position, root
    labels.sort(order="doc")
    counts = np.bincount(labels["doc"].astype(np.int64) // layout.width, minlength=layout.slots)
    name = write_spill(task.store, f"{task.args['labels']}/all.spill", labels, counts)
    unmet = pairs_beyond(kept) - pairs_beyond(before)
    return {"undecided": 0, "labels": [name], "compared": compared, "unmet": unmet}


def survival_order(task: StepTask, docs: np.ndarray) -> np.ndarray:
    """The place of each document in the order of survival."""
    order = Ranks(task.store, task.config, task.parts).of(docs)
    columns = [order.get(name, np.zeros(len(docs), np.uint64)) for name in RANK_COLUMNS]
    sequence = np.lexsort((docs, *reversed(columns)))
    position = np.empty(len(docs), np.int64)
    position[sequence] = np.arange(len(docs))
    return position


def announced_roots(task: StepTask, leads: np.ndarray, docs: np.ndarray) -> np.ndarray:
    """The smallest similar document among those just announced as kept, NEVER where none is."""
    binding = leads[similar_pairs(task).holds(leads)]
    roots = np.full(len(docs), NEVER, np.int64)
    places = np.searchsorted(docs, binding["doc"])
    np.minimum.at(roots, places, binding["other"].astype(np.int64))
    return roots


@kernel
def are_similar(sketches, one, other, band, rows, least):
    """Whether two documents agree in the band of their bucket and in enough permutations."""
    for column in range(band * rows, (band + 1) * rows):
        if sketches[one, column] != sketches[other, column]:
            return False
    total = 0
    for column in range(sketches.shape[1]):
        total += sketches[one, column] == sketches[other, column]
    return total >= least


@kernel
def decide_in_order(starts, buckets, bands, kept, announced, docs, sketches, rows, least, most):
    """(whom each document follows, pairs compared): int64 [documents], itself where it is kept.

    Documents come in the order of survival; document i is a member of
    buckets[starts[i]:starts[i + 1]]. Each bucket keeps a linked list of its kept members and the
    round after which the next member is free to be decided; `kept` counts on, full or not.
    """
    count, members = len(docs), len(buckets)
    pairs = 0
    root = np.empty(count, np.int64)
    rounds = np.zeros(count, np.int64)
    free_at = np.zeros(len(kept), np.int64)
    last = np.full(len(kept), -1, np.int64)
    previous = np.full(members, -1, np.int64)
    owner = np.empty(members, np.int64)
    compared = np.full(count, -1, np.int64)
    for document in range(count):
        follows, follows_round, free_round = NEVER, NEVER, np.int64(0)
        if announced[document] != NEVER:
            follows, follows_round = announced[document], np.int64(0)
        for member in range(starts[document], starts[document + 1]):
            bucket = buckets[member]
            free_round = max(free_round, free_at[bucket])
            entry = last[bucket]
            while entry >= 0:
                other = owner[entry]
                entry = previous[entry]
                if rounds[other] + 1 > follows_round:
                    continue
                if compared[other] == document:
                    continue
                if len(sketches) and not are_similar(
                    sketches, document, other, bands[member], rows, least
                ):
                    continue
                compared[other] = document
                if rounds[other] + 1 < follows_round or docs[other] < follows:
                    follows, follows_round = docs[other], rounds[other] + 1
        if follows != NEVER:
            root[document], rounds[document] = follows, follows_round
        else:
            root[document], rounds[document] = docs[document], free_round
        for member in range(starts[document], starts[document + 1]):
            bucket = buckets[member]
            entry = last[bucket]
            while entry >= 0:  # a round tells of all that was kept before it, needed or not
                pairs += rounds[owner[entry]] < rounds[document]
                entry = previous[entry]
            full = kept[bucket] >= most
            kept[bucket] += follows == NEVER
            if full:
                continue
            free_at[bucket] = max(free_at[bucket], rounds[document] + 1)
            if follows == NEVER:
                owner[member], previous[member] = document, last[bucket]
                last[bucket] = member
    return root, pairs
