"""Spill files: fixed-width records on storage, grouped into bins, with an offset table in front.

Everything larger than memory in deduplication moves as runs: a task collects records, groups them
by bin (a range of documents, or of band keys) and writes one run whenever its buffer is full; the
task that owns a bin then reads that bin's piece out of every run. Where pieces would be too small
for object storage, `settle` first merges groups of runs over ranges of bins, as often as needed.
"""

import itertools
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from decant.filters.compile import kernel
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import StorageError, Store

MAGIC = b"DECANTR1"
REMOTE_PIECE_BYTES = 8 << 20  # a request costs as much as 8 MB of transfer
LOCAL_PIECE_BYTES = 64 << 10  # a seek and a read
ENOUGH_RUNS = 16  # so few pieces per bin are read as they are, whatever their size


@dataclass(frozen=True)
class RunName:
    """Where a run lies and which bins it covers: what a catalog lists."""

    path: str
    first: int
    bins: int
    rows: int


class SpillFile:
    """An opened run; `read(low, high)` gives the records of bins low <= bin < high."""

    def __init__(self, store: Store, path: str):
        self._store, self._path = store, path
        try:
            with store.open(path) as file:
                fixed = file.read(16)
                (length,) = struct.unpack("<8xQ", fixed)
                if fixed[:8] != MAGIC or length > 1 << 30:
                    raise StorageError(f"{path} is not a run file")
                header = json.loads(file.read(length))
                self.first, self.bins = header["first"], header["bins"]
                self.meta = header["meta"]
                self.dtype = np.dtype([tuple(field) for field in header["dtype"]])
                self.offsets = np.frombuffer(file.read(8 * (self.bins + 1)), "<u8")
        except FileNotFoundError as error:
            raise StorageError(f"{path} is missing; run the stage again") from error
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} is damaged: {error}") from error
        self._start = 16 + length + 8 * (self.bins + 1)
        expected = self._start + self.rows * self.dtype.itemsize
        if len(self.offsets) != self.bins + 1 or store.size(path) != expected:
            raise StorageError(f"{path} is truncated: expected {expected} bytes")

    @property
    def rows(self) -> int:
        return int(self.offsets[-1]) if len(self.offsets) else 0

    def span(self, low: int, high: int) -> tuple[int, int]:
        """The record numbers of bins low <= bin < high."""
        last = self.first + self.bins
        low, high = (min(max(edge, self.first), last) - self.first for edge in (low, high))
        return int(self.offsets[low]), int(self.offsets[high])

    def expect(self, dtype: np.dtype) -> None:
        """Refuse a file whose records lack a field of `dtype`, or have another type for it."""
        for name in dtype.names or ():
            stored = self.dtype[name] if name in (self.dtype.names or ()) else None
            wanted = dtype[name]
            if stored != wanted and (stored is None or not stored.kind == wanted.kind == "S"):
                raise StorageError(f"{self._path} has records of {self.dtype}, not {dtype}")

    def read(self, low: int, high: int) -> np.ndarray:
        return self.read_rows(*self.span(low, high))

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        if stop <= start:
            return np.empty(0, self.dtype)
        width = self.dtype.itemsize
        with self._store.open(self._path) as file:
            file.seek(self._start + start * width)
            data = file.read((stop - start) * width)
        return np.frombuffer(data, self.dtype)


def write_run(
    store: Store, path: str, records: np.ndarray, counts: np.ndarray, first: int = 0, meta=None
) -> None:
    """Write records that lie in bin order; `counts` has the number of each bin from `first` on."""
    assert int(counts.sum()) == len(records)
    fields = [list(field) for field in records.dtype.descr]
    header = {"dtype": fields, "first": first, "bins": len(counts), "meta": meta or {}}
    encoded = json.dumps(header, sort_keys=True).encode()
    offsets = np.zeros(len(counts) + 1, "<u8")
    np.cumsum(counts, out=offsets[1:])
    with store.local_draft(path) as draft, open(draft, "wb") as file:
        file.write(MAGIC + struct.pack("<Q", len(encoded)) + encoded)
        file.write(offsets.tobytes())
        file.write(np.ascontiguousarray(records).data)


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
    """Collects records for `bins` bins and leaves them as runs of at most `limit_bytes`.

    Runs are named `<prefix>-0000.run`, …; `close` returns what the catalog needs.
    """

    def __init__(self, store: Store, prefix: str, bins: int, limit_bytes: int):
        self._store, self._prefix, self._bins = store, prefix, bins
        self._limit = max(limit_bytes, 1 << 10)
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._bytes = 0
        self._names: list[list] = []

    def add(self, records: np.ndarray, bins: np.ndarray) -> None:
        width = records.dtype.itemsize + 8
        step = max(1, self._limit // width)
        for start in range(0, len(records), step):
            part = records[start : start + step]
            self._parts.append((part, np.asarray(bins[start : start + step], np.int64)))
            self._bytes += len(part) * width
            if self._bytes >= self._limit:
                self._flush()

    def close(self) -> list[list]:
        self._flush()
        return self._names

    def _flush(self) -> None:
        if not self._bytes:
            return
        records = np.concatenate([part for part, _ in self._parts])
        bins = np.concatenate([part for _, part in self._parts])
        self._parts, self._bytes = [], 0
        first, last = int(bins.min()), int(bins.max()) + 1
        counts = np.array([len(records)])
        if last - first > 1:
            order, counts = bin_order(bins - first, last - first)
            records = records[order]
        path = f"{self._prefix}-{len(self._names):04d}.run"
        write_run(self._store, path, records, counts, first)
        self._names.append([path, first, last - first, len(records)])


def write_catalog(store: Store, folder: str, names: Sequence[Sequence]) -> None:
    """List the runs of a folder in `_runs.json`, so that a task finds them with one request."""
    listed = sorted([list(name) for name in names])
    store.write_bytes(f"{folder}/_runs.json", json.dumps(listed).encode())


def read_catalog(store: Store, folder: str) -> list[RunName]:
    return [RunName(*entry) for entry in json.loads(store.read_bytes(f"{folder}/_runs.json"))]


def read_bins(
    store: Store, folder: str, low: int, high: int, dtype: np.dtype, chunk_rows: int = 1 << 40
) -> Iterator[np.ndarray]:
    """The records of bins low <= bin < high of every run of a folder, in bounded chunks.

    Gives the fields of `dtype`; a string may be wider than it says.
    """
    names = list(dtype.names or ())
    for name in read_catalog(store, folder):
        if name.first >= high or name.first + name.bins <= low:
            continue
        run = SpillFile(store, name.path)
        run.expect(dtype)
        start, stop = run.span(low, high)
        for begin in range(start, stop, chunk_rows):
            records = run.read_rows(begin, min(stop, begin + chunk_rows))
            yield records if list(run.dtype.names or ()) == names else records[names]


def read_whole(store: Store, folder: str, low: int, high: int, dtype: np.dtype) -> np.ndarray:
    """All records of some bins in one array, for bins that are known to fit."""
    chunks = list(read_bins(store, folder, low, high, dtype))
    return np.concatenate(chunks) if chunks else np.empty(0, dtype)


def settle(
    engine: Engine, step: str, folder: str, bins: int, payload: int, digest: str,
    version: int,
) -> str:  # fmt: skip
    """The folder to read from: `folder`, or the last of the merge rounds that its pieces need."""
    store, source = engine.store, folder
    least = REMOTE_PIECE_BYTES if not store.is_local else LOCAL_PIECE_BYTES
    least = min(least, max(payload // 16, 1))
    for number in range(1, 40):
        tasks = merge_tasks(store, source, f"{folder}.round-{number}", bins, least, payload)
        if not tasks:
            return source
        results = engine.map(f"{step}-merge-{number}", merge_runs, tasks, digest, version)
        source = f"{folder}.round-{number}"
        write_catalog(store, source, [name for one in results.values() for name in one["runs"]])
    raise AssertionError(f"{folder}: merging does not end")


def merge_tasks(
    store: Store, source: str, target: str, bins: int, least: int, payload: int
) -> list[Task]:
    """The tasks of one merge round; none when the pieces are large enough.

    A group of `fan` neighbouring runs over one range of bins becomes as many runs as keep each
    within `payload`, so that data neither grows nor shrinks in files while pieces grow by `fan`.
    """
    names = read_catalog(store, source)
    if not names:
        return []
    width = SpillFile(store, names[0].path).dtype.itemsize
    total = width * sum(name.rows for name in names)
    fan = max(2, payload // least)
    ranges = sorted({(name.first, name.bins) for name in names})
    settled = source.count(".round-") > 0
    if not settled:
        ranges = [(0, bins)]
    members = {
        (first, count): [
            name for name in names if not settled or (name.first, name.bins) == (first, count)
        ]
        for first, count in ranges
    }
    if max(len(group) for group in members.values()) <= ENOUGH_RUNS:
        return []
    if total >= least * sum(name.bins for name in names):
        return []
    tasks = []
    for (first, count), group in members.items():
        groups = -(-len(group) // fan)
        size = width * sum(name.rows for name in group) // groups
        parts = max(1, min(count, -(-size // payload)))
        edges = [first + count * part // parts for part in range(parts + 1)]
        for number in range(groups):
            paths = [name.path for name in group[number * fan : (number + 1) * fan]]
            for low, high in itertools.pairwise(edges):
                key = f"{number:06d}-{low:08d}"
                args = {"paths": paths, "low": low, "high": high, "target": f"{target}/{key}.run"}
                tasks.append(Task(key, args))
    return tasks


def merge_runs(job: Job) -> dict:
    """Write one run with the given bins of several runs, bin by bin."""
    args = job.task.args
    low, high = args["low"], args["high"]
    runs = [SpillFile(job.store, path) for path in args["paths"]]
    records = np.concatenate([run.read(low, high) for run in runs])
    counts = np.zeros((len(runs), high - low), np.int64)
    for row, run in zip(counts, runs, strict=True):
        begin, end = max(low, run.first), min(high, run.first + run.bins)
        if end > begin:
            row[begin - low : end - low] = np.diff(
                run.offsets[begin - run.first : end - run.first + 1].astype(np.int64)
            )
    bins = np.concatenate([np.repeat(np.arange(high - low), row) for row in counts])
    order, total = bin_order(bins, high - low)
    write_run(job.store, args["target"], records[order], total, low)
    return {"runs": [[args["target"], low, high - low, len(records)]]}
