"""Signature comparison of given pairs, wherever their documents lie.

Three steps per set of pairs, each one task per slot: `request` finds the distinct documents that a
slot's pairs need from other slots; `answer` sends the sketch of each requested document once to
every slot that asked; `score` compares. A sketch travels at most once per pair of slots, so a
document that a million others point to is not sent a million times.

Which candidate pairs may join a cluster, after their signatures were compared.

A pair whose key agrees in a band where the signatures do not met by a 64-bit chance. Such a pair
does not count for that band; the documents that chance put beside a stranger are then matched with
each other by the band itself, so that nobody loses a true partner. Where `dedup.min_jaccard` is
set, pairs estimated below it do not join either.
"""

import numpy as np

from decant.pipeline.dedup.formats import (
    chance_type,
    link_type,
    pair_type,
    request_type,
    score_type,
    sketch_type,
)
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.dedup.sketches import compare_rows, read_sketches, sketches_of
from decant.pipeline.dedup.spills import (
    Spill,
    read_bins,
    read_whole,
    settle,
    write_catalog,
    write_run,
)
from decant.pipeline.engine.execute import Engine, Job, Task


def compare(
    engine: Engine, name: str, layout: Layout, pairs: str, banded: bool, sketches: str,
    scratch: str, digest: str, version: int,
) -> tuple[str, dict]:  # fmt: skip
    """(folder of scores by slot, task counts) for the pairs of a folder, by slot of `doc`.

    `banded`: the pairs say in which band they met (a `pair_type`), else they are links.
    """
    folders = {step: f"{scratch}/{name}-{step}" for step in ("request", "answer", "score")}
    shared = {"layout": layout.as_args(), "pairs": pairs, "banded": banded, **folders}
    shared["sketches"] = sketches

    def run_step(step: str, function) -> dict[str, dict]:
        tasks = [
            Task(f"{slot:08d}", {**shared, "slot": slot, "source": source})
            for slot in range(layout.slots)
        ]
        results = engine.map(f"deduplicate/{name}-{step}", function, tasks, digest, version)
        runs = [entry for one in results.values() for entry in one["runs"]]
        write_catalog(engine.store, folders[step], runs)
        return results

    def settled(step: str) -> str:
        prefix = f"deduplicate/{name}-{step}"
        shape = layout.slots, layout.payload
        return settle(engine, prefix, folders[step], *shape, digest, version)

    source = pairs
    run_step("request", spill_requests)
    source = settled("request")
    run_step("answer", spill_answers)
    source = settled("answer")
    return folders["score"], run_step("score", write_scores)


def wanted_pairs(job: Job, layout: Layout, slot: int) -> np.ndarray:
    """The pairs of one slot that are to be compared, as often as they were found."""
    args = job.task.args
    dtype = (pair_type if args["banded"] else link_type)(layout.doc_type)
    pairs = read_whole(job.store, args["pairs"], slot, slot + 1, dtype)
    return pairs[(pairs["doc"] != pairs["other"]) & (pairs["doc"] >= layout.earlier)]


def unique_pairs(job: Job, layout: Layout, slot: int) -> np.ndarray:
    """The distinct pairs of one slot as unscored scores, ordered by other, then doc."""
    dtype = score_type(layout.doc_type)
    pairs = wanted_pairs(job, layout, slot)
    if not len(pairs):
        return np.empty(0, dtype)
    pairs = pairs[np.lexsort((pairs["doc"], pairs["other"]))]
    fresh = np.r_[True, (np.diff(pairs["doc"]) != 0) | (np.diff(pairs["other"]) != 0)]
    starts = np.flatnonzero(fresh)
    scores = np.zeros(len(starts), dtype)
    scores["doc"], scores["other"] = pairs["doc"][starts], pairs["other"][starts]
    if job.task.args["banded"]:
        bits = np.uint64(1) << pairs["band"].astype(np.uint64)
        scores["claimed"] = np.bitwise_or.reduceat(bits, starts)
    return scores


def spill_requests(job: Job) -> dict:
    """Ask for every document that the slot's pairs compare with."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    others = np.unique(wanted_pairs(job, layout, slot)["other"])
    requests = np.zeros(len(others), request_type(layout.doc_type))
    requests["doc"], requests["slot"] = others, slot
    spill = Spill(job.store, f"{args['request']}/{slot:08d}", layout.slots, layout.payload)
    spill.add(requests, others // layout.width)
    return {"runs": spill.close()}


def spill_answers(job: Job) -> dict:
    """Send the sketches of one slot's documents to the slots that asked for them."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    permutations = layout.bands * layout.rows
    low, _ = layout.span(slot)
    dtype = sketch_type(layout.doc_type, permutations)
    chunk = max(64, layout.payload // (2 * dtype.itemsize))
    spill = Spill(job.store, f"{args['answer']}/{slot:08d}", layout.slots, layout.payload)
    sketches = None
    for requests in read_bins(
        job.store, args["source"], slot, slot + 1, request_type(layout.doc_type), chunk
    ):
        if sketches is None:
            sketches = read_sketches(job.store, args["sketches"], slot, layout)
        answers = np.empty(len(requests), dtype)
        answers["doc"] = requests["doc"]
        answers["sketch"] = sketches[requests["doc"].astype(np.int64) - low]
        spill.add(answers, requests["slot"])
    return {"runs": spill.close()}


def write_scores(job: Job) -> dict:
    """Compare the slot's pairs with the answers that came in; write them with their scores."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    permutations = layout.bands * layout.rows
    low, _ = layout.span(slot)
    scores = unique_pairs(job, layout, slot)
    found = 0
    if len(scores):
        own = read_sketches(job.store, args["sketches"], slot, layout)
        chunk = max(64, layout.payload // (4 * permutations))
        kind = sketch_type(layout.doc_type, permutations)
        for answers in read_bins(job.store, args["source"], slot, slot + 1, kind, chunk):
            order = np.argsort(answers["doc"], kind="stable")
            answered = answers["doc"][order]
            places = np.searchsorted(answered, scores["other"])
            places[places == len(answered)] = 0
            here = np.flatnonzero(answered[places] == scores["other"])
            matches, met = compare_rows(
                own,
                scores["doc"][here].astype(np.int64) - low,
                np.ascontiguousarray(answers["sketch"]),
                order[places[here]],
                layout.bands,
                layout.rows,
            )
            scores["matches"][here], scores["met"][here] = matches, met
            found += len(here)
    assert found == len(scores), f"slot {slot}: {len(scores) - found} pairs were not answered"
    path = f"{args['score']}/{slot:08d}.run"
    write_run(job.store, path, scores, np.array([len(scores)]), slot)
    agreed = np.bincount(scores["matches"], minlength=permutations + 1)
    return {"runs": [[path, slot, 1, len(scores)]], "matches": agreed.tolist()}


def accept_pairs(job: Job) -> dict:
    """Write the pairs of one slot that may join, and those that met by chance in some band."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    scores = read_whole(job.store, args["scores"], slot, slot + 1, score_type(layout.doc_type))
    if not len(scores):
        return {"runs": [], "chance_runs": [], "below": 0, "chance": 0, "joined": 0}
    similar = scores["matches"] >= least_matches(job, layout)
    met = (scores["met"] & scores["claimed"]) != 0
    accepted = scores[similar & met]
    pairs = np.zeros(len(accepted), link_type(layout.doc_type))
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
    kind = chance_type(layout.doc_type)
    met = read_whole(job.store, args["chance"], 0, layout.slots, kind)
    docs, places = np.unique(met["doc"], return_inverse=True)
    sketches = sketches_of(job, layout, docs.astype(np.int64))
    slices = sketches.reshape(len(docs), layout.bands, layout.rows)
    least = least_matches(job, layout)
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
    pairs = np.array(sorted(linked), link_type(layout.doc_type))
    counts = np.bincount(pairs["doc"].astype(np.int64) // layout.width, minlength=layout.slots)
    path = f"{args['folder']}/all.run"
    write_run(job.store, path, pairs, counts)
    return {"runs": [[path, 0, layout.slots, len(pairs)]]}
