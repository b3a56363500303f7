"""Adding to an index: the entry of a finished run, for the dumps that come after it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.bands import band_path
from decant.pipeline.dedup.formats import (
    band_type,
    choice_type,
    id_type,
    label_type,
    sketch_type,
)
from decant.pipeline.dedup.ids import id_bytes, ids_of
from decant.pipeline.dedup.index import Entry, commit, next_folder, read_entries
from decant.pipeline.dedup.layout import Layout, Part, parts_of
from decant.pipeline.dedup.radix import sort_pairs
from decant.pipeline.dedup.sketches import Sketches
from decant.pipeline.dedup.spill_file import SpillFile, write_spill
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.dedup.tasks import SlotTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.records import signature_parameters

DOC = "<u8"  # documents of an entry; those of a run may be narrower


def settings_of(config: RunConfig) -> dict[str, Any]:
    """What the entries of an index must have in common with the run that reads them."""
    dedup = config.dedup
    shape = {"bands": dedup.bands, "rows": dedup.rows, "mode": dedup.mode}
    return {**signature_parameters(config), **shape}


def identity(stage_digest: str, upstream: str, parts: list[Part]) -> str:
    """The name of a run in an index, the same whenever it is resumed or repeated."""
    shape = [[part.number, part.rows, part.dump, part.content] for part in parts]
    return hashlib.sha256(json.dumps([stage_digest, upstream, shape]).encode()).hexdigest()


def add_to_index(steps: Steps, url: str, run: str, choices: str) -> None:
    """Write this run's documents as an entry of the index at `url`."""
    layout = steps.layout
    folder = next_folder(url, run)
    folders = {name: steps.folder(name) for name in ("sketches", "bands")}
    before = read_entries(steps.engine.store, layout.index)
    documents = sum(entry.docs for entry in before if entry.url == url)
    args = {**folders, "choices": choices, "index": url, "entry": folder, "before": documents}
    written = steps.per_slot("index", write_entry_slot, True, layout.first_slot, **args)
    entry = Entry(
        url,
        folder,
        layout.docs - layout.earlier,
        layout.prefix_bits,
        layout.width,
        gathered(one["entry_spills"] for one in written.values()),
    )
    commit(entry, run, settings_of(steps.config))


def gathered(tables: Iterable[Mapping[str, list]]) -> dict[str, list]:
    """The spill files of all tasks by kind."""
    spills: dict[str, list] = {}
    for table in tables:
        for kind, names in table.items():
            spills.setdefault(kind, []).extend(names)
    return spills


def write_entry_slot(job: Job) -> dict:
    """Write one slot's band keys, sketches, ids and labels to the entry of an index."""
    task = SlotTask(job)
    layout, args, low = task.layout, task.args, task.low
    choices = task.read_whole("choices", choice_type(task.doc_type))
    lost = choices[choices["doc"] != choices["other"]]
    kept = np.ones(task.high - low, np.bool_)
    kept[task.places(lost["doc"])] = False
    records, bins = band_keys_of(task)
    signed = np.zeros(task.high - low, np.bool_)
    signed[task.places(records["doc"])] = True
    listed = signed & kept if job.config.dedup.mode == "greedy" else signed
    # Near a text of `dedup.against`, which is no part of the index: nothing for later dumps.
    foreign = (lost["other"] >= args["before"]) & (lost["other"] < layout.earlier)
    listed[task.places(lost["doc"][foreign])] = False
    of_listed = listed[task.places(records["doc"])]
    files = EntryFiles(Store(args["index"]), args["entry"], task.slot - layout.first_slot, layout)
    local = records["doc"][of_listed].astype(np.uint64) - np.uint64(layout.earlier)
    files.write_keys(np.ascontiguousarray(records["key"][of_listed]), local, bins[of_listed])
    docs = np.flatnonzero(listed)
    sketches = Sketches(task.store, args["sketches"], task.slot, layout).of(docs)[docs]
    files.write_sketches(low + docs - layout.earlier, sketches)
    named = low + np.flatnonzero(listed & kept)
    files.write_ids(named - layout.earlier, ids_in(task, named))
    if job.config.dedup.mode == "cluster":
        followers = lost[listed[task.places(lost["doc"])]]
        files.write_labels(followers, args["before"])
    return {"entry_spills": files.spills}


def band_keys_of(task: SlotTask) -> tuple[np.ndarray, np.ndarray]:
    """(records of the slot's band keys, the bin of each)."""
    spill = SpillFile(task.store, band_path(task.args["bands"], task.slot))
    spill.expect(band_type(task.doc_type))
    records = spill.read(0, task.layout.bins)
    spill.check(records, task.limits("doc"))
    return records, np.repeat(np.arange(task.layout.bins), spill.counts(0, task.layout.bins))


def ids_in(task: SlotTask, docs: np.ndarray) -> list[str]:
    """The ids of ascending documents of one slot."""
    ids: list[str] = []
    for part in parts_of(task.parts, task.low, task.high):
        inside = docs[(docs >= part.base) & (docs < part.base + part.rows)]
        ids += ids_of(task.store, part, inside) if len(inside) else []
    return ids


class EntryFiles:
    """Writes one slot of an entry; its documents are numbered from 0 for the entry's first."""

    def __init__(self, store: Store, folder: str, slot: int, layout: Layout):
        self._store, self._folder, self._slot, self._layout = store, folder, slot, layout
        self.spills: dict[str, list] = {}

    def write_keys(self, keys: np.ndarray, docs: np.ndarray, bins: np.ndarray) -> None:
        """Band keys that lie in the order of their bins, sorted inside each."""
        counts = np.bincount(bins, minlength=self._layout.bins)
        ends = np.cumsum(counts.reshape(self._layout.bands, -1).sum(axis=1))
        for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            sort_pairs(keys[start:stop], docs[start:stop], 0)
        records = np.empty(len(keys), band_type(DOC))
        records["key"], records["doc"] = keys, docs
        self._write("keys", records, counts, 0)

    def write_sketches(self, docs: np.ndarray, sketches: np.ndarray) -> None:
        records = np.empty(len(docs), sketch_type(DOC, sketches.shape[1]))
        records["doc"], records["sketch"] = docs, sketches
        self._write("sketches", records, np.array([len(records)]), self._slot)

    def write_ids(self, docs: np.ndarray, ids: list[str]) -> None:
        names = id_bytes(ids)
        records = np.empty(len(docs), id_type(DOC, names.dtype.itemsize))
        records["doc"], records["id"] = docs, names
        self._write("ids", records, np.array([len(records)]), self._slot)

    def write_labels(self, followers: np.ndarray, documents_before: int) -> None:
        """Whom dropped documents follow; a root's number counts from the index's first entry."""
        earlier = self._layout.earlier
        roots = followers["other"].astype(np.int64)
        labels = np.empty(len(followers), label_type(DOC))
        labels["doc"] = followers["doc"].astype(np.int64) - earlier
        labels["root"] = np.where(roots < earlier, roots, roots - earlier + documents_before)
        self._write("labels", labels, np.array([len(labels)]), self._slot)

    def _write(self, kind: str, records: np.ndarray, counts: np.ndarray, first: int) -> None:
        path = f"{self._folder}/{kind}-{self._slot:08d}.spill"
        name = write_spill(self._store, path, records, counts, first)
        self.spills.setdefault(kind, []).append(name)
