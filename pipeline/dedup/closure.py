"""Clusters: the transitive closure of the links, each named by its smallest document.

`close_in_memory` is union-find over one array of all documents; where that array would pass
`dedup.memory_mb`, `close_on_disk` contracts files of edges instead (Kiveris et al. 2014, "Connected
Components in MapReduce and Beyond"). In a large-star, every node hands its larger neighbours to its
smallest; in a small-star, every node hands its smaller neighbours, and itself, to the smallest of
them. When neither changes anything, each cluster is a star around its smallest document. Rounds
grow with the logarithm of the longest chain; a task holds one number per document of its slot and
streams the edges, so that a node may have any number of neighbours. Both ways give the same labels:
the smallest document of a component does not depend on the way there.
"""

from collections.abc import Callable, Iterator

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.formats import edge_type, label_type, link_type
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.dedup.spill_file import write_spill
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.dedup.tasks import SlotTask, StepTask
from decant.pipeline.engine.execute import Job


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
    task = StepTask(job)
    layout = task.layout
    parent = np.arange(layout.docs, dtype=task.doc_type)
    links = link_type(task.doc_type)
    for pairs in task.read("pairs", links, task.rows_at_once(np.dtype(task.doc_type), 4)):
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
        labels = np.empty(len(docs), label_type(task.doc_type))
        labels["doc"], labels["root"] = docs, parent[docs]
        path = f"{task.args['folder']}/{slot:08d}.spill"
        names.append(write_spill(task.store, path, labels, np.array([len(labels)]), slot))
    return {"spills": names}


MOST_ROUNDS = 200  # a chain of 2^100 documents; more is a defect, not data


def close_on_disk(steps: Steps, pairs: str, prefix: str = "") -> str:
    """The folder of labels, by slot, of the pairs of a folder; steps carry the prefix."""

    def run_step(name: str, function: Callable, source: str) -> tuple[str, int]:
        results = steps.per_slot(f"{prefix}{name}", function, source=source)
        changed = sum(one["changed"] for one in results.values())
        return steps.settled(f"{prefix}{name}"), changed

    edges, _ = run_step("contract", contract, pairs)
    for number in range(MOST_ROUNDS):
        children, larger = run_step(f"large-star-{number:03d}", large_star, edges)
        edges, smaller = run_step(f"small-star-{number:03d}", small_star, children)
        if larger + smaller == 0:
            return run_step("labels", write_labels, edges)[0]
    raise AssertionError("the closure does not end")


class Edges:
    """Spills edges, to the slots of both ends or of the larger one only."""

    def __init__(self, task: SlotTask, both: bool):
        self._doc_type, self._width = task.doc_type, task.layout.width
        self._both = both
        self._spill = task.spill()

    def add(self, large: np.ndarray, small: np.ndarray) -> None:
        """Edges between documents large[i] > small[i]."""
        ways = [(large, small), (small, large)] if self._both else [(large, small)]
        for node, other in ways:
            edges = np.empty(len(node), edge_type(self._doc_type))
            edges["node"], edges["other"] = node, other
            self._spill.add(edges, edges["node"] // self._width)

    def close(self, changed: int) -> dict:
        return {"spills": self._spill.close(), "changed": changed}


def contract(job: Job) -> dict:
    """Reduce the pairs of one slot to a forest, chunk by chunk: at most one edge per document."""
    task = SlotTask(job)
    edges = Edges(task, both=True)
    rows = task.rows_at_once(np.dtype(task.doc_type), 4)
    for pairs in task.read("source", link_type(task.doc_type), rows):
        ends = np.concatenate([pairs["doc"], pairs["other"]])
        nodes, places = np.unique(ends, return_inverse=True)
        parent = np.arange(len(nodes))
        unite(parent, places[: len(pairs)], places[len(pairs) :])
        flatten(parent, 0, len(parent))
        away = parent != np.arange(len(nodes))
        edges.add(nodes[away], nodes[parent[away]])
    return edges.close(0)


def edges_of(task: SlotTask) -> Iterator[np.ndarray]:
    """The edges of one slot's nodes, in bounded chunks."""
    rows = task.rows_at_once(np.dtype(task.doc_type), 4)
    return task.read("source", edge_type(task.doc_type), rows, by="node")


@kernel
def lower(least, nodes, others, low):
    """least[node - low] = the smallest of itself and the node's neighbours."""
    for place in range(len(nodes)):
        at = np.int64(nodes[place]) - low
        least[at] = min(least[at], np.int64(others[place]))


def smallest_neighbours(task: SlotTask) -> np.ndarray:
    """int64 per document of the slot: the smallest of itself and its neighbours."""
    least = np.arange(task.low, task.high, dtype=np.int64)
    for edges in edges_of(task):
        node, other = (np.ascontiguousarray(edges[name]) for name in ("node", "other"))
        lower(least, node, other, task.low)
    return least


def large_star(job: Job) -> dict:
    """Join the larger neighbours of every node of a slot to its smallest neighbour."""
    task = SlotTask(job)
    least = smallest_neighbours(task)
    star, changed = Edges(task, both=False), 0
    for edges in edges_of(task):
        edges = edges[edges["other"] > edges["node"]]
        to = least[task.places(edges["node"])]
        changed += int((to != edges["node"]).sum())
        star.add(edges["other"], to)
    return star.close(changed)


def small_star(job: Job) -> dict:
    """Join the smaller neighbours of every node of a slot, and the node, to the smallest."""
    task = SlotTask(job)
    least = smallest_neighbours(task)
    star, changed = Edges(task, both=True), 0
    for edges in edges_of(task):
        to = least[task.places(edges["node"])]
        moved = edges["other"] != to
        changed += int(moved.sum())
        star.add(edges["other"][moved], to[moved])
    nodes = np.arange(task.low, task.high, dtype=np.int64)
    joined = least != nodes
    star.add(nodes[joined], least[joined])
    return star.close(changed)


def write_labels(job: Job) -> dict:
    """Write (document, root) for every document of a slot that is in a cluster."""
    task = SlotTask(job)
    root = np.full(task.high - task.low, -1, np.int64)
    for edges in edges_of(task):
        node = edges["node"].astype(np.int64)
        root[node - task.low] = np.minimum(node, edges["other"].astype(np.int64))
    docs = np.flatnonzero(root >= 0)
    labels = np.empty(len(docs), label_type(task.doc_type))
    labels["doc"], labels["root"] = task.low + docs, root[docs]
    return {"spills": task.leave(labels), "changed": 0}
