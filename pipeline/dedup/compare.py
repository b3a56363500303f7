"""Signature comparison of given pairs, wherever their documents lie.

Three steps per set of pairs, each one task per slot: `request` finds the distinct documents that a
slot's pairs need from other slots; `answer` sends the sketch of each requested document once to
every slot that asked; `score` compares. A sketch travels at most once per pair of slots, so a
document that a million others point to is not sent a million times.
"""

import numpy as np

from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.layout import Layout
from decant.pipeline.runs import (
    Spill,
    read_bins,
    read_whole,
    settle,
    write_catalog,
    write_run,
)
from decant.pipeline.sketches import compare_rows, read_sketches


def request_type(doc_type: str) -> np.dtype:
    return np.dtype([("doc", doc_type), ("slot", "<u4")])


def answer_type(doc_type: str, permutations: int) -> np.dtype:
    return np.dtype([("doc", doc_type), ("sketch", "<u4", (permutations,))])


def score_type(doc_type: str) -> np.dtype:
    """`matches`: equal permutations; `met`: bands that agree; `claimed`: bands whose keys agree."""
    pair = [("doc", doc_type), ("other", doc_type)]
    return np.dtype([*pair, ("matches", "<u2"), ("met", "<u8"), ("claimed", "<u8")])


def compare(
    engine: Engine, name: str, layout: Layout, pairs: str, sketches: str, scratch: str, digest: str
) -> tuple[str, dict]:
    """(folder of scores by slot, task counts) for the pairs of a folder, by slot of `doc`."""
    folders = {step: f"{scratch}/{name}-{step}" for step in ("request", "answer", "score")}
    shared = {"layout": layout.as_args(), "pairs": pairs, "sketches": sketches, **folders}

    def run_step(step: str, function) -> dict[str, dict]:
        tasks = [
            Task(f"{slot:08d}", {**shared, "slot": slot, "source": source})
            for slot in range(layout.slots)
        ]
        results = engine.map(f"deduplicate/{name}-{step}", function, tasks, digest)
        runs = [entry for one in results.values() for entry in one["runs"]]
        write_catalog(engine.store, folders[step], runs)
        return results

    def settled(step: str) -> str:
        prefix = f"deduplicate/{name}-{step}"
        return settle(engine, prefix, folders[step], layout.slots, layout.payload, digest)

    source = pairs
    run_step("request", spill_requests)
    source = settled("request")
    run_step("answer", spill_answers)
    source = settled("answer")
    return folders["score"], run_step("score", write_scores)


def wanted_pairs(job: Job, layout: Layout, slot: int) -> np.ndarray:
    """The pairs of one slot that are to be compared, as often as they were found."""
    dtype = score_type(layout.doc_type)
    pairs = read_whole(job.store, job.task.args["pairs"], slot, slot + 1, dtype)
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
    if "band" in (pairs.dtype.names or ()):
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
    dtype = answer_type(layout.doc_type, permutations)
    chunk = max(64, layout.payload // (2 * dtype.itemsize))
    spill = Spill(job.store, f"{args['answer']}/{slot:08d}", layout.slots, layout.payload)
    sketches = None
    for requests in read_bins(job.store, args["source"], slot, slot + 1, chunk):
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
        for answers in read_bins(job.store, args["source"], slot, slot + 1, chunk):
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
