"""FineWeb's lists of blocked domains and URLs, opened in milliseconds as one memory-mapped file.

The lists ship in datatrove's wheel (UT1/Toulouse "adult", snapshot of December 2024): 4.6 million
domains and 20,000 URLs, which the reference reads into Python sets. Here the first process of a
machine writes 128-bit hashes of them, sorted, to the cache folder; every later one maps that file
and shares its pages with the others.

A lookup searches the 64 high bits; the 64 low bits stand in a second array that only a hit touches.
A string that is not in a list is found only if all 128 bits agree: for n entries and m lookups at
most n·m / 2^128, which is 1.4e-20 for 4.6 million entries and a trillion lookups.
"""

import contextlib
import fcntl
import importlib.util
import io
import mmap
import tarfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from decant.filters.url import UrlWords, normalize_word
from decant.pipeline.engine.cache import cache_dir, whole_file

LOW_64 = (1 << 64) - 1


def key_bytes(text: str) -> bytes:
    """The 16 bytes, most significant first, that stand for `text` in a table."""
    return xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"))


class HashedSet:
    """`text in table`, for two parallel arrays: sorted high halves, and the low halves."""

    def __init__(self, high: Sequence[int], low: Sequence[int]) -> None:
        if len(high) != len(low):
            raise ValueError(f"{len(high)} high halves but {len(low)} low halves")
        self._high = high
        self._low = low

    def __len__(self) -> int:
        return len(self._high)

    def __contains__(self, text: str) -> bool:
        if not text:
            return False
        key = int.from_bytes(key_bytes(text), "big")
        high, low = key >> 64, key & LOW_64
        at = bisect_left(self._high, high)
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return True
            at += 1
        return False


ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
MAGIC = 0x4445_4341_4E54_0001  # "DECANT", format 1
HEADER_WORDS = 4  # magic, number of domains, number of URLs, 0


@dataclass(frozen=True)
class Blocklist:
    """The two lists of addresses, mapped."""

    domains: HashedSet
    urls: HashedSet


def load_blocklist(assets: Path | None = None) -> Blocklist:
    """The lists of `assets` (datatrove's, when None), built on first use on this machine."""
    archive = (assets or datatrove_assets()) / ARCHIVE
    digest = xxhash.xxh3_128_hexdigest(archive.read_bytes())
    path = cache_dir() / f"blocklist-{digest}.u64"
    table = open_table(path)
    if table is None:
        with _only_builder(path):
            table = open_table(path)  # someone else may have built it while we waited
            if table is None:
                build_table(archive, path)
                table = open_table(path)
    if table is None:
        raise OSError(f"{path}: the blocklist just written cannot be read back; is the disk full?")
    return table


def load_words(assets: Path | None = None) -> UrlWords:
    """The three word lists of the wheel, normalised."""
    folder = assets or datatrove_assets()
    return UrlWords(
        banned=_words(folder / "banned_words.txt"),
        soft_banned=_words(folder / "soft_banned_words.txt"),
        banned_parts=_words(folder / "banned_subwords.txt"),
    )


def datatrove_assets() -> Path:
    """The folder of datatrove's data files, found without importing datatrove."""
    spec = importlib.util.find_spec("datatrove")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the blocklists ship with the package datatrove, which is not installed; "
            "install it, or set url.enabled: false"
        )
    return Path(spec.submodule_search_locations[0]) / "assets"


def open_table(path: Path) -> Blocklist | None:
    """The mapped table, or None where `path` is missing, cut short or of another format."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):  # ValueError: empty
        return None
    words = memoryview(mapped)[: len(mapped) // 8 * 8].cast("Q")
    if len(words) < HEADER_WORDS or words[0] != MAGIC:
        return None
    domains, urls = words[1], words[2]
    if len(mapped) != 8 * (HEADER_WORDS + 2 * domains + 2 * urls):
        return None
    body = words[HEADER_WORDS:]
    return Blocklist(
        domains=HashedSet(body[:domains], body[domains : 2 * domains]),
        urls=HashedSet(body[2 * domains : 2 * domains + urls], body[2 * domains + urls :]),
    )


def build_table(archive: Path, path: Path) -> None:
    """Write the hashed lists of `archive` to `path`, which appears whole or not at all."""
    with tarfile.open(archive, "r:gz") as tar:
        lists = {}
        for name in ("domains", "urls"):
            member = tar.extractfile(name)
            if member is None:
                raise ValueError(f"{archive}: {name} is not a file")
            lists[name] = _hashed(io.TextIOWrapper(member, encoding="utf-8"))
    header = np.array([MAGIC, len(lists["domains"]), len(lists["urls"]), 0], dtype=np.uint64)
    with whole_file(path) as out:
        out.write(header.tobytes())
        for keys in lists.values():
            out.write(np.ascontiguousarray(keys[:, 0]).tobytes())
            out.write(np.ascontiguousarray(keys[:, 1]).tobytes())


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """The entries of a list as the reference reads it: a line that starts with # is a comment."""
    return (line for line in lines if line[0] != "#")


def _words(path: Path) -> frozenset[str]:
    with path.open(encoding="utf-8") as lines:
        return frozenset(word for word in map(normalize_word, _entries(lines)) if word)


def _hashed(lines: Iterable[str]) -> np.ndarray:
    """uint64 [entries, 2]: high and low half of each entry's hash, sorted by the high half."""
    joined = bytearray()
    for line in _entries(lines):
        joined += key_bytes(line.strip())
    keys = np.frombuffer(joined, dtype=">u8").reshape(-1, 2)
    return keys[np.argsort(keys[:, 0], kind="stable")].astype(np.uint64)


@contextmanager
def _only_builder(path: Path) -> Iterator[None]:
    """Waits until no other process builds `path`; the system frees the lock of one that dies.

    Where a file system knows no locks, two may build at once: the same bytes, the later one stays.
    """
    with path.with_suffix(".lock").open("w") as lock:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
