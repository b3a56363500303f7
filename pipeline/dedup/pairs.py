"""Candidate pairs: documents that share a band key, every member of a bucket with its first.

A bucket of k documents gives k-1 compared pairs instead of k(k-1)/2; the difference is counted and
reported. Under `cluster` the closure joins them all the same. A bin that does not fit in memory is
read twice in chunks, so that one bucket may hold every document of a dump.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.formats import band_type, pair_type
from decant.pipeline.dedup.index import index_keys, read_entries
from decant.pipeline.dedup.layout import SORT_BYTES_PER_RECORD, Layout
from decant.pipeline.dedup.radix import sort_pairs
from decant.pipeline.dedup.spill_file import document_limits
from decant.pipeline.dedup.spills import read_bins
from decant.pipeline.dedup.tasks import BinTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store

Table = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

GIANT_BUCKET = 1_000  # documents; such buckets are listed with samples
LISTED_BUCKETS = 20


def empty_table(doc_type: str) -> Table:
    documents = np.empty(0, doc_type)
    return np.empty(0, np.uint64), documents, documents, np.empty(0, np.int64)


@kernel
def bucket_table(keys, docs, earlier, nobody):
    """(key, smallest document, smallest new one or nobody, size) of every run of equal keys."""
    total = len(keys)
    buckets = 0
    for place in range(total):
        if place == 0 or keys[place] != keys[place - 1]:
            buckets += 1
    names = np.empty(buckets, np.uint64)
    heads = np.empty(buckets, docs.dtype)
    fresh = np.full(buckets, nobody, docs.dtype)
    sizes = np.zeros(buckets, np.int64)
    bucket = -1
    for place in range(total):
        if place == 0 or keys[place] != keys[place - 1]:
            bucket += 1
            names[bucket] = keys[place]
            heads[bucket] = docs[place]
        elif docs[place] < heads[bucket]:
            heads[bucket] = docs[place]
        if docs[place] >= earlier and docs[place] < fresh[bucket]:
            fresh[bucket] = docs[place]
        sizes[bucket] += 1
    return names, heads, fresh, sizes


@kernel
def star_pairs(keys, docs, names, heads, fresh, nobody, earlier, out_docs, out_heads):
    """Fill (document, head of its bucket) for sorted keys that all lie in `names`; the count.

    Of the documents of an index, the first is the head, and the others meet the first new one.
    """
    bucket = 0
    count = 0
    for place in range(len(keys)):
        while names[bucket] != keys[place]:
            bucket += 1
        if heads[bucket] == docs[place] or fresh[bucket] == nobody:
            continue
        new = docs[place] >= earlier
        out_docs[count] = docs[place] if new else fresh[bucket]
        out_heads[count] = heads[bucket] if new else docs[place]
        count += 1
    return count


def merge_tables(tables: list[Table]) -> Table:
    """One bucket table of several; sizes add up, the smallest document stays."""
    columns = (np.concatenate(column) for column in zip(*tables, strict=True))
    names, heads, fresh, sizes = columns
    order = np.argsort(names, kind="stable")
    names, heads, fresh, sizes = names[order], heads[order], fresh[order], sizes[order]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else []
    if not len(starts):
        return names, heads, fresh, sizes
    heads, fresh = (np.minimum.reduceat(column, starts) for column in (heads, fresh))
    return names[starts], heads, fresh, np.add.reduceat(sizes, starts)


class BucketReader:
    """The buckets of one bin of band keys, in memory where they fit, else read in chunks twice."""

    def __init__(self, store: Store, folder: str, number: int, layout: Layout):
        self._store, self._folder, self._number, self._layout = store, folder, number, layout
        self._rows = max(64, (layout.payload * 8) // SORT_BYTES_PER_RECORD)
        self.nobody = np.iinfo(layout.doc_type).max
        self._chunks: list[tuple[np.ndarray, np.ndarray]] = []
        self._table: Table | None = None

    def table(self) -> Table:
        """(key, smallest document, smallest new one or `nobody`, size) of every bucket, by key."""
        if self._table is None:
            whole = empty_table(self._layout.doc_type)
            for number, chunk in enumerate(self._sorted_chunks()):
                part = bucket_table(*chunk, self._layout.earlier, self.nobody)
                whole = merge_tables([whole, part]) if number else part
                self._chunks = [] if number else [chunk]
            self._table = whole
        return self._table

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(keys, docs) in key order inside each chunk; call `table` first."""
        return iter(self._chunks) if self._chunks else self._sorted_chunks()

    def counts(self) -> dict:
        _, heads, fresh, sizes = self.table()
        heads, sizes = heads[fresh != self.nobody], sizes[fresh != self.nobody]
        band = self._number >> self._layout.prefix_bits
        return {**bucket_counts(sizes), "giants": giant_buckets(band, heads, sizes)}

    def _sorted_chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        keys: list[np.ndarray] = []
        docs: list[np.ndarray] = []
        rows = 0
        bins = (self._number, self._number + 1)
        kind = band_type(self._layout.doc_type)
        limits = document_limits(self._layout.docs)
        entries = read_entries(self._store, self._layout.index)
        shape = self._layout.prefix_bits, self._number, self._layout.doc_type
        sources = (
            read_bins(self._store, self._folder, *bins, kind, self._rows, limits),
            index_keys(entries, *shape),
        )
        for records in chain(*sources):
            if rows and rows + len(records) > self._rows:
                yield self._sorted(keys, docs)
                keys, docs, rows = [], [], 0
            keys.append(np.ascontiguousarray(records["key"]))
            docs.append(np.ascontiguousarray(records["doc"]))
            rows += len(records)
        if rows:
            yield self._sorted(keys, docs)

    def _sorted(self, keys: list, docs: list) -> tuple[np.ndarray, np.ndarray]:
        pair = np.concatenate(keys), np.concatenate(docs)
        sort_pairs(*pair, self._layout.prefix_bits)
        return pair


def find_pairs(job: Job) -> dict:
    """Spill the (document, bucket head) pairs of one bin of band keys, by slot of the document."""
    task = BinTask(job)
    layout = task.layout
    reader = BucketReader(task.store, task.args["bands"], task.number, layout)
    spill = task.spill()
    names, heads, fresh, _ = reader.table()
    for keys, docs in reader.chunks():
        left, right = np.empty(len(docs), docs.dtype), np.empty(len(docs), docs.dtype)
        bounds = docs.dtype.type(reader.nobody), layout.earlier
        count = star_pairs(keys, docs, names, heads, fresh, *bounds, left, right)
        pairs = np.empty(count, pair_type(task.doc_type))
        pairs["doc"], pairs["other"] = left[:count], right[:count]
        pairs["band"] = task.band
        spill.add(pairs, pairs["doc"] // layout.width)
    return {"spills": spill.close(), **reader.counts()}


def bucket_counts(sizes: np.ndarray) -> dict:
    """How many buckets, and how many of their pairs are compared and how many are not."""
    sizes = sizes[sizes > 1]
    times = np.bincount(sizes[sizes < GIANT_BUCKET])  # nearly all of them, and no sort
    buckets = {size: count for size, count in enumerate(times.tolist()) if count}
    giants, times = np.unique(sizes[sizes >= GIANT_BUCKET], return_counts=True)
    buckets |= dict(zip(giants.tolist(), times.tolist(), strict=True))
    compared = sum((size - 1) * count for size, count in buckets.items())
    possible = sum(size * (size - 1) // 2 * count for size, count in buckets.items())
    histogram: dict[str, int] = {}
    for size, count in buckets.items():
        name = str(1 << (size.bit_length() - 1))
        histogram[name] = histogram.get(name, 0) + count
    return {
        "buckets": int(sum(buckets.values())),
        "largest_bucket": max(buckets, default=0),
        "pairs_compared": compared,
        "pairs_not_compared": possible - compared,
        "bucket_sizes": histogram,
    }


def giant_buckets(band: int, heads: np.ndarray, sizes: np.ndarray) -> list[list[int]]:
    """The largest buckets of GIANT_BUCKET documents and more: [size, band, first document]."""
    places = np.flatnonzero(sizes >= GIANT_BUCKET)
    listed = sorted((-int(sizes[place]), band, int(heads[place])) for place in places)
    return [[-size, band, head] for size, band, head in listed[:LISTED_BUCKETS]]
