"""Signatures cut to 32 bits per permutation, one raw file per slot: what verification compares.

Two different 61-bit minima agree in their low 32 bits with 2^-32, so that the count of equal
permutations is that of the full signatures but for 3 pairs in 100 million; the files are half the
size and need no decoding.

Signatures as datasketch objects and back.

A signature of ours is made with the permutations of datatrove (61-bit minima of SHA-1 shingles), so
a MinHash made from it compares and merges with its like, but not with one that datasketch computed
from tokens: the hashes differ. LSH, LeanMinHash and storage work as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.formats import SKETCH_TYPE
from decant.pipeline.dedup.index import index_sketches, read_entries
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import StorageError, Store

if TYPE_CHECKING:
    from datasketch import LeanMinHash, MinHash


def sketches_of(job: Job, layout: Layout, docs: np.ndarray) -> np.ndarray:
    """The sketches of ascending documents, one slot after the other."""
    permutations = layout.bands * layout.rows
    found = np.zeros((len(docs), permutations), np.uint32)
    for slot in np.unique(docs // layout.width).tolist():
        here = docs // layout.width == slot
        held = read_sketches(job.store, job.task.args["sketches"], slot, layout)
        found[here] = held[docs[here] - layout.span(slot)[0]]
    return found


def sketch_path(folder: str, slot: int) -> str:
    return f"{folder}/{slot:08d}.u32"


def write_sketches(store: Store, folder: str, slot: int, values: np.ndarray) -> None:
    with store.local_draft(sketch_path(folder, slot)) as draft, open(draft, "wb") as file:
        file.write(np.ascontiguousarray(values, SKETCH_TYPE).data)


def read_sketches(store: Store, folder: str, slot: int, layout: Layout) -> np.ndarray:
    """uint32 [documents of the slot, permutations]; zeros where there is no signature."""
    permutations = layout.bands * layout.rows
    low, high = layout.span(slot)
    if low < layout.earlier:
        return index_sketches(read_entries(store, layout.index), low, high, permutations)
    path = sketch_path(folder, slot)
    expected = (high - low) * permutations
    if store.size(path) != 4 * expected:
        raise StorageError(f"{path} is truncated")
    if store.is_local and expected:  # mapped: only the documents that somebody asks for are read
        values = np.asarray(np.memmap(store.path(path), SKETCH_TYPE, "r"))
    else:
        values = np.frombuffer(store.read_bytes(path), SKETCH_TYPE)
    return values.reshape(-1, permutations)


@kernel
def compare_rows(left, left_rows, right, right_rows, bands, rows):
    """(matches, met): equal permutations per pair, and the bands that agree as a bit mask.

    `left` and `right` are uint32 [documents, bands x rows]; pair i compares left[left_rows[i]]
    with right[right_rows[i]]. Only the first 64 bands have a bit.
    """
    matches = np.zeros(len(left_rows), np.uint16)
    met = np.zeros(len(left_rows), np.uint64)
    for pair in range(len(left_rows)):
        one, other = left_rows[pair], right_rows[pair]
        total = 0
        mask = np.uint64(0)
        for band in range(bands):
            equal = 0
            for column in range(band * rows, (band + 1) * rows):
                equal += left[one, column] == right[other, column]
            total += equal
            if equal == rows:
                mask |= np.uint64(1) << np.uint64(band % 64)
        matches[pair] = total
        met[pair] = mask
    return matches, met


PRIME = (1 << 61) - 1


class ForeignSignature(ValueError):
    """The datasketch object does not hold a signature of ours."""


def to_minhash(signature: np.ndarray, seed: int = 1) -> MinHash:
    """A datasketch MinHash with the signature's values."""
    from datasketch import MinHash

    return MinHash(
        num_perm=len(signature),
        seed=seed,
        scheme="affine64",
        hashvalues=signature.astype(np.uint64),
    )


def to_lean_minhash(signature: np.ndarray, seed: int = 1) -> LeanMinHash:
    """A datasketch LeanMinHash with the signature's values: smaller, immutable, serialisable."""
    from datasketch import LeanMinHash

    return LeanMinHash(to_minhash(signature, seed))


def from_datasketch(sketch: MinHash | LeanMinHash, permutations: int) -> np.ndarray:
    """The signature in a MinHash or LeanMinHash, uint64 [permutations]."""
    values = np.asarray(sketch.hashvalues).astype(np.uint64)
    if len(values) != permutations:
        raise ForeignSignature(f"{len(values)} permutations, expected {permutations}")
    if len(values) and int(values.max()) >= PRIME:
        raise ForeignSignature("a value of 2^61 - 1 or more: this is not a signature of ours")
    return values
