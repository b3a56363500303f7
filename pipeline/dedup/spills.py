"""Spills: how tasks hand records to one another, on storage and by bin.

Everything larger than memory in deduplication moves so: a task collects records, groups them by bin
(a range of documents, or of band keys) and writes a spill file whenever its buffer is full; the
task that owns a bin then reads that bin out of every spill file of the folder. A catalog lists a
folder's files, so that finding them costs one request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.dedup.spill_file import WHOLE, Limits, SpillFile, write_spill
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.damage import DamagedFile
from decant.pipeline.engine.storage import Store


@dataclass(frozen=True)
class SpillName:
    """Where a spill file lies and which bins it covers: what a catalog lists."""

    path: str
    first: int
    bins: int
    rows: int


@kernel
def bin_order(bins, n_bins):
    """(order, counts): positions that put `bins` in ascending order, stably, by counting."""
    counts = np.zeros(n_bins, np.int64)
    for position in range(len(bins)):
        counts[bins[position]] += 1
    start = np.zeros(n_bins, np.int64)
    for number in range(1, n_bins):
        start[number] = start[number - 1] + counts[number - 1]
    order = np.empty(len(bins), np.int64)
    for position in range(len(bins)):
        number = bins[position]
        order[start[number]] = position
        start[number] += 1
    return order, counts


class Spill:
    """Collects records for `bins` bins and leaves them as files of at most `limit_bytes`.

    Files are named `<prefix>-0000.spill`, …; `close` returns what the catalog needs.
    """

    def __init__(self, store: Store, prefix: str, bins: int, limit_bytes: int):
        self._store, self._prefix, self._bins = store, prefix, bins
        self._limit = max(limit_bytes, 1 << 10)
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._bytes = 0
        self._names: list[list] = []

    def add(self, records: np.ndarray, bins: np.ndarray) -> None:
        """Take records in, and the bin of each."""
        width = records.dtype.itemsize + 8
        step = max(1, self._limit // width)
        for start in range(0, len(records), step):
            part = records[start : start + step]
            self._parts.append((part, np.asarray(bins[start : start + step], np.int64)))
            self._bytes += len(part) * width
            if self._bytes >= self._limit:
                self._flush()

    def close(self) -> list[list]:
        """[path, first bin, bins, records] of every file, after the last is written."""
        self._flush()
        return self._names

    def _flush(self) -> None:
        if not self._bytes:
            return
        records = np.concatenate([part for part, _ in self._parts])
        bins = np.concatenate([part for _, part in self._parts])
        self._parts, self._bytes = [], 0
        first, last = int(bins.min()), int(bins.max()) + 1
        if first < 0 or last > self._bins:  # before `bin_order` counts by them
            raise ValueError(f"{self._prefix}: bins {first} to {last - 1} of {self._bins}")
        counts = np.array([len(records)])
        if last - first > 1:
            order, counts = bin_order(bins - first, last - first)
            records = records[order]
        path = f"{self._prefix}-{len(self._names):04d}.spill"
        self._names.append(write_spill(self._store, path, records, counts, first))


def catalog_path(folder: str) -> str:
    return f"{folder}/_spills.json"


def write_catalog(store: Store, folder: str, names: Sequence[Sequence]) -> None:
    """List the spill files of a folder, so that a task finds them with one request."""
    listed = sorted([list(name) for name in names])
    store.write_bytes(catalog_path(folder), checked_json.encode({"spills": listed}))


def read_catalog(store: Store, folder: str) -> list[SpillName]:
    """The spill files of a folder."""
    path = catalog_path(folder)
    try:
        return [SpillName(*entry) for entry in checked_json.read(store, path)["spills"]]
    except FileNotFoundError:
        raise DamagedFile(store.url, path, "it is missing") from None
    except (KeyError, TypeError) as error:
        raise DamagedFile(store.url, path, f"it is no catalog ({error})") from None


def open_spill(store: Store, name: SpillName) -> SpillFile:
    """The opened file that a catalog lists, refused where it is another."""
    spill = SpillFile(store, name.path)
    if (spill.first, spill.bins, spill.rows) != (name.first, name.bins, name.rows):
        raise spill.damage("it is not the file that its folder lists")
    return spill


def read_bins(
    store: Store,
    folder: str,
    low: int,
    high: int,
    dtype: np.dtype,
    rows: int = WHOLE,
    limits: Limits | None = None,
) -> Iterator[np.ndarray]:
    """The records of bins low <= bin < high of every spill of a folder, `rows` at a time.

    Gives the fields of `dtype`, a string in the width that it was written with; every field of
    `limits` is within them.
    """
    for name in read_catalog(store, folder):
        if name.first < high and name.first + name.bins > low:
            yield from open_spill(store, name).chunks(low, high, dtype, rows, limits or {})


def read_whole(
    store: Store, folder: str, low: int, high: int, dtype: np.dtype, limits: Limits | None = None
) -> np.ndarray:
    """All records of some bins in one array, for bins that are known to fit."""
    chunks = list(read_bins(store, folder, low, high, dtype, WHOLE, limits))
    return np.concatenate(chunks) if chunks else np.empty(0, dtype)
