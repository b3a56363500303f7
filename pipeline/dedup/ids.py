"""The ids of representatives, sent to the documents that name them.

Ids are strings of any length in other partitions; each travels once per pair of slots, like the
sketches in compare.py, in runs whose string width is that of the longest id on board.
"""

import numpy as np

from decant.pipeline.dedup.formats import choice_type, id_type, request_type
from decant.pipeline.dedup.index import read_entries
from decant.pipeline.dedup.layout import Layout, Part, parts_of, rows_between
from decant.pipeline.dedup.spills import Spill, read_bins, read_whole
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.texts import columns_at

LONGEST_ID = 1_000  # bytes; a longer id is cut, its row key still finds the record


def spill_name_requests(job: Job) -> dict:
    """Ask for the id of every document that the slot's choices name."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    others = [
        np.unique(chunk["other"][chunk["other"] != chunk["doc"]])
        for chunk in read_bins(
            job.store, args["choices"], slot, slot + 1, choice_type(layout.doc_type)
        )
    ]
    wanted = np.unique(np.concatenate(others)) if others else np.empty(0, np.uint64)
    requests = np.zeros(len(wanted), request_type(layout.doc_type))
    requests["doc"], requests["slot"] = wanted, slot
    spill.add(requests, wanted // layout.width)
    return {"runs": spill.close()}


def spill_names(job: Job) -> dict:
    """Send the ids of one slot's documents to the slots that asked for them."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    parts = [Part(*part) for part in args["parts"]]
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    low, high = layout.span(slot)
    kind = request_type(layout.doc_type)
    requests = read_whole(job.store, args["requests"], slot, slot + 1, kind)
    if not len(requests):
        return {"runs": []}
    for entry in read_entries(job.store, layout.index) if low < layout.earlier else []:
        for known in entry.documents("ids", low, high, id_type("<u8")):
            answer_known(spill, requests, known, layout)
    for part in parts_of(parts, low, high):
        inside = (requests["doc"] >= part.base) & (requests["doc"] < part.base + part.rows)
        asked = requests[inside]
        if not len(asked):
            continue
        docs, back = np.unique(asked["doc"], return_inverse=True)
        ids = ids_of(job.store, part, docs.astype(np.int64))
        spill.add(named(asked["doc"], id_bytes(ids)[back], layout), asked["slot"])
    return {"runs": spill.close()}


def answer_known(spill: Spill, requests: np.ndarray, known: np.ndarray, layout: Layout) -> None:
    """Answer the requests for documents of an index out of its records of (document, id)."""
    known = known[np.argsort(known["doc"])]
    if not len(known):
        return
    places = np.minimum(np.searchsorted(known["doc"], requests["doc"]), len(known) - 1)
    here = known["doc"][places] == requests["doc"]
    asked = requests[here]
    spill.add(named(asked["doc"], known["id"][places[here]], layout), asked["slot"])


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
