"""Exact duplicates, a cheap step before MinHash: equal payloads, equal texts, equal short texts.

Off as in FineWeb (`dedup.exact_payload`, `exact_text`, `short_documents: exact`). Equality is that
of 128-bit hashes. The first document of each group by the order of survival goes on to MinHash for
all of them; the others are dropped under a rule of their own and in the end name the document that
survives for the group. A document too short for a shingle meets only others like it.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.bands import Salts
from decant.pipeline.dedup.formats import (
    KEY,
    PAYLOAD,
    RANK_COLUMNS,
    SHORT,
    TEXT,
    choice_type,
    equal_type,
    hash_type,
)
from decant.pipeline.dedup.layout import Layout, Part
from decant.pipeline.dedup.rules import EXACT_RULES
from decant.pipeline.dedup.signatures import hash_words, rows_between
from decant.pipeline.dedup.survivors import Ranks
from decant.pipeline.dedup.tasks import BinTask, SlotTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import StorageError
from decant.pipeline.rundir import paths


def compares_exactly(config: RunConfig) -> bool:
    """Whether the configuration asks for exact duplicates of any kind."""
    dedup = config.dedup
    return dedup.exact_payload or dedup.exact_text or dedup.short_documents == "exact"


def spill_hashes(job: Job) -> dict:
    """Send the hashes of one slot's kept documents to their bins, a set of bins per kind."""
    task = SlotTask(job)
    layout = task.layout
    spill = task.spill(len(EXACT_RULES) << layout.prefix_bits)
    for part in task.parts:
        salts = Salts(task.store, task.config, part)
        ranks = Ranks(task.store, task.config, [part])
        columns = ["offset", "kept", "shingles", "text_hash"]
        for first, batch in rows_between(task.store, [part], task.low, task.high, columns):
            batch_docs = first + np.flatnonzero(np.asarray(batch.column("kept")))
            order = ranks.of(batch_docs)
            for kind, rows, hashes in kinds_of(job, part, batch):
                if not len(rows):
                    continue
                records = np.zeros(len(rows), hash_type(task.doc_type))
                salt = salts.of(batch.column("offset").to_numpy()[rows])
                records["key"], records["check"] = hashes[:, 0] ^ salt, hashes[:, 1]
                records["doc"] = first + rows
                for name, values in order.items():
                    records[name] = values[np.searchsorted(batch_docs, first + rows)]
                spill.add(records, bin_of(records["key"], kind, layout))
    return {"spills": spill.close()}


def bin_of(keys: np.ndarray, kind: int, layout: Layout) -> np.ndarray:
    prefix = keys >> np.uint64(64 - layout.prefix_bits) if layout.prefix_bits else keys * 0
    return (kind << layout.prefix_bits) + prefix.astype(np.int64)


def kinds_of(job: Job, part: Part, batch: pa.RecordBatch) -> Iterator[tuple]:
    """(kind, rows, uint64 [rows, 2]) of every comparison that the configuration asks for."""
    dedup = job.config.dedup
    kept = np.asarray(batch.column("kept"))
    short = batch.column("shingles").fill_null(0).to_numpy() == 0
    texts = hash_words(batch.column("text_hash"))
    if dedup.exact_text:
        rows = np.flatnonzero(kept & ~short)
        yield TEXT, rows, texts[rows]
    if dedup.short_documents == "exact":
        rows = np.flatnonzero(kept & short)
        yield SHORT, rows, texts[rows]
    if dedup.exact_payload:
        rows = np.flatnonzero(kept)
        offsets = batch.column("offset").to_numpy()[rows]
        yield PAYLOAD, rows, payloads_at(job, part, offsets)


def payloads_at(job: Job, part: Part, offsets: np.ndarray) -> np.ndarray:
    """The payload hashes of the records at ascending offsets of one partition."""
    hashes = [np.empty((0, 2), np.uint64)]
    path = paths.extracted(part.number)
    for batch in job.store.iter_batches(path, ["offset", "payload_digest"], batch_rows=8_192):
        here = np.isin(batch.column("offset").to_numpy(), offsets)
        hashes.append(hash_words(batch.column("payload_digest").filter(pa.array(here))))
    words = np.concatenate(hashes)
    if len(words) != len(offsets):
        raise StorageError(f"{path} lacks documents that have a signature")
    return words


def first_of_groups(records: np.ndarray) -> np.ndarray:
    """The first record of each (key, check) by the order of survival, sorted by key."""
    columns = (records[name] for name in ("doc", *reversed(RANK_COLUMNS), *reversed(KEY)))
    records = records[np.lexsort(tuple(columns))]
    if not len(records):
        return records
    fresh = np.r_[True, np.any([np.diff(records[name]) != 0 for name in KEY], axis=0)]
    return records[fresh]


def find_exact(job: Job) -> dict:
    """Spill (document, first of its group) of one bin of hashes, by slot of the document."""
    task = BinTask(job)
    dtype = hash_type(task.doc_type)
    rows = task.rows_at_once(dtype, 2)
    firsts = np.empty(0, dtype)
    for records in task.read("hashes", dtype, rows):
        firsts = first_of_groups(np.concatenate([firsts, records]))
    spill = task.spill()
    for records in task.read("hashes", dtype, rows):
        at = np.searchsorted(firsts["key"], records["key"])
        while (other := firsts["check"][at] != records["check"]).any():
            at[other] += 1  # two groups may share 64 of their 128 bits
        equal = np.zeros(len(records), equal_type(task.doc_type))
        equal["doc"], equal["other"] = records["doc"], firsts["doc"][at]
        equal["kind"] = task.band
        equal = equal[equal["doc"] != equal["other"]]
        spill.add(equal, equal["doc"] // task.layout.width)
    return {"spills": spill.close()}


def spill_followers(job: Job) -> dict:
    """Send the exact duplicates of one slot to the slots of the documents that stand for them."""
    task = SlotTask(job)
    spill = task.spill()
    kind = np.full(task.high - task.low, TEXT, np.uint8)
    for equal in task.read("pairs", equal_type(task.doc_type)):
        places = task.places(equal["doc"])
        kind[places[equal["kind"] == SHORT]] = SHORT
        kind[places[equal["kind"] == PAYLOAD]] = PAYLOAD
    for choices in task.read("exact", choice_type(task.doc_type)):
        followers = choices[choices["doc"] != choices["other"]].copy()
        followers["rule"] = kind[task.places(followers["doc"])]
        spill.add(followers, followers["other"] // task.layout.width)
    return {"spills": spill.close()}


def spill_spread(job: Job) -> dict:
    """Send every choice of one slot on to its document and to the exact duplicates behind it."""
    task = SlotTask(job)
    width, dtype = task.layout.width, choice_type(task.doc_type)
    spill = task.spill()
    choices = task.read_whole("choices", dtype)
    choices = choices[np.argsort(choices["doc"], kind="stable")]
    spill.add(choices, choices["doc"] // width)
    rows = task.rows_at_once(dtype, 2)
    for followers in task.read("followers", dtype, rows, by="other"):
        stands = choices[np.searchsorted(choices["doc"], followers["other"])]
        assert np.array_equal(stands["doc"], followers["other"])
        spread = followers.copy()
        spread["other"], spread["size"] = stands["other"], stands["size"]
        spread["bridge"] = stands["bridge"]
        spill.add(spread, spread["doc"] // width)
    return {"spills": spill.close()}
