"""Sketches: signatures cut to 32 bits a permutation, one file per slot, which comparisons read.

Two different 61-bit minima agree in their low 32 bits with 2^-32, so that the count of equal
permutations is that of the full signatures but for 3 pairs in 100 million; the files are half the
size and need no decoding.
"""

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.formats import slot_sketch_type
from decant.pipeline.dedup.index import index_sketches, read_entries
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.dedup.spill_file import SpillFile, write_spill
from decant.pipeline.engine.storage import Store


def sketch_path(folder: str, slot: int) -> str:
    return f"{folder}/{slot:08d}.spill"


def write_sketches(store: Store, folder: str, slot: int, values: np.ndarray) -> None:
    """Write the sketches of a slot, uint32 [documents, permutations]; zeros: no signature."""
    records = np.empty(len(values), slot_sketch_type(values.shape[1]))
    records["sketch"] = values
    write_spill(store, sketch_path(folder, slot), records, np.array([len(records)]), slot)


class Sketches:
    """The sketches of one slot's documents: uint32 [documents, permutations], zeros without one.

    A local file is mapped and verified block by block, as its documents are asked for.
    """

    def __init__(self, store: Store, folder: str, slot: int, layout: Layout):
        low, high = layout.span(slot)
        self._file: SpillFile | None = None
        if low < layout.earlier:
            entries = read_entries(store, layout.index)
            self._values = index_sketches(entries, low, high, layout.permutations)
            return
        self._file = SpillFile(store, sketch_path(folder, slot))
        self._file.expect(slot_sketch_type(layout.permutations))
        if self._file.rows != high - low:
            raise self._file.damage(f"it has {self._file.rows} sketches, not {high - low}")
        self._records = self._file.mapped()
        self._values = self._records["sketch"]
        self._verified = np.zeros(len(self._values) + 1, np.bool_)  # by block

    def of(self, places: np.ndarray) -> np.ndarray:
        """All sketches of the slot, of which those at `places` are verified."""
        if self._file is not None and len(places):
            blocks = np.unique(self._file.block_of(places))
            for block in blocks[~self._verified[blocks]].tolist():
                self._file.verify_mapped(self._records, block)
            self._verified[blocks] = True
        return self._values

    def all(self) -> np.ndarray:
        """All sketches of the slot."""
        return self.of(np.arange(len(self._values)))


def sketches_of(store: Store, folder: str, layout: Layout, docs: np.ndarray) -> np.ndarray:
    """The sketches of ascending documents, one slot after the other."""
    sketches = np.zeros((len(docs), layout.permutations), np.uint32)
    for slot in np.unique(docs // layout.width).tolist():
        here = docs // layout.width == slot
        places = docs[here] - layout.span(slot)[0]
        sketches[here] = Sketches(store, folder, slot, layout).of(places)[places]
    return sketches


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
