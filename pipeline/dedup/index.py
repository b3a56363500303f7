"""The index of earlier dumps: what a new dump is compared with, without touching the old ones.

`dedup.index` is a folder (any fsspec URL) of entries, one per finished run, numbered in the order
in which they came: band keys in bin order, sketches and ids of the documents, and whom the dropped
ones followed. Under `greedy` an entry holds the kept documents only: nobody else can cause a drop.
Under `cluster` it holds all of them, so that a new document joins a cluster through any member.

A run numbers the documents of all entries before its own; to it they are documents that have been
decided. An entry is committed by its `entry.json`, written last, and never changed.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from fsspec.core import url_to_fs

from decant.pipeline.dedup.formats import band_type, sketch_type
from decant.pipeline.dedup.layout import SignatureError
from decant.pipeline.dedup.spills import RunName, SpillFile
from decant.pipeline.engine.storage import Store

FORMAT = 2  # 2: band keys by multiplication


@dataclass(frozen=True)
class Entry:
    """One finished run in an index; `base` is the number of its first document in this run."""

    url: str  # of the index
    folder: str
    docs: int
    prefix_bits: int
    width: int  # documents per bin of the sketch, id and label runs
    runs: dict[str, list[list]] = field(default_factory=dict)
    base: int = 0

    def names(self, kind: str) -> list[RunName]:
        return [RunName(*entry) for entry in self.runs.get(kind, [])]

    def keys(self, band: int, prefix: int, bits: int) -> Iterator[np.ndarray]:
        """The band-key records of the keys with these leading bits, numbered for this run."""
        first, count, kept = self.prefix_bits - bits, 1, 0
        if first >= 0:
            low, count = prefix << first, 1 << first
        else:
            low, kept = prefix >> -first, bits
        low += band << self.prefix_bits
        for records in self.rows("keys", low, low + count, band_type("<u8")):
            if kept:
                records = records[records["key"] >> np.uint64(64 - kept) == prefix]
            yield records

    def documents(self, kind: str, low: int, high: int, dtype: np.dtype) -> Iterator[np.ndarray]:
        """Records of documents low <= number < high of this run, numbered for it."""
        low, high = max(low - self.base, 0), min(high - self.base, self.docs)
        if low >= high:
            return
        for records in self.rows(kind, low // self.width, (high - 1) // self.width + 1, dtype):
            local = records["doc"].astype(np.int64) - self.base
            yield records[(local >= low) & (local < high)]

    def rows(self, kind: str, low: int, high: int, dtype: np.dtype) -> Iterator[np.ndarray]:
        store = Store(self.url)
        for name in self.names(kind):
            if name.first < high and name.first + name.bins > low:
                run = SpillFile(store, name.path)
                run.expect(dtype)
                records = run.read(low, high).copy()
                records["doc"] += np.asarray(self.base, records["doc"].dtype)
                yield records


def absolute(url: str) -> str:
    """The URL with its scheme, and a local path from the root: workers may run elsewhere."""
    fs, path = url_to_fs(url)
    return fs.unstrip_protocol(path)


def open_entries(url: str, own: str, asked: dict[str, Any]) -> list[Entry]:
    """The entries that were there before this run's own, oldest first, without their bases."""
    store = Store(url)
    entries = []
    for path in store.list(""):
        if not path.endswith("/entry.json"):
            continue
        content = json.loads(store.read_bytes(path))
        if content["format"] != FORMAT:
            raise SignatureError(
                f"{url}/{path}: an entry of format {content['format']}, this version reads "
                f"{FORMAT}; build the index again"
            )
        if content["own"] == own:
            break
        if content["asked"] != asked:
            raise SignatureError(
                f"{url}/{path}: the index was made with {content['asked']}, the configuration "
                f"says {asked}"
            )
        entries.append(Entry(url, **content["entry"]))
    return entries


def next_folder(url: str, own: str) -> str:
    """Where this run's entry goes: the place it already has, else the next one."""
    store = Store(url)
    names = [path for path in store.list("") if path.endswith("/entry.json")]
    for path in names:
        if json.loads(store.read_bytes(path))["own"] == own:
            return path.rsplit("/", 1)[0]
    return f"{len(names):05d}-{own[:12]}"


def numbered(entries: Sequence[Entry]) -> tuple[list[Entry], int]:
    """The entries with their bases one after the other, and the number of documents."""
    placed, base = [], 0
    for entry in entries:
        placed.append(Entry(**{**asdict(entry), "base": base}))
        base += entry.docs
    return placed, base


def commit(entry: Entry, own: str, asked: dict[str, Any]) -> None:
    """Make the entry part of its index."""
    fields = {name: value for name, value in asdict(entry).items() if name not in ("url", "base")}
    content = {"format": FORMAT, "own": own, "asked": asked, "entry": fields}
    path = f"{entry.folder}/entry.json"
    Store(entry.url).write_bytes(path, json.dumps(content, sort_keys=True).encode())


def write_entries(store: Store, path: str, entries: Sequence[Entry]) -> None:
    """Leave the entries of this run in a file of its own, for its tasks."""
    store.write_bytes(path, json.dumps([asdict(entry) for entry in entries]).encode())


def read_entries(store: Store, path: str) -> list[Entry]:
    """The entries a run is compared with; none where it has no index."""
    return [Entry(**fields) for fields in json.loads(store.read_bytes(path))] if path else []


def index_keys(
    entries: Sequence[Entry], bits: int, number: int, doc_type: str
) -> Iterator[np.ndarray]:
    """The records of all entries that belong to one bin of this run's band keys."""
    band, prefix = number >> bits, number & ((1 << bits) - 1)
    for entry in entries:
        for records in entry.keys(band, prefix, bits):
            yield records.astype(band_type(doc_type))


def index_sketches(entries: Sequence[Entry], low: int, high: int, permutations: int) -> np.ndarray:
    """uint32 [high - low, permutations]: the sketches of documents of an index."""
    found = np.zeros((high - low, permutations), np.uint32)
    for entry in entries:
        for records in entry.documents("sketches", low, high, sketch_type("<u8", permutations)):
            found[records["doc"].astype(np.int64) - low] = records["sketch"]
    return found
