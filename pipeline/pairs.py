"""Candidate pairs: documents that share a band key, every member of a bucket with its first.

A bucket of k documents gives k-1 compared pairs instead of k(k-1)/2; the difference is counted and
reported. Under `cluster` the closure joins them all the same. A bin that does not fit in memory is
read twice in chunks, so that one bucket may hold every document of a dump.
"""

import numpy as np

from filters.compile import kernel
from pipeline.execute import Job
from pipeline.layout import SORT_BYTES_PER_RECORD, Layout
from pipeline.radix import sort_pairs
from pipeline.runs import Spill, read_bins

GIANT_BUCKET = 1_000  # documents; such buckets are listed with samples
LISTED_BUCKETS = 20
SAMPLE_DOCUMENTS = 5


def pair_type(doc_type: str) -> np.dtype:
    return np.dtype([("doc", doc_type), ("other", doc_type)])


@kernel
def bucket_table(keys, docs):
    """(key, smallest document, size) of every run of equal keys, as three arrays."""
    total = len(keys)
    buckets = 0
    for place in range(total):
        if place == 0 or keys[place] != keys[place - 1]:
            buckets += 1
    names = np.empty(buckets, np.uint64)
    heads = np.empty(buckets, docs.dtype)
    sizes = np.zeros(buckets, np.int64)
    bucket = -1
    for place in range(total):
        if place == 0 or keys[place] != keys[place - 1]:
            bucket += 1
            names[bucket] = keys[place]
            heads[bucket] = docs[place]
        elif docs[place] < heads[bucket]:
            heads[bucket] = docs[place]
        sizes[bucket] += 1
    return names, heads, sizes


@kernel
def star_pairs(keys, docs, names, heads, out_docs, out_heads):
    """Fill (document, head of its bucket) for sorted keys that all lie in `names`; the count."""
    bucket = 0
    count = 0
    for place in range(len(keys)):
        while names[bucket] != keys[place]:
            bucket += 1
        if heads[bucket] != docs[place]:
            out_docs[count] = docs[place]
            out_heads[count] = heads[bucket]
            count += 1
    return count


def merge_tables(tables: list[tuple]) -> tuple:
    """One bucket table of several; sizes add up, the smallest document stays."""
    if len(tables) == 1:
        return tables[0]
    names, heads, sizes = (np.concatenate(column) for column in zip(*tables, strict=True))
    order = np.argsort(names, kind="stable")
    names, heads, sizes = names[order], heads[order], sizes[order]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else []
    if not len(starts):
        return names, heads, sizes
    return names[starts], np.minimum.reduceat(heads, starts), np.add.reduceat(sizes, starts)


def find_pairs(job: Job) -> dict:
    """Spill the (document, bucket head) pairs of one bin of band keys, by slot of the document."""
    args = job.task.args
    layout = Layout(**args["layout"])
    number, folder = args["bin"], args["bands"]
    chunk = max(64, (layout.payload * 8) // SORT_BYTES_PER_RECORD)

    def sorted_chunks():
        for keys, docs in column_chunks(job, folder, number, chunk):
            sort_pairs(keys, docs, layout.prefix_bits)
            yield keys, docs

    chunks = sorted_chunks()
    first = next(chunks, None)
    spill = Spill(job.store, f"{args['folder']}/{number:08d}", layout.slots, layout.payload)
    if first is None:
        return {"runs": spill.close(), **bucket_counts(np.empty(0, np.int64))}
    tables, again = [bucket_table(*first)], [first]
    for keys, docs in chunks:
        tables = [merge_tables([*tables, bucket_table(keys, docs)])]
        again = []  # more than one chunk: read a second time instead of held
    names, heads, sizes = tables[0]
    for keys, docs in again or sorted_chunks():
        pairs = np.empty(len(docs), pair_type(layout.doc_type))
        left, right = np.empty(len(docs), docs.dtype), np.empty(len(docs), docs.dtype)
        count = star_pairs(keys, docs, names, heads, left, right)
        pairs = pairs[:count]
        pairs["doc"], pairs["other"] = left[:count], right[:count]
        spill.add(pairs, pairs["doc"] // layout.width)
    giants = giant_buckets(number >> layout.prefix_bits, heads, sizes)
    return {"runs": spill.close(), **bucket_counts(sizes), "giants": giants}


def column_chunks(job: Job, folder: str, number: int, chunk_rows: int):
    """(keys, docs) of one bin in chunks of about `chunk_rows`, small runs joined together."""
    keys, docs, held = [], [], 0
    for records in read_bins(job.store, folder, number, number + 1, chunk_rows):
        if held and held + len(records) > chunk_rows:
            yield np.concatenate(keys), np.concatenate(docs)
            keys, docs, held = [], [], 0
        keys.append(np.ascontiguousarray(records["key"]))
        docs.append(np.ascontiguousarray(records["doc"]))
        held += len(records)
    if held:
        yield np.concatenate(keys), np.concatenate(docs)


def bucket_counts(sizes: np.ndarray) -> dict:
    """How many buckets, and how many of their pairs are compared and how many are not."""
    several, times = np.unique(sizes[sizes > 1], return_counts=True)
    buckets = dict(zip(several.tolist(), times.tolist(), strict=True))
    compared = sum((size - 1) * count for size, count in buckets.items())
    possible = sum(size * (size - 1) // 2 * count for size, count in buckets.items())
    histogram: dict[str, int] = {}
    for size, count in buckets.items():
        name = str(1 << (size.bit_length() - 1))
        histogram[name] = histogram.get(name, 0) + count
    return {
        "buckets": int(sum(buckets.values())),
        "pairs_compared": compared,
        "pairs_not_compared": possible - compared,
        "bucket_sizes": histogram,
    }


def giant_buckets(band: int, heads: np.ndarray, sizes: np.ndarray) -> list[list[int]]:
    """The largest buckets of GIANT_BUCKET documents and more: [size, band, first document]."""
    places = np.flatnonzero(sizes >= GIANT_BUCKET)
    listed = sorted((-int(sizes[place]), band, int(heads[place])) for place in places)
    return [[-size, band, head] for size, band, head in listed[:LISTED_BUCKETS]]
