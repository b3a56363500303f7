"""How a run's documents are numbered and cut up for deduplication.

A document's number is its place in row-key order among the rows of all signature files (after the
documents of an index, which come first). Numbers fall into *slots* of equal width, the unit of
every document-side task; band keys fall into bands x 2^prefix_bits bins. Both widths follow from
`dedup.memory_mb` and decide only how work is cut, never a result.
"""

from dataclasses import asdict, dataclass

from decant.pipeline.config import RunConfig

# Bytes of working memory per document of a slot: 14 keys of 8 bytes, their records of 12, the
# same again while they are put in order, and a signature of 112 x 4.
SLOT_BYTES_PER_DOCUMENT = 1_024
# Bytes per band-key record while a bin is sorted: the record, its columns, the sort's copies.
SORT_BYTES_PER_RECORD = 64
PAYLOAD_SHARE = 8  # of the memory bound: what one buffer may hold before it becomes a file
LEAST_PER_TASK = 64


@dataclass(frozen=True)
class Part:
    """One signature file: its partition number, the number of its first document, its rows."""

    number: int
    base: int
    rows: int
    dump: str | None = ""  # None: of several dumps
    content: str = ""  # hash of its documents' text hashes

    def as_args(self) -> list:
        return list(asdict(self).values())


@dataclass(frozen=True)
class Layout:
    """How many documents there are, and how they and their band keys are cut up."""

    docs: int  # documents are numbered 0 … docs-1, those of the index included
    earlier: int  # numbers below are those of the index, filled up to a whole slot
    bands: int
    rows: int
    width: int  # documents per slot
    prefix_bits: int  # bins per band = 2^prefix_bits
    payload: int  # bytes a task may hold in buffers before it spills
    index: str = ""  # the file that lists the index entries to compare with

    @property
    def slots(self) -> int:
        return max(1, -(-self.docs // self.width))

    @property
    def bins(self) -> int:
        return self.bands << self.prefix_bits

    @property
    def permutations(self) -> int:
        return self.bands * self.rows

    @property
    def doc_type(self) -> str:
        return "<u4" if self.docs < 2**32 - 1 else "<u8"

    @property
    def first_slot(self) -> int:
        """The first slot of new documents."""
        return self.earlier // self.width

    def span(self, slot: int) -> tuple[int, int]:
        """The first document of a slot, and the one after its last."""
        return slot * self.width, min(self.docs, (slot + 1) * self.width)

    def as_args(self) -> dict:
        return asdict(self)


def plan(rows: int, earlier: int, config: RunConfig, index: str = "") -> Layout:
    """The layout for this many new and earlier documents under the configuration's memory bound."""
    docs = earlier + rows
    memory = config.dedup.memory_mb << 20
    width = max(LEAST_PER_TASK, min(memory // SLOT_BYTES_PER_DOCUMENT, 1 << 22))
    per_bin = max(LEAST_PER_TASK, memory // SORT_BYTES_PER_RECORD)
    bits = 0
    while (docs >> bits) > per_bin * 3 // 4:
        bits += 1
    payload = max(1, memory // PAYLOAD_SHARE)
    width = min(width, docs or 1)
    earlier = -(-earlier // width) * width
    shape = config.dedup.bands, config.dedup.rows
    return Layout(earlier + rows, earlier, *shape, width, bits, payload, index)


def parts_of(parts: list[Part], low: int, high: int) -> list[Part]:
    """The parts that hold documents low <= number < high."""
    return [part for part in parts if part.base < high and part.base + part.rows > low]
