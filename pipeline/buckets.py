"""Buckets as bipartite lists, for the greedy mode: which documents lie in which bucket.

A bucket's name is its bin in the upper 24 bits and its place among the bin's buckets below, so that
the task of a bin keeps one entry per bucket in plain arrays.
"""

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.engine.execute import Job
from decant.pipeline.layout import Layout
from decant.pipeline.pairs import BucketReader
from decant.pipeline.runs import Spill

PLACE_BITS = 40


def member_of_bucket_type(doc_type: str) -> np.dtype:
    return np.dtype([("doc", doc_type), ("bucket", "<u8")])


def bucket_places(buckets: np.ndarray) -> np.ndarray:
    """The place of each bucket among those of its bin."""
    return (buckets & np.uint64((1 << PLACE_BITS) - 1)).astype(np.int64)


@kernel
def bucket_members(keys, docs, names, sizes, first, out_docs, out_buckets):
    """Fill (document, bucket) for sorted keys in buckets of two and more; the count."""
    bucket = 0
    count = 0
    for place in range(len(keys)):
        while names[bucket] != keys[place]:
            bucket += 1
        if sizes[bucket] > 1:
            out_docs[count] = docs[place]
            out_buckets[count] = first | np.uint64(bucket)
            count += 1
    return count


def find_buckets(job: Job) -> dict:
    """Spill (document, bucket) of every bucket of two and more in one bin, by slot of document."""
    args = job.task.args
    layout = Layout(**args["layout"])
    number = args["bin"]
    reader = BucketReader(job.store, args["bands"], number, layout)
    spill = Spill(job.store, f"{args['folder']}/{number:08d}", layout.slots, layout.payload)
    names, _, fresh, sizes = reader.table()
    sizes = np.where(fresh != reader.nobody, sizes, 0)  # all of an index: decided long ago
    for keys, docs in reader.chunks():
        out_docs, out_buckets = np.empty(len(docs), docs.dtype), np.empty(len(docs), np.uint64)
        first = np.uint64(number << PLACE_BITS)
        count = bucket_members(keys, docs, names, sizes, first, out_docs, out_buckets)
        members = np.empty(count, member_of_bucket_type(layout.doc_type))
        members["doc"], members["bucket"] = out_docs[:count], out_buckets[:count]
        spill.add(members, members["doc"] // layout.width)
    return {"runs": spill.close(), "table": len(names), **reader.counts()}
