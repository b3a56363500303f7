"""The ids of representatives, sent to the documents that name them.

Ids are strings of any length in other partitions; each travels once per pair of slots, like the
sketches in `compare.py`, in spills whose string width is that of the longest id on board.
"""

import numpy as np

from decant.pipeline.dedup.formats import choice_type, id_type, request_type
from decant.pipeline.dedup.index import read_entries
from decant.pipeline.dedup.layout import Layout, Part, parts_of
from decant.pipeline.dedup.signatures import rows_between
from decant.pipeline.dedup.spills import Spill
from decant.pipeline.dedup.tasks import SlotTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.texts import columns_at

LONGEST_ID = 1_000  # bytes; a longer id is cut, its row key still finds the record


def spill_name_requests(job: Job) -> dict:
    """Ask for the id of every document that the slot's choices name."""
    task = SlotTask(job)
    others = [
        np.unique(chunk["other"][chunk["other"] != chunk["doc"]])
        for chunk in task.read("choices", choice_type(task.doc_type))
    ]
    docs = np.unique(np.concatenate(others)) if others else np.empty(0, np.uint64)
    requests = np.zeros(len(docs), request_type(task.doc_type))
    requests["doc"], requests["slot"] = docs, task.slot
    spill = task.spill()
    spill.add(requests, docs // task.layout.width)
    return {"spills": spill.close()}


def spill_names(job: Job) -> dict:
    """Send the ids of one slot's documents to the slots that asked for them."""
    task = SlotTask(job)
    layout = task.layout
    requests = task.read_whole("requests", request_type(task.doc_type))
    if not len(requests):
        return {"spills": []}
    spill = task.spill()
    for entry in read_entries(task.store, layout.index) if task.low < layout.earlier else []:
        for known in entry.documents("ids", task.low, task.high, id_type("<u8")):
            answer_known(spill, requests, known, layout)
    for part in parts_of(task.parts, task.low, task.high):
        inside = (requests["doc"] >= part.base) & (requests["doc"] < part.base + part.rows)
        here = requests[inside]
        if not len(here):
            continue
        docs, back = np.unique(here["doc"], return_inverse=True)
        ids = ids_of(task.store, part, docs.astype(np.int64))
        spill.add(named(here["doc"], id_bytes(ids)[back], layout), here["slot"])
    return {"spills": spill.close()}


def answer_known(spill: Spill, requests: np.ndarray, known: np.ndarray, layout: Layout) -> None:
    """Answer the requests for documents of an index out of its records of (document, id)."""
    known = known[np.argsort(known["doc"])]
    if not len(known):
        return
    places = np.minimum(np.searchsorted(known["doc"], requests["doc"]), len(known) - 1)
    is_known = known["doc"][places] == requests["doc"]
    here = requests[is_known]
    spill.add(named(here["doc"], known["id"][places[is_known]], layout), here["slot"])


def id_bytes(ids: list[str]) -> np.ndarray:
    """Ids as fixed-width bytes, as wide as the longest."""
    return np.array([one.encode("utf-8", "surrogatepass")[:LONGEST_ID] for one in ids], "S")


def named(docs: np.ndarray, ids: np.ndarray, layout: Layout) -> np.ndarray:
    """Records of documents and their ids."""
    records = np.empty(len(docs), id_type(layout.doc_type, ids.dtype.itemsize))
    records["doc"], records["id"] = docs, ids
    return records


def ids_of(store: Store, part: Part, docs: np.ndarray) -> list[str]:
    """The ids of ascending document numbers of one partition."""
    return document_columns(store, part, docs, ["id"])["id"]


def document_columns(
    store: Store, part: Part, docs: np.ndarray, columns: list[str]
) -> dict[str, list]:
    """Columns of `1-extracted` of ascending document numbers of one partition."""
    offsets = np.empty(len(docs), np.int64)
    low, high = int(docs[0]), int(docs[-1]) + 1
    for first, batch in rows_between(store, [part], low, high, ["offset"]):
        start, stop = np.searchsorted(docs, [first, first + batch.num_rows])
        offsets[start:stop] = batch.column("offset").to_numpy()[docs[start:stop] - first]
    return columns_at(store, part.number, offsets, columns)
