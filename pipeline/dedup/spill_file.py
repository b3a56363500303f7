"""One spill file: records of fixed width, grouped into bins, verified as they are read.

    magic, length of the head, its checksum | head: description, offsets, checksums | records

A bin is a range of documents or of band keys; `offsets` says where each begins. A bin is cut into
blocks of at most 64 kB, which have a checksum each (xxh3) and are what is read at least, so that no
record is used before its bytes are known to be those that were written. The head's own checksum
covers its length and everything in it. What does not agree is a DamagedFile: nothing in a file is
taken for a number to look up by, or to allocate by, before that.
"""

import itertools
import json
import struct
from collections.abc import Iterator, Mapping

import numpy as np
import xxhash

from decant.pipeline.dedup.formats import DOCUMENTS
from decant.pipeline.engine.damage import DamagedFile, StorageError
from decant.pipeline.engine.storage import Store

MAGIC = b"DECANTR2"  # 2: checksums
FIXED = struct.Struct("<8sQQ")  # magic, bytes of the head, its checksum
ALIGNMENT = 64  # records begin at a multiple: kernels read mapped files as they lie
BLOCK_BYTES = 64 << 10
READ_BYTES = 1 << 20  # checked while it is still in the cache
KINDS_OF_FIELDS = "uS"  # unsigned numbers and bytes: what records are made of
WHOLE = 1 << 62  # rows: all of them at once

Limits = Mapping[str, tuple[int, int]]  # field: least value, and one more than the largest


def block_edges(offsets: np.ndarray, width: int) -> np.ndarray:
    """int64: the record numbers at which blocks begin, and the end; each lies in one bin."""
    rows = max(1, BLOCK_BYTES // width)
    starts, sizes = offsets[:-1].astype(np.int64), np.diff(offsets).astype(np.int64)
    counts = -(-sizes // rows)
    before = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum())) - np.repeat(before, counts)
    return np.append(np.repeat(starts, counts) + nth * rows, int(offsets[-1]))


def write_spill(
    store: Store, path: str, records: np.ndarray, counts: np.ndarray, first: int = 0
) -> list:
    """Write records that lie in bin order; `counts` has the number of each bin from `first` on.

    Returns what a catalog lists: [path, first bin, bins, records].
    """
    assert int(counts.sum()) == len(records)
    width = records.dtype.itemsize
    offsets = np.zeros(len(counts) + 1, "<u8")
    np.cumsum(counts, out=offsets[1:])
    data = np.ascontiguousarray(records).view(np.uint8).data if len(records) else b""
    sums = [
        xxhash.xxh3_64_intdigest(data[start * width : stop * width])
        for start, stop in itertools.pairwise(block_edges(offsets, width).tolist())
    ]
    fields = [list(field) for field in records.dtype.descr]
    described = {"dtype": fields, "first": first, "bins": len(counts)}
    text = json.dumps(described, sort_keys=True).encode()
    tables = offsets.tobytes() + np.array(sums, "<u8").tobytes()
    text += b" " * (-(FIXED.size + 8 + len(text) + len(tables)) % ALIGNMENT)
    head = struct.pack("<Q", len(text)) + text + tables
    whole = (
        xxhash.xxh3_128()
    )  # of the file, for the manifest: updated while a piece is in the cache
    pieces = (data[at : at + READ_BYTES] for at in range(0, len(data), READ_BYTES))
    with store.local_draft(path, whole.hexdigest) as draft, open(draft, "wb") as file:
        for piece in (FIXED.pack(MAGIC, len(head), head_checksum(head)), head, *pieces):
            file.write(piece)
            whole.update(piece)
    return [path, first, len(counts), len(records)]


def head_checksum(head: bytes) -> int:
    return xxhash.xxh3_64_intdigest(head, seed=len(head))


class SpillFile:
    """An opened spill file; `read(low, high)` gives the records of bins low <= bin < high."""

    def __init__(self, store: Store, path: str):
        self._store, self._path = store, path
        try:
            with store.open(path) as file:
                self._read_head(file)
        except FileNotFoundError:
            raise self.damage("it is missing") from None
        except (struct.error, ValueError, KeyError, TypeError, OverflowError) as error:
            raise self.damage(f"its head makes no sense ({error})") from None

    def _read_head(self, file) -> None:
        size = self._store.size(self._path)
        magic, length, checksum = FIXED.unpack(file.read(FIXED.size))
        if magic != MAGIC:
            raise self.damage("it is no spill file of this version")
        if length > size - FIXED.size:
            raise self.damage("it is cut off")
        head = file.read(length)
        if len(head) != length or head_checksum(head) != checksum:
            raise self.damage("its head does not have the checksum that stands in it")
        (text,) = struct.unpack_from("<Q", head)
        described = json.loads(head[8 : 8 + text])
        self.first, self.bins = described["first"], described["bins"]
        self.dtype = np.dtype([_field(*field) for field in described["dtype"]])
        tables = np.frombuffer(head, "<u8", offset=8 + text)
        self.offsets = tables[: self.bins + 1].astype(np.int64)
        self._start = FIXED.size + length
        whole = self.first >= 0 and len(self.offsets) == self.bins + 1 > 0
        if not whole or self.offsets[0] != 0 or (np.diff(self.offsets) < 0).any():
            raise self.damage("its bins are not in order")
        if self._start + self.rows * self.dtype.itemsize != size:
            raise self.damage("it is cut off")
        self._edges = block_edges(self.offsets, self.dtype.itemsize)
        self._sums = tables[self.bins + 1 :]
        if len(self._sums) != len(self._edges) - 1:
            raise self.damage("its blocks are not those of its bins")

    @property
    def rows(self) -> int:
        return int(self.offsets[-1])

    def damage(self, what: str) -> DamagedFile:
        return DamagedFile(self._store.url, self._path, what)

    def expect(self, dtype: np.dtype) -> None:
        """Refuse a file whose records lack a field of `dtype`, or have another type for it."""
        for name in dtype.names or ():
            stored = self.dtype[name] if name in (self.dtype.names or ()) else None
            expected = dtype[name]
            if stored != expected and (stored is None or not stored.kind == expected.kind == "S"):
                where = f"{self._store.url}/{self._path}"
                raise StorageError(f"{where} has records of {self.dtype}, not {dtype}")

    def span(self, low: int, high: int) -> tuple[int, int]:
        """The record numbers of bins low <= bin < high."""
        last = self.first + self.bins
        low, high = (min(max(edge, self.first), last) - self.first for edge in (low, high))
        return int(self.offsets[low]), int(self.offsets[high])

    def counts(self, low: int, high: int) -> np.ndarray:
        """int64: how many records each of the bins low … high-1 has."""
        edges = np.clip(np.arange(low, high + 1) - self.first, 0, self.bins)
        return np.diff(self.offsets[edges])

    def read(self, low: int, high: int) -> np.ndarray:
        """All records of some bins."""
        start, stop = self.span(low, high)
        return self._read(*self._blocks(start, stop))

    def chunks(
        self, low: int, high: int, dtype: np.dtype, rows: int, limits: Limits
    ) -> Iterator[np.ndarray]:
        """The records of some bins, at most `rows` at a time, in the fields of `dtype`.

        Every field of `limits` is checked against its least and largest value.
        """
        self.expect(dtype)
        names = list(dtype.names or ())
        start, stop = self.span(low, high)
        block, last = self._blocks(start, stop)
        while block < last:
            end = int(np.searchsorted(self._edges, self._edges[block] + rows, "right")) - 1
            end = min(max(end, block + 1), last)
            records = self._read(block, end)
            self.check(records, limits)
            records = records if list(self.dtype.names or ()) == names else records[names]
            for begin in range(0, len(records), rows):
                yield records[begin : begin + rows]
            block = end

    def check(self, records: np.ndarray, limits: Limits) -> None:
        """Raise where a field has a value outside its limits."""
        for name, (least, beyond) in limits.items():
            if name not in (records.dtype.names or ()) or not len(records):
                continue
            values = records[name]
            if int(values.max()) >= beyond or (least and int(values.min()) < least):
                raise self.damage(f"a value of {name} is not between {least} and {beyond - 1}")

    def mapped(self) -> np.ndarray:
        """All records, unverified: a map of a local file, else what was read of it."""
        if self.rows and self._store.is_local:  # only what somebody asks for is read
            path, shape = self._store.path(self._path), (self.rows,)
            return np.asarray(np.memmap(path, self.dtype, "r", self._start, shape))
        return self.read(self.first, self.first + self.bins)

    def block_of(self, rows: np.ndarray) -> np.ndarray:
        """The block in which each record lies."""
        return np.searchsorted(self._edges, rows, "right") - 1

    def verify(self, block: int, data) -> None:
        """Compare the bytes of a block with its checksum."""
        if xxhash.xxh3_64_intdigest(data) != self._sums[block]:
            raise self.damage(f"block {block} does not have the checksum in its head")

    def verify_mapped(self, records: np.ndarray, block: int) -> None:
        """Compare a block of what `mapped` gave with its checksum."""
        start, stop = self._edges[block : block + 2]
        self.verify(block, records[start:stop].view(np.uint8).data)

    def _blocks(self, start: int, stop: int) -> tuple[int, int]:
        """The blocks of records that make up whole bins."""
        low, high = np.searchsorted(self._edges, [start, stop], "left")
        return (int(low), int(high)) if start < stop else (0, 0)

    def _read(self, block: int, last: int) -> np.ndarray:
        """The records of blocks block … last-1, each verified while it is in the cache."""
        width, edges = self.dtype.itemsize, self._edges[block : last + 1].tolist()
        records = np.empty(edges[-1] - edges[0] if last > block else 0, self.dtype)
        if not len(records):
            return records
        data = records.view(np.uint8).data
        at = [(edge - edges[0]) * width for edge in edges]
        with self._store.open(self._path) as file:
            file.seek(self._start + edges[0] * width)
            ready = checked = 0
            for number in range(last - block):
                if at[number + 1] > ready:
                    end = min(len(data), at[number] + max(READ_BYTES, BLOCK_BYTES + width))
                    ready += self._fill(file, data[ready:end])
                self.verify(block + number, data[checked : at[number + 1]])
                checked = at[number + 1]
        return records

    def _fill(self, file, data: memoryview) -> int:
        """Read as many bytes as `data` has room for."""
        filled = 0
        while filled < len(data):
            part = file.read(len(data) - filled)
            if not part:
                raise self.damage("it is cut off")
            data[filled : filled + len(part)] = part
            filled += len(part)
        return filled


def _field(name: str, kind: str, shape: list | None = None) -> tuple:
    """One field of a dtype, of the kinds that records are made of."""
    dtype = np.dtype(kind)
    if dtype.kind not in KINDS_OF_FIELDS or not dtype.itemsize:
        raise ValueError(f"field {name!r} of type {kind}")
    return (name, kind, tuple(shape)) if shape else (name, kind)


def document_limits(docs: int, **others: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """The limits of document numbers below `docs`, and of other fields."""
    return {**dict.fromkeys(DOCUMENTS, (0, docs)), **others}
