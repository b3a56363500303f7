"""Exact duplicates, a cheap stage before MinHash: equal payloads, equal texts, equal short texts.

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
from decant.pipeline.dedup.layout import Layout, Part, hash_words, rows_between
from decant.pipeline.dedup.rules import EXACT_RULES
from decant.pipeline.dedup.spills import Spill, read_bins, read_whole
from decant.pipeline.dedup.survivors import Ranks
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import StorageError
from decant.pipeline.rundir import paths


def is_wanted(config: RunConfig) -> bool:
    dedup = config.dedup
    return dedup.exact_payload or dedup.exact_text or dedup.short_documents == "exact"


def spill_hashes(job: Job) -> dict:
    """Send the hashes of one slot's kept documents to their bins, a set of bins per kind."""
    args = job.task.args
    layout = Layout(**args["layout"])
    low, high = layout.span(args["slot"])
    bins = len(EXACT_RULES) << layout.prefix_bits
    spill = Spill(job.store, f"{args['folder']}/{args['slot']:08d}", bins, layout.payload)
    for part in (Part(*part) for part in args["parts"]):
        salts = Salts(job.store, job.config, part)
        ranks = Ranks(job.store, job.config, [list(vars(part).values())])
        columns = ["offset", "kept", "shingles", "text_hash"]
        for first, batch in rows_between(job.store, [part], low, high, columns):
            batch_docs = first + np.flatnonzero(np.asarray(batch.column("kept")))
            order = ranks.of(batch_docs)
            for kind, rows, hashes in kinds_of(job, part, batch):
                if not len(rows):
                    continue
                records = np.zeros(len(rows), hash_type(layout.doc_type))
                salt = salts.of(batch.column("offset").to_numpy()[rows])
                records["key"], records["check"] = hashes[:, 0] ^ salt, hashes[:, 1]
                records["doc"] = first + rows
                for name, values in order.items():
                    records[name] = values[np.searchsorted(batch_docs, first + rows)]
                spill.add(records, bin_of(records["key"], kind, layout))
    return {"runs": spill.close()}


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
    found = [np.empty((0, 2), np.uint64)]
    path = paths.extracted(part.number)
    for batch in job.store.iter_batches(path, ["offset", "payload_digest"], batch_rows=8_192):
        here = np.isin(batch.column("offset").to_numpy(), offsets)
        found.append(hash_words(batch.column("payload_digest").filter(pa.array(here))))
    words = np.concatenate(found)
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
    args = job.task.args
    layout = Layout(**args["layout"])
    number, source = args["bin"], args["hashes"]
    rows = max(64, layout.payload // (2 * hash_type(layout.doc_type).itemsize))
    kind = hash_type(layout.doc_type)
    firsts = np.empty(0, kind)
    for records in read_bins(job.store, source, number, number + 1, kind, rows):
        firsts = first_of_groups(np.concatenate([firsts, records]))
    spill = Spill(job.store, f"{args['folder']}/{number:08d}", layout.slots, layout.payload)
    for records in read_bins(job.store, source, number, number + 1, kind, rows):
        at = np.searchsorted(firsts["key"], records["key"])
        while (other := firsts["check"][at] != records["check"]).any():
            at[other] += 1  # two groups may share 64 of their 128 bits
        pairs = np.zeros(len(records), equal_type(layout.doc_type))
        pairs["doc"], pairs["other"] = records["doc"], firsts["doc"][at]
        pairs["kind"] = number >> layout.prefix_bits
        pairs = pairs[pairs["doc"] != pairs["other"]]
        spill.add(pairs, pairs["doc"] // layout.width)
    return {"runs": spill.close()}


def spill_followers(job: Job) -> dict:
    """Send the exact duplicates of one slot to the slots of the documents that stand for them."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    low, high = layout.span(slot)
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    kind = np.full(high - low, TEXT, np.int64)
    for pairs in read_bins(job.store, args["pairs"], slot, slot + 1, equal_type(layout.doc_type)):
        places = pairs["doc"].astype(np.int64) - low
        kind[places[pairs["kind"] == SHORT]] = SHORT
        kind[places[pairs["kind"] == PAYLOAD]] = PAYLOAD
    for choices in read_bins(
        job.store, args["exact"], slot, slot + 1, choice_type(layout.doc_type)
    ):
        followers = choices[choices["doc"] != choices["other"]].copy()
        followers["rule"] = kind[followers["doc"].astype(np.int64) - low]
        spill.add(followers, followers["other"] // layout.width)
    return {"runs": spill.close()}


def spill_spread(job: Job) -> dict:
    """Send every choice of one slot on to its document and to the exact duplicates behind it."""
    args = job.task.args
    layout = Layout(**args["layout"])
    slot = args["slot"]
    spill = Spill(job.store, f"{args['folder']}/{slot:08d}", layout.slots, layout.payload)
    choices = read_whole(job.store, args["choices"], slot, slot + 1, choice_type(layout.doc_type))
    choices = choices[np.argsort(choices["doc"], kind="stable")]
    spill.add(choices, choices["doc"] // layout.width)
    rows = max(64, layout.payload // (2 * choices.itemsize))
    for followers in read_bins(job.store, args["followers"], slot, slot + 1, choices.dtype, rows):
        stands = choices[np.searchsorted(choices["doc"], followers["other"])]
        assert np.array_equal(stands["doc"], followers["other"])
        spread = followers.copy()
        spread["other"], spread["size"] = stands["other"], stands["size"]
        spread["bridge"] = stands["bridge"]
        spill.add(spread, spread["doc"] // layout.width)
    return {"runs": spill.close()}
