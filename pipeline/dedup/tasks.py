"""What the task of one step works on: its documents, or its bin, what it reads and its spills.

A step's function begins with `SlotTask(job)`, `BinTask(job)` or, where one task does it all,
`StepTask(job)`. They read only records whose numbers are in range: documents that exist, and of
the task's own slot where the records were sent by document.
"""

from collections.abc import Iterator

import numpy as np

from decant.pipeline.dedup.formats import NEAR, PLACE_BITS, SHORT
from decant.pipeline.dedup.layout import Layout, Part
from decant.pipeline.dedup.spill_file import WHOLE, Limits, document_limits, write_spill
from decant.pipeline.dedup.spills import Spill, read_bins
from decant.pipeline.engine.execute import Job

LEAST_ROWS = 64  # at a time, however little memory there is


class StepTask:
    """A task over all bins of what it reads; `args` names the folders."""

    def __init__(self, job: Job):
        self.job, self.store, self.config, self.args = job, job.store, job.config, job.task.args
        self.layout = Layout(**self.args["layout"])
        self.doc_type = self.layout.doc_type
        self.bins = 0, self.layout.slots  # of the spills that it reads

    @property
    def parts(self) -> list[Part]:
        """The signature files that the task was given."""
        return [Part(*part) for part in self.args["parts"]]

    def spill(self, bins: int | None = None) -> Spill:
        """Where the task's records go, by slot unless `bins` says how many bins there are."""
        prefix = f"{self.args['folder']}/{self.job.task.key}"
        return Spill(self.store, prefix, bins or self.layout.slots, self.layout.payload)

    def leave(self, records: np.ndarray, folder: str = "") -> list[list]:
        """Write the records as the one bin of a file; what the folder's catalog lists."""
        if not len(records):
            return []
        path = f"{folder or self.args['folder']}/{self.job.task.key}.spill"
        return [write_spill(self.store, path, records, np.array([len(records)]), self.bins[0])]

    def rows_at_once(self, dtype: np.dtype, copies: int) -> int:
        """How many records, with so many copies of each, stay within the task's memory."""
        return max(LEAST_ROWS, self.layout.payload // (copies * dtype.itemsize))

    def read(
        self, name: str, dtype: np.dtype, rows: int = WHOLE, by: str = "doc"
    ) -> Iterator[np.ndarray]:
        """The task's records of the folder that an argument names, `rows` at a time.

        `by` is the document whose slot they were sent to; empty where it is another's.
        """
        return read_bins(self.store, self.args[name], *self.bins, dtype, rows, self.limits(by))

    def read_whole(self, name: str, dtype: np.dtype, by: str = "doc") -> np.ndarray:
        """The task's records in one array."""
        chunks = list(self.read(name, dtype, WHOLE, by))
        return np.concatenate(chunks) if chunks else np.empty(0, dtype)

    def limits(self, by: str) -> Limits:
        """Between which values the numbers of records lie that this task reads."""
        layout = self.layout
        return document_limits(
            layout.docs,
            slot=(0, layout.slots),
            band=(0, layout.bands),
            bucket=(0, layout.bins << PLACE_BITS),
            rule=(0, NEAR + 1),
            kind=(0, SHORT + 1),
        )


class SlotTask(StepTask):
    """The task of one slot: documents low <= number < high."""

    def __init__(self, job: Job):
        super().__init__(job)
        self.slot: int = self.args["slot"]
        self.low, self.high = self.layout.span(self.slot)
        self.bins = self.slot, self.slot + 1

    def limits(self, by: str) -> Limits:
        """As of every task, and `by` is a document of the slot."""
        return {**super().limits(by), **({by: (self.low, self.high)} if by else {})}

    def places(self, docs: np.ndarray) -> np.ndarray:
        """int64: where each of the slot's documents stands in it."""
        return docs.astype(np.int64) - self.low


class BinTask(StepTask):
    """The task of one bin of band keys, hashes or buckets."""

    def __init__(self, job: Job):
        super().__init__(job)
        self.number: int = self.args["bin"]
        self.bins = self.number, self.number + 1

    @property
    def band(self) -> int:
        """The band of the bin, or the kind of hash."""
        return self.number >> self.layout.prefix_bits

    def limits(self, by: str) -> Limits:
        """As of every task, and buckets are those of the bin."""
        bucket = self.number << PLACE_BITS, (self.number + 1) << PLACE_BITS
        return {**super().limits(by), "bucket": bucket}
