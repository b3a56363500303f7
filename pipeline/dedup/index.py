"""The index of earlier dumps: what a new dump is compared with, without touching the old ones.

`dedup.index` is a folder (any fsspec URL) of entries, one per finished run, numbered in the order
in which they came: band keys in bin order, sketches and ids of the documents, and whom the dropped
ones followed. Under `greedy` an entry holds the kept documents only: nobody else can cause a drop.
Under `cluster` it holds all of them, so that a new document joins a cluster through any member.

A run numbers the documents of all entries before its own; to it they are documents that have been
decided. An entry is committed by its `entry.json`, written last, and never changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from fsspec.core import url_to_fs

from decant.pipeline.dedup.formats import band_type, sketch_type
from decant.pipeline.dedup.signatures import SignatureError
from decant.pipeline.dedup.spill_file import WHOLE
from decant.pipeline.dedup.spills import SpillName, open_spill
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.damage import DamagedFile, StorageError
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths

FORMAT = 3  # of an entry. 2: band keys by multiplication. 3: checksums


class DamagedIndex(StorageError):
    """A file of an index is damaged; nothing in a run can make it again."""

    def __init__(self, damage: DamagedFile | str, folder: str = ""):
        if isinstance(damage, DamagedFile):
            super().__init__(
                f"{damage.url}/{damage.path} is damaged: {damage.what}; delete {folder} and the "
                "entries after it from the index, and run their dumps with dedup.index again"
            )
        else:  # as it comes out of another process
            super().__init__(damage)


@dataclass(frozen=True)
class Entry:
    """One finished run in an index; `base` is the number of its first document in this run."""

    url: str  # of the index
    folder: str
    docs: int
    prefix_bits: int
    width: int  # documents per bin of the sketch, id and label files
    spills: dict[str, list[list]] = field(default_factory=dict)
    base: int = 0

    def names(self, kind: str) -> list[SpillName]:
        """The files of one kind: keys, sketches, ids or labels."""
        return [SpillName(*entry) for entry in self.spills.get(kind, [])]

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
        """The records of bins low <= bin < high of one kind of files, numbered for this run."""
        store = Store(self.url)
        base = np.uint64(self.base)
        # The root of a label counts from the first entry of the index, which may be an earlier one.
        limits = {"doc": (0, self.docs), "root": (0, self.base + self.docs)}
        for name in self.names(kind):
            if name.first >= high or name.first + name.bins <= low:
                continue
            try:
                for records in open_spill(store, name).chunks(low, high, dtype, WHOLE, limits):
                    records["doc"] += base
                    yield records
            except DamagedFile as damage:
                raise damage if self.is_scratch else DamagedIndex(damage, self.folder) from None

    @property
    def is_scratch(self) -> bool:
        """Whether the entry is one that this run made for itself, of a dataset."""
        return self.folder.startswith(f"{paths.DEDUP_SCRATCH}/")


def absolute(url: str) -> str:
    """The URL with its scheme, and a local path from the root: workers may run elsewhere."""
    fs, path = url_to_fs(url)
    return fs.unstrip_protocol(path)


def entry_files(store: Store) -> list[tuple[str, dict[str, Any]]]:
    """(path, content) of the `entry.json` of every entry, oldest first."""
    paths = [path for path in store.list("") if path.endswith("/entry.json")]
    return [(path, entry_content(store, path)) for path in paths]


def entry_content(store: Store, path: str) -> dict[str, Any]:
    """The content of one `entry.json`, refused where it is damaged or of another format."""
    data = store.read_bytes(path)
    number: Any = "1 or 2"
    try:
        content = checked_json.decode(data, store.url, path)
        number = content.get("entry_format")
    except DamagedFile as damage:
        if b'"own": ' not in data or b'"checksum": ' in data:  # keys of formats 1 and 2, and of 3
            raise DamagedIndex(damage, damage.path.rsplit("/", 1)[0]) from None
    if number != FORMAT:
        raise SignatureError(
            f"{store.url}/{path}: an entry of format {number}, this version reads {FORMAT}; build "
            "the index again"
        )
    return content


def open_entries(url: str, run: str, settings: Mapping[str, Any]) -> list[Entry]:
    """The entries that were there before this run's own, oldest first, without their bases.

    `run` is the run's name in an index, `settings` what its entries must have in common.
    """
    store = Store(url)
    entries = []
    for path, content in entry_files(store):
        if content["run"] == run:
            break
        if content["settings"] != settings:
            raise SignatureError(
                f"{url}/{path}: the index was made with {content['settings']}, the configuration "
                f"says {settings}"
            )
        entries.append(made_entry(store, path, {**content["entry"], "url": url}))
    return entries


def made_entry(store: Store, path: str, fields: Mapping[str, Any]) -> Entry:
    """The entry with the fields that a file gives, refused where its sizes make no sense."""
    try:
        entry = Entry(**fields)
        sound = min(entry.docs, entry.prefix_bits, entry.width - 1) >= 0 and entry.prefix_bits < 64
    except TypeError as error:
        raise DamagedFile(store.url, path, f"it is no entry of an index ({error})") from None
    if not sound:
        raise DamagedFile(store.url, path, "an entry has a size below zero")
    return entry


def next_folder(url: str, run: str) -> str:
    """Where this run's entry goes: the place it already has, else the next one."""
    entries = entry_files(Store(url))
    for path, content in entries:
        if content["run"] == run:
            return path.rsplit("/", 1)[0]
    return f"{len(entries):05d}-{run[:12]}"


def numbered(entries: Sequence[Entry]) -> tuple[list[Entry], int]:
    """The entries with their bases one after the other, and the number of documents."""
    placed, base = [], 0
    for entry in entries:
        placed.append(Entry(**{**asdict(entry), "base": base}))
        base += entry.docs
    return placed, base


def commit(entry: Entry, run: str, settings: Mapping[str, Any]) -> None:
    """Make the entry part of its index."""
    fields = {name: value for name, value in asdict(entry).items() if name not in ("url", "base")}
    content = {"entry_format": FORMAT, "run": run, "settings": settings, "entry": fields}
    checked_json.write(Store(entry.url), f"{entry.folder}/entry.json", content)


def write_entries(store: Store, path: str, entries: Sequence[Entry]) -> None:
    """Leave the entries of this run in a file of its own, for its tasks."""
    listed = [asdict(entry) for entry in entries]
    store.write_bytes(path, checked_json.encode({"entries": listed}))


def read_entries(store: Store, path: str) -> list[Entry]:
    """The entries a run is compared with; none where it has no index."""
    if not path:
        return []
    try:
        listed = checked_json.read(store, path)["entries"]
    except FileNotFoundError:
        raise DamagedFile(store.url, path, "it is missing") from None
    except KeyError:
        raise DamagedFile(store.url, path, "it lists no entries") from None
    return [made_entry(store, path, fields) for fields in listed]


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
    sketches = np.zeros((high - low, permutations), np.uint32)
    for entry in entries:
        for records in entry.documents("sketches", low, high, sketch_type("<u8", permutations)):
            sketches[records["doc"].astype(np.int64) - low] = records["sketch"]
    return sketches
