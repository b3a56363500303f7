"""How good the deduplication was, measured on the run's own documents.

Recall: a few documents, evenly spaced, are compared with every other one by signature; of the pairs
that are similar, how many shared a band? Precision: of a sample of dropped documents, the Jaccard
similarity with their representative is computed exactly, from the shingles of both texts.
"""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from decant.filters.compile import kernel
from decant.filters.doc import Doc
from decant.filters.minhash import MinHash, shingles
from decant.pipeline.dedup.bands import Salts
from decant.pipeline.dedup.formats import score_type
from decant.pipeline.dedup.ids import document_columns
from decant.pipeline.dedup.layout import Layout, Part, parts_of, rows_between
from decant.pipeline.dedup.sketches import read_sketches, sketches_of
from decant.pipeline.dedup.spills import read_bins
from decant.pipeline.dedup.steps import Deduplication
from decant.pipeline.engine.execute import Job, Task
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.texts import filtered_texts

SAMPLE_CHARS = 200  # of a text, in the lists of large clusters


def measure_recall(stage: Deduplication, sketches: str) -> dict[str, list[int]]:
    """Per count of equal permutations: pairs of queries and other documents, and how many met."""
    layout = stage.layout
    rows = layout.docs - layout.earlier
    count = min(stage.config.dedup.recall_queries, rows)
    queries = [layout.earlier + (2 * at + 1) * rows // (2 * count) for at in range(count)]
    if not queries:
        return {"pairs": [], "met": []}
    args: dict[str, Any] = {"queries": queries, "parts": parts_with(stage, queries)}
    task = Task("all", args)
    scopes = stage.run("recall-scopes", query_scopes, [task])["all"]["scopes"]
    args = {"queries": queries, "scopes": scopes, "sketches": sketches}
    made = stage.per_slot("recall", compare_queries, True, layout.first_slot, **args)
    tables = list(made.values())
    return {
        name: [sum(column) for column in zip(*(one[name] for one in tables), strict=True)]
        for name in ("pairs", "met")
    }


def parts_with(stage: Deduplication, docs: Collection[int]) -> list[list]:
    """The partitions that hold some documents, as a task's arguments."""
    return [
        list(vars(part).values())
        for part in stage.parts
        if any(part.base <= doc < part.base + part.rows for doc in docs)
    ]


def scopes_between(job: Job, parts: list[Part], low: int, high: int) -> np.ndarray:
    """uint64 per document low … high-1: equal where `dedup.scope` lets two documents meet."""
    scopes = np.zeros(high - low, np.uint64)
    for part in parts_of(parts, low, high):
        salts = Salts(job.store, job.config, part)
        if salts.constant is not None:
            begin, end = max(low, part.base), min(high, part.base + part.rows)
            scopes[begin - low : end - low] = salts.constant
            continue
        for first, batch in rows_between(job.store, [part], low, high, ["offset"]):
            here = slice(first - low, first - low + batch.num_rows)
            scopes[here] = salts.of(batch.column("offset").to_numpy())
    return scopes


def query_scopes(job: Job) -> dict:
    """The scope of every query, for the tasks that compare it with other slots."""
    args = job.task.args
    scopes: dict[int, int] = {}
    for part in (Part(*part) for part in args["parts"]):
        inside = [doc for doc in args["queries"] if part.base <= doc < part.base + part.rows]
        low = inside[0]
        found = scopes_between(job, [part], low, inside[-1] + 1)
        scopes |= {doc: int(found[doc - low]) for doc in inside}
    return {"runs": [], "scopes": [scopes[doc] for doc in args["queries"]]}


@kernel
def count_agreement(sketches, has, scopes, queries, query_scopes, bands, rows, low, numbers):
    """(pairs, met): int64 [permutations + 1] each, over all documents and queries of one scope."""
    pairs = np.zeros(bands * rows + 1, np.int64)
    meetings = np.zeros(bands * rows + 1, np.int64)
    for document in range(len(sketches)):
        if not has[document]:
            continue
        for query in range(len(queries)):
            if scopes[document] != query_scopes[query] or low + document == numbers[query]:
                continue
            total = 0
            met = False
            for band in range(bands):
                equal = 0
                for column in range(band * rows, (band + 1) * rows):
                    equal += sketches[document, column] == queries[query, column]
                total += equal
                met = met or equal == rows
            pairs[total] += 1
            meetings[total] += met
    return pairs, meetings


def compare_queries(job: Job) -> dict:
    """Compare the documents of one slot with the queries."""
    args = job.task.args
    layout = Layout(**args["layout"])
    low, high = layout.span(args["slot"])
    numbers = np.array(args["queries"], np.int64)
    wanted = sketches_of(job, layout, numbers)
    signed = wanted.any(axis=1)
    queries = wanted[signed], np.array(args["scopes"], np.uint64)[signed]
    own = read_sketches(job.store, args["sketches"], args["slot"], layout)
    scopes = scopes_between(job, [Part(*part) for part in args["parts"]], low, high)
    shape = layout.bands, layout.rows
    has = own.any(axis=1)
    counted = count_agreement(own, has, scopes, *queries, *shape, low, numbers[signed])
    pairs, met = (column.tolist() for column in counted)
    return {"runs": [], "pairs": pairs, "met": met}


def sample_dropped(stage: Deduplication, scores: str) -> list[list[int]]:
    """[document, representative, equal permutations] of a sample that depends on nothing else."""
    args = {"scores": scores, "count": stage.config.dedup.exact_sample}
    made = stage.per_slot("sample", sample_slot, False, stage.layout.first_slot, **args)
    drawn = sorted(entry for one in made.values() for entry in one["sample"])
    return [entry[1:] for entry in drawn[: args["count"]]]


def sample_slot(job: Job) -> dict:
    """The dropped documents of one slot that a draw by number favours, with their draw."""
    args = job.task.args
    layout = Layout(**args["layout"])
    best: list[list[int]] = []
    kind, slot = score_type(layout.doc_type), args["slot"]
    for scores in read_bins(job.store, args["scores"], slot, slot + 1, kind, 1 << 20):
        scores = scores[scores["other"] >= layout.earlier]  # texts of an index are not at hand
        drawn = scores["doc"].astype(np.uint64) - np.uint64(layout.earlier)
        drawn = drawn * np.uint64(0x9E3779B97F4A7C15)
        drawn ^= drawn >> np.uint64(29)
        places = np.argsort(drawn, kind="stable")[: args["count"]]
        columns = (drawn, scores["doc"], scores["other"], scores["matches"])
        best += [list(row) for row in zip(*(one[places].tolist() for one in columns), strict=True)]
    return {"runs": [], "sample": sorted(best)[: args["count"]]}


def measure_precision(stage: Deduplication, scores: str) -> list[list[float]]:
    """[exact, estimated] Jaccard of every sampled pair whose texts have shingles."""
    sample = sample_dropped(stage, scores)
    if not sample:
        return []
    docs = {doc for pair in sample for doc in pair[:2]}
    args = {"sample": sample, "parts": parts_with(stage, docs), "layout": stage.layout.as_args()}
    task = Task("all", args)
    return stage.run("exact-jaccard", exact_jaccard, [task])["all"]["pairs"]


def sample_texts(stage: Deduplication, docs: list[int]) -> dict[str, dict]:
    """Id, URL and the beginning of the text of some documents of this run, by number."""
    new = [doc for doc in docs if doc >= stage.layout.earlier]
    if not new:
        return {}
    task = Task("all", {"docs": new, "parts": parts_with(stage, new)})
    return stage.run("report-samples", read_samples, [task])["all"]["samples"]


def read_samples(job: Job) -> dict:
    docs = np.array(job.task.args["docs"])
    samples: dict[str, dict] = {}
    for part in (Part(*part) for part in job.task.args["parts"]):
        inside = docs[(docs >= part.base) & (docs < part.base + part.rows)]
        ids = document_columns(job.store, part, inside, ["id", "url"])
        texts = dict(texts_of(job.store, part, inside))
        for doc, name, url in zip(inside.tolist(), ids["id"], ids["url"], strict=True):
            samples[str(doc)] = {"id": name, "url": url, "text": texts[doc][:SAMPLE_CHARS]}
    return {"runs": [], "samples": samples}


def exact_jaccard(job: Job) -> dict:
    """Jaccard similarity of the shingle sets of sampled pairs."""
    import_spacy()
    args = job.task.args
    layout = Layout(**args["layout"])
    dedup = job.config.dedup
    method = MinHash(dedup.ngram, dedup.bands, dedup.rows, dedup.hash, dedup.seed)
    docs = np.unique([doc for pair in args["sample"] for doc in pair[:2]])
    sets: dict[int, np.ndarray] = {}
    for part in (Part(*part) for part in args["parts"]):
        inside = docs[(docs >= part.base) & (docs < part.base + part.rows)]
        for doc, text in texts_of(job.store, part, inside):
            sets[doc] = np.unique(shingles(Doc(text), method))
    pairs = []
    for doc, other, matches in args["sample"]:
        one, two = sets[doc], sets[other]
        if len(one) and len(two):
            shared = len(np.intersect1d(one, two, assume_unique=True))
            exact = shared / (len(one) + len(two) - shared)
            pairs.append([exact, matches / (layout.bands * layout.rows)])
    return {"runs": [], "pairs": pairs}


def texts_of(store: Store, part: Part, docs: np.ndarray) -> Iterator[tuple[int, str]]:
    """(document, text as the filters left it) of ascending documents of one partition."""
    wanted: dict[int, int] = {}
    for first, batch in rows_between(store, [part], int(docs[0]), int(docs[-1]) + 1, ["offset"]):
        offsets = batch.column("offset").to_numpy()
        here = docs[(docs >= first) & (docs < first + len(offsets))]
        wanted |= dict(zip(offsets[here - first].tolist(), here.tolist(), strict=True))
    for offset, text in filtered_texts(store, part.number, wanted):
        yield wanted[offset], text
