"""Comparison of signatures for given pairs, wherever their documents lie; which pairs may join.

Three steps per set of pairs, each one task per slot: `request` finds the distinct documents that a
slot's pairs need from other slots; `answer` sends the sketch of each requested document once to
every slot that asked; `score` compares. A sketch travels at most once per pair of slots, so a
document that a million others point to is not sent a million times.

A pair whose key agrees in a band where the signatures do not met by a 64-bit chance. Such a pair
does not count for that band; the documents that chance put beside a stranger are then matched with
each other by the band itself, so that nobody loses a true partner. Where `dedup.min_jaccard` is
set, pairs estimated below it do not join either.
"""

import numpy as np

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.formats import (
    chance_type,
    link_type,
    pair_type,
    request_type,
    score_type,
    sketch_type,
)
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.dedup.sketches import Sketches, compare_rows, sketches_of
from decant.pipeline.dedup.spill_file import write_spill
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.dedup.tasks import SlotTask, StepTask
from decant.pipeline.engine.execute import Job


def compare(steps: Steps, name: str, pairs: str, banded: bool) -> tuple[str, dict[str, dict]]:
    """(folder of scores by slot, task counts) for the pairs of a folder, by slot of `doc`.

    `banded`: the pairs say in which band they met (a `pair_type`), else they are links.
    """
    given = {"pairs": pairs, "banded": banded}
    sketches = steps.folder("sketches")
    steps.per_slot(f"{name}-request", spill_requests, **given)
    requests = steps.settled(f"{name}-request")
    steps.per_slot(f"{name}-answer", spill_answers, requests=requests, sketches=sketches)
    given |= {"answers": steps.settled(f"{name}-answer"), "sketches": sketches}
    counts = steps.per_slot(f"{name}-score", write_scores, **given)
    return steps.folder(f"{name}-score"), counts


def pairs_to_compare(task: SlotTask) -> np.ndarray:
    """The pairs of one slot that are to be compared, as often as they met."""
    dtype = (pair_type if task.args["banded"] else link_type)(task.doc_type)
    pairs = task.read_whole("pairs", dtype)
    return pairs[(pairs["doc"] != pairs["other"]) & (pairs["doc"] >= task.layout.earlier)]


def unique_pairs(task: SlotTask) -> np.ndarray:
    """The distinct pairs of one slot as unscored scores, ordered by other, then doc."""
    dtype = score_type(task.doc_type)
    pairs = pairs_to_compare(task)
    if not len(pairs):
        return np.empty(0, dtype)
    pairs = pairs[np.lexsort((pairs["doc"], pairs["other"]))]
    fresh = np.r_[True, (np.diff(pairs["doc"]) != 0) | (np.diff(pairs["other"]) != 0)]
    starts = np.flatnonzero(fresh)
    scores = np.zeros(len(starts), dtype)
    scores["doc"], scores["other"] = pairs["doc"][starts], pairs["other"][starts]
    if task.args["banded"]:
        bits = np.uint64(1) << pairs["band"].astype(np.uint64)
        scores["claimed"] = np.bitwise_or.reduceat(bits, starts)
    return scores


def spill_requests(job: Job) -> dict:
    """Ask for every document that the slot's pairs compare with."""
    task = SlotTask(job)
    others = np.unique(pairs_to_compare(task)["other"])
    requests = np.zeros(len(others), request_type(task.doc_type))
    requests["doc"], requests["slot"] = others, task.slot
    spill = task.spill()
    spill.add(requests, others // task.layout.width)
    return {"spills": spill.close()}


def spill_answers(job: Job) -> dict:
    """Send the sketches of one slot's documents to the slots that asked for them."""
    task = SlotTask(job)
    dtype = sketch_type(task.doc_type, task.layout.permutations)
    spill, sketches = task.spill(), None
    rows = task.rows_at_once(dtype, 2)
    for requests in task.read("requests", request_type(task.doc_type), rows):
        if sketches is None:
            sketches = Sketches(task.store, task.args["sketches"], task.slot, task.layout)
        places = task.places(requests["doc"])
        answers = np.empty(len(requests), dtype)
        answers["doc"] = requests["doc"]
        answers["sketch"] = sketches.of(places)[places]
        spill.add(answers, requests["slot"])
    return {"spills": spill.close()}


def write_scores(job: Job) -> dict:
    """Compare the slot's pairs with the answers that came in; write them with their scores."""
    task = SlotTask(job)
    permutations = task.layout.permutations
    scores = unique_pairs(task)
    scored = score_pairs(task, scores) if len(scores) else 0
    assert scored == len(scores), f"slot {task.slot}: {len(scores) - scored} pairs lack a sketch"
    agreed = np.bincount(scores["matches"], minlength=permutations + 1)
    return {"spills": task.leave(scores), "matches": agreed.tolist()}


def score_pairs(task: SlotTask, scores: np.ndarray) -> int:
    """Fill in the scores of pairs ordered by `other`; how many found their answer."""
    layout, count = task.layout, 0
    left = task.places(scores["doc"])
    sketches = Sketches(task.store, task.args["sketches"], task.slot, layout).of(left)
    dtype = sketch_type(task.doc_type, layout.permutations)
    rows = max(64, layout.payload // (4 * layout.permutations))
    for answers in task.read("answers", dtype, rows, by=""):
        order = np.argsort(answers["doc"], kind="stable")
        answered = answers["doc"][order]
        places = np.searchsorted(answered, scores["other"])
        places[places == len(answered)] = 0
        here = np.flatnonzero(answered[places] == scores["other"])
        sides = left[here], np.ascontiguousarray(answers["sketch"]), order[places[here]]
        matches, met = compare_rows(sketches, *sides, layout.bands, layout.rows)
        scores["matches"][here], scores["met"][here] = matches, met
        count += len(here)
    return count


def accept_pairs(job: Job) -> dict:
    """Write the pairs of one slot that may join, and those that met by chance in some band."""
    task = SlotTask(job)
    scores = task.read_whole("scores", score_type(task.doc_type))
    similar = scores["matches"] >= least_matches(task.config, task.layout)
    met = (scores["met"] & scores["claimed"]) != 0
    accepted = scores[similar & met]
    links = np.zeros(len(accepted), link_type(task.doc_type))
    links["doc"], links["other"] = accepted["doc"], accepted["other"]
    mistaken = scores["claimed"] & ~scores["met"]
    by_chance = mistaken != 0
    chance = np.zeros(int(by_chance.sum()), chance_type(task.doc_type))
    chance["doc"], chance["other"] = scores["doc"][by_chance], scores["other"][by_chance]
    chance["bands"] = mistaken[by_chance]
    return {
        "spills": task.leave(links),
        "chance_spills": task.leave(chance, task.args["chance"]),
        "joined": len(links),
        "below": int((met & ~similar).sum()),
        "chance": len(chance),
    }


def least_matches(config: RunConfig, layout: Layout) -> int:
    """The fewest equal permutations of a pair that may join."""
    bound = config.dedup.min_jaccard or 0.0
    # 0.7 * 110 is 77.00000000000001: rounding up must not ask for one more
    return int(np.ceil(bound * layout.permutations - 1e-9))


def relink(job: Job) -> dict:
    """Pairs among the documents that chance put into the bucket of a stranger.

    A handful even for 10^10 documents (3 meetings per band), hence one task in memory.
    """
    task = StepTask(job)
    layout = task.layout
    met = task.read_whole("chance", chance_type(task.doc_type))
    docs, places = np.unique(met["doc"], return_inverse=True)
    folder = task.args["sketches"]
    sketches = sketches_of(task.store, folder, layout, docs.astype(np.int64))
    slices = sketches.reshape(len(docs), layout.bands, layout.rows)
    least = least_matches(task.config, layout)
    linked: list[tuple[int, int]] = []
    for band in range(layout.bands):
        here = np.flatnonzero(met["bands"] >> np.uint64(band) & np.uint64(1))
        first: dict[tuple, int] = {}
        for row in here[np.lexsort((met["doc"][here], met["other"][here]))].tolist():
            place = int(places[row])
            name = (int(met["other"][row]), slices[place, band].tobytes())
            head = first.setdefault(name, place)
            if head != place and int((sketches[head] == sketches[place]).sum()) >= least:
                linked.append((int(docs[place]), int(docs[head])))
    links = np.array(sorted(linked), link_type(task.doc_type))
    counts = np.bincount(links["doc"].astype(np.int64) // layout.width, minlength=layout.slots)
    return {"spills": [write_spill(task.store, f"{task.args['folder']}/all.spill", links, counts)]}
