"""Which candidate pairs may join a cluster, after their signatures were compared.

A pair whose key agrees in a band where the signatures do not met by a 64-bit chance. Such a pair
does not count for that band; the documents that chance put beside a stranger are then matched with
each other by the band itself, so that nobody loses a true partner. Where `dedup.min_jaccard` is
set, pairs estimated below it do not join either.
"""

import numpy as np

from decant.pipeline.engine.execute import Job
from decant.pipeline.layout import Layout
from decant.pipeline.pairs import pair_type
from decant.pipeline.runs import read_bins, read_whole, write_run
from decant.pipeline.sketches import read_sketches


def chance_type(doc_type: str) -> np.dtype:
    return np.dtype([("doc", doc_type), ("other", doc_type), ("bands", "<u8")])


def accept_pairs(job: Job) -> dict:
    """Write the pairs of one slot that may join, and those that met by chance in some band."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    scores = read_whole(job.store, args["scores"], slot, slot + 1, chance_type(layout.doc_type))
    if not len(scores):
        return {"runs": [], "chance_runs": [], "below": 0, "chance": 0, "joined": 0}
    similar = scores["matches"] >= least_matches(job, layout)
    met = (scores["met"] & scores["claimed"]) != 0
    accepted = scores[similar & met]
    pairs = np.zeros(len(accepted), pair_type(layout.doc_type))
    pairs["doc"], pairs["other"] = accepted["doc"], accepted["other"]
    path = f"{args['folder']}/{slot:08d}.run"
    write_run(job.store, path, pairs, np.array([len(pairs)]), slot)
    false = scores["claimed"] & ~scores["met"]
    chance = np.zeros(int((false != 0).sum()), chance_type(layout.doc_type))
    chance["doc"], chance["other"] = scores["doc"][false != 0], scores["other"][false != 0]
    chance["bands"] = false[false != 0]
    chance_runs = []
    if len(chance):
        name = f"{args['chance']}/{slot:08d}.run"
        write_run(job.store, name, chance, np.array([len(chance)]), slot)
        chance_runs = [[name, slot, 1, len(chance)]]
    return {
        "runs": [[path, slot, 1, len(pairs)]],
        "chance_runs": chance_runs,
        "joined": len(pairs),
        "below": int((met & ~similar).sum()),
        "chance": len(chance),
    }


def least_matches(job: Job, layout: Layout) -> int:
    """The fewest equal permutations of a pair that may join."""
    bound = job.config.dedup.min_jaccard or 0.0
    permutations = layout.bands * layout.rows
    # 0.7 * 110 is 77.00000000000001: rounding up must not ask for one more
    return int(np.ceil(bound * permutations - 1e-9))


def relink(job: Job) -> dict:
    """Pairs among the documents that chance put into the bucket of a stranger.

    A handful even for 10^10 documents (3 meetings per band), hence one task in memory.
    """
    args = job.task.args
    layout = Layout(**args["layout"])
    chunks = list(read_bins(job.store, args["chance"], 0, layout.slots, 1 << 40))
    met = np.concatenate(chunks)
    docs, places = np.unique(met["doc"], return_inverse=True)
    sketches = sketches_of(job, layout, docs.astype(np.int64))
    slices = sketches.reshape(len(docs), layout.bands, layout.rows)
    least = least_matches(job, layout)
    linked: list[tuple[int, int, int]] = []
    for band in range(layout.bands):
        here = np.flatnonzero(met["bands"] >> np.uint64(band) & np.uint64(1))
        first: dict[tuple, int] = {}
        for row in here[np.lexsort((met["doc"][here], met["other"][here]))].tolist():
            place = int(places[row])
            name = (int(met["other"][row]), slices[place, band].tobytes())
            head = first.setdefault(name, place)
            if head != place and int((sketches[head] == sketches[place]).sum()) >= least:
                linked.append((int(docs[place]), int(docs[head]), band))
    pairs = np.array(sorted(linked), pair_type(layout.doc_type))
    counts = np.bincount(pairs["doc"].astype(np.int64) // layout.width, minlength=layout.slots)
    path = f"{args['folder']}/all.run"
    write_run(job.store, path, pairs, counts)
    return {"runs": [[path, 0, layout.slots, len(pairs)]]}


def sketches_of(job: Job, layout: Layout, docs: np.ndarray) -> np.ndarray:
    """The sketches of ascending documents, one slot after the other."""
    permutations = layout.bands * layout.rows
    found = np.zeros((len(docs), permutations), np.uint32)
    for slot in np.unique(docs // layout.width).tolist():
        here = docs // layout.width == slot
        held = read_sketches(job.store, job.task.args["sketches"], slot, layout)
        found[here] = held[docs[here] - layout.span(slot)[0]]
    return found
