"""The last step of the decisions: what happened to every document, as tables by row key."""

from dataclasses import dataclass, field
from operator import eq, ne

import numpy as np
import pyarrow as pa

from decant.pipeline.dedup.formats import choice_type, id_type, score_type
from decant.pipeline.dedup.layout import Part
from decant.pipeline.dedup.rules import CHOICE_RULES
from decant.pipeline.dedup.signatures import rows_between
from decant.pipeline.dedup.spills import read_whole
from decant.pipeline.dedup.tasks import StepTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import CLUSTERS, DUPLICATES
from decant.pipeline.rundir.texts import columns_at

JOINED_THROUGH = "no band in common: joined through other members of the cluster"


@dataclass
class SlotDecisions:
    """What is known of the clustered documents of one slot, ordered by document."""

    choices: np.ndarray
    scores: np.ndarray
    names: np.ndarray
    name_order: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.choices = self.choices[np.argsort(self.choices["doc"], kind="stable")]
        self.scores = self.scores[np.argsort(self.scores["doc"], kind="stable")]
        self.name_order = np.argsort(self.names["doc"], kind="stable")

    def between(self, low: int, high: int) -> np.ndarray:
        """The choices of documents low <= number < high."""
        start, stop = np.searchsorted(self.choices["doc"], [low, high])
        return self.choices[start:stop]

    def similarity(self, docs: np.ndarray, permutations: int) -> tuple[np.ndarray, np.ndarray]:
        """(estimated Jaccard with the representative, bands that agree); NaN where not compared."""
        if not len(self.scores):
            return np.full(len(docs), np.nan), np.zeros(len(docs), np.uint64)
        places = np.searchsorted(self.scores["doc"], docs)
        places = np.minimum(places, len(self.scores) - 1)
        scored = self.scores["doc"][places] == docs
        jaccard = self.scores["matches"][places] / permutations
        return np.where(scored, jaccard, np.nan), np.where(scored, self.scores["met"][places], 0)

    def ids(self, docs: np.ndarray) -> list[str]:
        """The ids of documents that others name."""
        places = np.searchsorted(self.names["doc"], docs, sorter=self.name_order)
        places = np.minimum(places, max(len(self.names) - 1, 0))
        rows = self.names[self.name_order[places]] if len(self.names) else self.names[:0]
        assert np.array_equal(rows["doc"], docs), "a representative's id is missing"
        return [one.decode("utf-8", "replace") for one in rows["id"].tolist()]


def read_slot(task: StepTask, slot: int) -> SlotDecisions:
    """The decisions on one slot's documents, out of the folders that the task's arguments name."""
    kind = task.doc_type
    types = {"choices": choice_type(kind), "scores": score_type(kind), "names": id_type(kind)}
    low, high = task.layout.span(slot)
    in_slot = {**task.limits(""), "doc": (low, high)}
    limits = {"choices": in_slot, "scores": in_slot, "names": task.limits("")}
    return SlotDecisions(
        **{
            name: read_whole(task.store, folder, slot, slot + 1, dtype, limits[name])
            if (folder := task.args[name])
            else np.empty(0, dtype)
            for name, dtype in types.items()
        }
    )


def write_decisions(job: Job) -> dict:
    """Write dropped and clusters tables of the partitions whose first document lies in a slot."""
    task = StepTask(job)
    latest: tuple[int, SlotDecisions] | None = None
    counts: dict = {"dropped": {}, "bridges": 0, "clustered": 0}
    for part in task.parts:
        table = paths.table(task.args["dropped"], part.number)
        with (
            task.store.table_writer(table, DUPLICATES) as dropped,
            task.store.table_writer(paths.clusters(part.number), CLUSTERS) as clusters,
        ):
            low, end = part.base, part.base + part.rows
            while low < end:
                slot = low // task.layout.width
                if latest is None or latest[0] != slot:
                    latest = (slot, read_slot(task, slot))
                high = min(end, task.layout.span(slot)[1])
                rows = latest[1].between(low, high)
                lost, heads = (rows[same(rows["doc"], rows["other"])] for same in (ne, eq))
                if len(lost):
                    dropped.write(dropped_table(task, part, latest[1], lost))
                if len(heads):
                    clusters.write(cluster_table(job, part, heads))
                count(counts, lost, len(rows))
                low = high
    return counts


def count(counts: dict, lost: np.ndarray, clustered: int) -> None:
    """Add the dropped documents of a partition to the counts by rule."""
    for code, times in zip(*np.unique(lost["rule"], return_counts=True), strict=True):
        rule = CHOICE_RULES[code]
        counts["dropped"][rule] = counts["dropped"].get(rule, 0) + int(times)
    counts["clustered"] += clustered
    counts["bridges"] += int(lost["bridge"].sum())


def row_keys(job: Job, part: Part, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(file, offset) of ascending document numbers of one partition."""
    file, offset = np.empty(len(docs), np.int32), np.empty(len(docs), np.int64)
    low, high = int(docs[0]), int(docs[-1]) + 1
    for first, batch in rows_between(job.store, [part], low, high, ["file", "offset"]):
        start, stop = np.searchsorted(docs, [first, first + batch.num_rows])
        places = docs[start:stop] - first
        file[start:stop] = batch.column("file").to_numpy()[places]
        offset[start:stop] = batch.column("offset").to_numpy()[places]
    return file, offset


def dropped_table(
    task: StepTask, part: Part, decisions: SlotDecisions, rows: np.ndarray
) -> pa.Table:
    """The rows of `3-deduplicated/dropped` for the dropped documents of one partition."""
    docs = rows["doc"].astype(np.int64)
    file, offset = row_keys(task.job, part, docs)
    names = columns_at(task.store, part.number, offset, ["id", "url"])
    jaccard, met = decisions.similarity(docs, task.layout.permutations)
    estimate = pa.array(jaccard, pa.float64(), from_pandas=True)  # NaN becomes null
    count = len(rows)
    columns = {
        "id": pa.array(names["id"], pa.string()),
        "url": pa.array(names["url"], pa.string()),
        "file": pa.array(file),
        "offset": pa.array(offset),
        "stage": pa.array(["deduplicate"] * count),
        "rule": pa.array([CHOICE_RULES[code] for code in rows["rule"].tolist()]),
        "value": estimate,
        "bound": pa.array([task.config.dedup.min_jaccard] * count, pa.float64()),
        "detail": pa.array([band_list(mask) for mask in met.tolist()], pa.string()),
        "duplicate_of": pa.array(decisions.ids(rows["other"]), pa.string()),
        "jaccard": estimate,
        "cluster_size": pa.array(rows["size"].astype(np.int64)),
    }
    return pa.table(columns).select(DUPLICATES.names).cast(DUPLICATES)


def cluster_table(job: Job, part: Part, rows: np.ndarray) -> pa.Table:
    """The rows of `3-deduplicated/clusters` for the survivors of one partition."""
    file, offset = row_keys(job, part, rows["doc"].astype(np.int64))
    size = pa.array(rows["size"].astype(np.int64))
    return pa.table({"file": file, "offset": offset, "cluster_size": size}).cast(CLUSTERS)


def band_list(mask: int) -> str:
    """The bands in which two documents met, for the `detail` column.

    >>> band_list(0b1001)
    'bands 0 3'
    """
    bands = [str(band) for band in range(64) if mask >> band & 1]
    return "bands " + " ".join(bands) if bands else JOINED_THROUGH
