"""Clusters: the transitive closure of the pairs, each named by its smallest document.

`close_in_memory` is union-find over one array of all documents; where that array would pass
`dedup.memory_mb`, star_closure.py contracts files of edges instead. Both give the same labels: the
smallest document of a component does not depend on the way there.
"""

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.engine.execute import Job
from decant.pipeline.layout import Layout
from decant.pipeline.runs import read_bins, write_run


def label_type(doc_type: str) -> np.dtype:
    return np.dtype([("doc", doc_type), ("root", doc_type)])


@kernel
def find(parent, node):
    """The root of `node`; halves the path on the way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@kernel
def unite(parent, left, right):
    """Join the sets of left[i] and right[i]; the smaller root becomes the parent.

    The least number as root costs no rank array and makes the result independent of the order.
    """
    for pair in range(len(left)):
        one = find(parent, left[pair])
        other = find(parent, right[pair])
        if one < other:
            parent[other] = one
        elif other < one:
            parent[one] = other


@kernel
def flatten(parent, low, high):
    """Point documents low … high-1 straight at their roots; parents come before children."""
    for node in range(low, high):
        parent[node] = parent[parent[node]]


def fits_in_memory(layout: Layout, memory_bytes: int) -> bool:
    """Whether the parent array and a buffer of pairs stay within the bound."""
    width = np.dtype(layout.doc_type).itemsize
    return (width + 1) * layout.docs + 2 * layout.payload <= memory_bytes


def close_in_memory(job: Job) -> dict:
    """Write the labels (document, root) of all clusters of two and more, by slot."""
    args = job.task.args
    layout = Layout(**args["layout"])
    parent = np.arange(layout.docs, dtype=layout.doc_type)
    chunk = max(64, layout.payload // (4 * parent.itemsize))
    for pairs in read_bins(job.store, args["pairs"], 0, layout.slots, chunk):
        unite(parent, np.ascontiguousarray(pairs["doc"]), np.ascontiguousarray(pairs["other"]))
    member = np.zeros(layout.docs, np.bool_)  # in a cluster of two and more
    for slot in range(layout.slots):
        low, high = layout.span(slot)
        flatten(parent, low, high)
        away = parent[low:high] != np.arange(low, high)
        member[low:high] |= away
        member[parent[low:high][away]] = True
    names = []
    for slot in range(layout.slots):
        low, high = layout.span(slot)
        docs = low + np.flatnonzero(member[low:high])
        if not len(docs):
            continue
        labels = np.empty(len(docs), label_type(layout.doc_type))
        labels["doc"], labels["root"] = docs, parent[docs]
        path = f"{args['folder']}/{slot:08d}.run"
        write_run(job.store, path, labels, np.array([len(labels)]), slot)
        names.append([path, slot, 1, len(labels)])
    return {"runs": names}
