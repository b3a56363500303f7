"""How good the deduplication was, measured on the run's own documents.

Recall: a few documents, evenly spaced, are compared with every other one by signature; of the pairs
that are similar, how many shared a band? Precision: of a sample of dropped documents, the Jaccard
similarity with their representative is computed exactly, from the shingles of both texts.
"""

from collections.abc import Collection, Iterator

import numpy as np

from decant.filters.compile import kernel
from decant.filters.doc import Doc
from decant.filters.minhash import MinHash, shingles
from decant.pipeline.dedup.bands import Salts
from decant.pipeline.dedup.formats import score_type
from decant.pipeline.dedup.ids import document_columns
from decant.pipeline.dedup.layout import Part, parts_of
from decant.pipeline.dedup.signatures import rows_between
from decant.pipeline.dedup.sketches import Sketches, sketches_of
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.dedup.tasks import SlotTask, StepTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.texts import filtered_texts

SAMPLE_CHARS = 200  # of a text, in the lists of large clusters


def measure_recall(steps: Steps, sketches: str) -> dict[str, list[int]]:
    """Per count of equal permutations: pairs of queries and other documents, and how many met."""
    layout = steps.layout
    rows = layout.docs - layout.earlier
    count = min(steps.config.dedup.recall_queries, rows)
    queries = [layout.earlier + (2 * at + 1) * rows // (2 * count) for at in range(count)]
    if not queries:
        return {"pairs": [], "met": []}
    parts = parts_with(steps, queries)
    scopes = steps.once("recall-scopes", query_scopes, queries=queries, parts=parts)["scopes"]
    args = {"queries": queries, "scopes": scopes, "sketches": sketches}
    tables = steps.per_slot("recall", compare_queries, True, layout.first_slot, **args).values()
    return {
        name: [sum(column) for column in zip(*(one[name] for one in tables), strict=True)]
        for name in ("pairs", "met")
    }


def parts_with(steps: Steps, docs: Collection[int]) -> list[list]:
    """The partitions that hold some documents, as a task's arguments."""
    return [
        part.as_args()
        for part in steps.parts
        if any(part.base <= doc < part.base + part.rows for doc in docs)
    ]


def scopes_between(task: StepTask, low: int, high: int) -> np.ndarray:
    """uint64 per document low … high-1: equal where `dedup.scope` lets two documents meet."""
    scopes = np.zeros(high - low, np.uint64)
    for part in parts_of(task.parts, low, high):
        salts = Salts(task.store, task.config, part)
        if salts.constant is not None:
            begin, end = max(low, part.base), min(high, part.base + part.rows)
            scopes[begin - low : end - low] = salts.constant
            continue
        for first, batch in rows_between(task.store, [part], low, high, ["offset"]):
            here = slice(first - low, first - low + batch.num_rows)
            scopes[here] = salts.of(batch.column("offset").to_numpy())
    return scopes


def query_scopes(job: Job) -> dict:
    """The scope of every query, for the tasks that compare it with other slots."""
    task = StepTask(job)
    return {"scopes": [int(scopes_between(task, doc, doc + 1)[0]) for doc in task.args["queries"]]}


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
    task = SlotTask(job)
    layout, folder = task.layout, task.args["sketches"]
    numbers = np.array(task.args["queries"], np.int64)
    sketches = sketches_of(task.store, folder, layout, numbers)
    signed = sketches.any(axis=1)
    queries = sketches[signed], np.array(task.args["scopes"], np.uint64)[signed]
    documents = Sketches(task.store, folder, task.slot, layout).all()
    scopes = scopes_between(task, task.low, task.high)
    counted = count_agreement(
        documents, documents.any(axis=1), scopes, *queries,
        layout.bands, layout.rows, task.low, numbers[signed],
    )  # fmt: skip
    pairs, met = (column.tolist() for column in counted)
    return {"pairs": pairs, "met": met}


def sample_dropped(steps: Steps, scores: str) -> list[list[int]]:
    """[document, representative, equal permutations] of a sample that depends on nothing else."""
    count = steps.config.dedup.exact_sample
    args = {"scores": scores, "count": count}
    samples = steps.per_slot("sample", sample_slot, False, steps.layout.first_slot, **args)
    drawn = sorted(entry for one in samples.values() for entry in one["sample"])
    return [entry[1:] for entry in drawn[:count]]


def sample_slot(job: Job) -> dict:
    """The dropped documents of one slot that a draw by number favours, with their draw."""
    task = SlotTask(job)
    earlier, count = task.layout.earlier, task.args["count"]
    best: list[list[int]] = []
    for scores in task.read("scores", score_type(task.doc_type), 1 << 20):
        scores = scores[scores["other"] >= earlier]  # texts of an index are not at hand
        drawn = scores["doc"].astype(np.uint64) - np.uint64(earlier)
        drawn = drawn * np.uint64(0x9E3779B97F4A7C15)
        drawn ^= drawn >> np.uint64(29)
        places = np.argsort(drawn, kind="stable")[:count]
        columns = (drawn, scores["doc"], scores["other"], scores["matches"])
        best += [list(row) for row in zip(*(one[places].tolist() for one in columns), strict=True)]
    return {"sample": sorted(best)[:count]}


def measure_precision(steps: Steps, scores: str) -> list[list[float]]:
    """[exact, estimated] Jaccard of every sampled pair whose texts have shingles."""
    sample = sample_dropped(steps, scores)
    if not sample:
        return []
    parts = parts_with(steps, {doc for pair in sample for doc in pair[:2]})
    return steps.once("exact-jaccard", exact_jaccard, sample=sample, parts=parts)["pairs"]


def sample_texts(steps: Steps, docs: list[int]) -> dict[str, dict]:
    """Id, URL and the beginning of the text of some documents of this run, by number."""
    new = [doc for doc in docs if doc >= steps.layout.earlier]
    if not new:
        return {}
    args = {"docs": new, "parts": parts_with(steps, new)}
    return steps.once("report-samples", read_samples, **args)["samples"]


def read_samples(job: Job) -> dict:
    """Id, URL and the beginning of the text of the documents that the arguments name."""
    task = StepTask(job)
    docs = np.array(task.args["docs"])
    samples: dict[str, dict] = {}
    for part in task.parts:
        inside = docs[(docs >= part.base) & (docs < part.base + part.rows)]
        ids = document_columns(task.store, part, inside, ["id", "url"])
        texts = dict(texts_of(task.store, part, inside))
        for doc, name, url in zip(inside.tolist(), ids["id"], ids["url"], strict=True):
            samples[str(doc)] = {"id": name, "url": url, "text": texts[doc][:SAMPLE_CHARS]}
    return {"samples": samples}


def exact_jaccard(job: Job) -> dict:
    """Jaccard similarity of the shingle sets of sampled pairs."""
    import_spacy()
    task = StepTask(job)
    sample, dedup = task.args["sample"], task.config.dedup
    method = MinHash(dedup.ngram, dedup.bands, dedup.rows, dedup.hash, dedup.seed)
    docs = np.unique([doc for pair in sample for doc in pair[:2]])
    sets: dict[int, np.ndarray] = {}
    for part in task.parts:
        inside = docs[(docs >= part.base) & (docs < part.base + part.rows)]
        for doc, text in texts_of(task.store, part, inside):
            sets[doc] = np.unique(shingles(Doc(text), method))
    pairs = []
    for doc, other, matches in sample:
        one, two = sets[doc], sets[other]
        if len(one) and len(two):
            shared = len(np.intersect1d(one, two, assume_unique=True))
            exact = shared / (len(one) + len(two) - shared)
            pairs.append([exact, matches / task.layout.permutations])
    return {"pairs": pairs}


def texts_of(store: Store, part: Part, docs: np.ndarray) -> Iterator[tuple[int, str]]:
    """(document, text as the filters left it) of ascending documents of one partition."""
    docs_at: dict[int, int] = {}
    for first, batch in rows_between(store, [part], int(docs[0]), int(docs[-1]) + 1, ["offset"]):
        offsets = batch.column("offset").to_numpy()
        here = docs[(docs >= first) & (docs < first + len(offsets))]
        docs_at |= dict(zip(offsets[here - first].tolist(), here.tolist(), strict=True))
    for offset, text in filtered_texts(store, part.number, docs_at):
        yield docs_at[offset], text
