"""Whether all that a run, or a published dataset, lists is still as it was written.

A run lists its files in manifests, which carry a checksum each; a dataset (a folder of shards, or a
copy of one) in `manifest.json`. Every listed file is read once, as a stream, several at a time.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import xxhash

from decant.pipeline.engine import checked_json, interrupts, manifest
from decant.pipeline.engine.storage import DamagedFile, StorageError, Store, Written
from decant.pipeline.run import STAGES, RunError, marker_path, stored_config
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.retain import released_patterns

READ_BYTES = 1 << 20
READERS = max(2, min(8, os.cpu_count() or 1))  # over a network the time is waiting
DATASET_LIST = "manifest.json"
DOCUMENTS = ("ledger.json", paths.BORDERS, paths.OVERLAP, paths.DEDUP_REPORT, paths.SHARD_MANIFEST)
TABLES = ("inputs.parquet", paths.LOSSES)


@dataclass
class Verification:
    """How many files and bytes were read, and a line for each file that is wrong."""

    files: int = 0
    bytes: int = 0
    wrong: list[str] = field(default_factory=list)


def report(url: str) -> None:
    """Print what `verify` came to; raises StorageError where a file is wrong, each being named."""
    result = verify(url)
    for line in result.wrong:
        print(f"decant: {line}", file=sys.stderr)
    print(f"{result.files:,} files, {result.bytes:,} bytes read, {len(result.wrong)} wrong")
    if result.wrong:
        raise StorageError(
            f"{url}: delete what is damaged and run the command that made it again: it makes only "
            "what is missing"
        )


def verify(url: str) -> Verification:
    """What became of the files of the run or dataset at `url`; RunError where it is neither."""
    store = Store(url)
    if store.exists("inputs.parquet") or store.list("manifests"):
        return _verify_run(store)
    if store.exists(DATASET_LIST):
        return _verify_dataset(store)
    raise RunError(f"{url} is neither a run directory nor a dataset with a {DATASET_LIST}")


def _verify_run(store: Store) -> Verification:
    result = Verification()
    _read_documents(store, result)
    for path in TABLES:
        if store.exists(path):
            _look(result, path, store.size(path), _unreadable(store, path))
    listed, damaged = _listed(store)
    result.wrong += [_line(damage.path, damage.what) for damage in damaged]
    _compare(store, listed, result)
    return result


def _verify_dataset(store: Store) -> Verification:
    result = Verification()
    try:
        content = checked_json.read(store, DATASET_LIST)
        listed = {
            str(one["path"]): [Written(str(one["path"]), int(one["bytes"]), str(one["xxh3_128"]))]
            for one in content["files"]
        }
    except DamagedFile as damage:
        result.wrong.append(_line(DATASET_LIST, damage.what))
        return result
    except (KeyError, TypeError, ValueError):
        result.wrong.append(_line(DATASET_LIST, "it is no list of files"))
        return result
    _look(result, DATASET_LIST, store.size(DATASET_LIST), None)
    _compare(store, listed, result)
    return result


def _listed(store: Store) -> tuple[dict[str, list[Written]], list[DamagedFile]]:
    """(what the manifests say of each file that ought to be there; the manifests' damaged lines).

    A file may be listed twice: texts are shortened once a run is finished (`retain`).
    """
    gone = [
        folder for stage in STAGES if store.exists(marker_path(stage)) for folder in stage.scratch
    ]
    listed: dict[str, list[Written]] = {}
    damaged = []
    for name in store.list("manifests"):
        if name.endswith(".done.json"):
            continue
        for one in manifest.entries(store, name):
            if isinstance(one, DamagedFile):
                damaged.append(one)
                continue
            for output in one.outputs:
                if not output.path.startswith(tuple(gone)):
                    listed.setdefault(output.path, []).append(output)
    return listed, damaged


def _read_documents(store: Store, result: Verification) -> None:
    """Look into the JSON files that no manifest lists: each carries a checksum of its own."""
    for path in (*DOCUMENTS, *(marker_path(stage) for stage in STAGES)):
        if store.exists(path):
            try:
                checked_json.read(store, path)
                _look(result, path, store.size(path), None)
            except StorageError as error:
                _look(result, path, store.size(path), _what(error))


def _compare(store: Store, listed: dict[str, list[Written]], result: Verification) -> None:
    released = _released(store)
    with ThreadPoolExecutor(READERS) as pool:
        lines = pool.map(lambda path: _difference(store, path, listed[path]), sorted(listed))
        for path, (size, what) in zip(sorted(listed), lines, strict=True):
            interrupts.check()
            if size is None and any(re.fullmatch(pattern, path) for pattern in released):
                continue
            _look(result, path, size or 0, what)


def _released(store: Store) -> list[str]:
    """Regular expressions of what a finished run has let go (`retain`); none for a dataset."""
    finished = store.exists(marker_path(STAGES[-1]))
    return released_patterns(stored_config(store).retain) if finished else []


def _difference(
    store: Store, path: str, listed: Iterable[Written]
) -> tuple[int | None, str | None]:
    """(the size of a file or None where it is missing, what is wrong with it or None)."""
    digest, size = xxhash.xxh3_128(), 0
    try:
        for block in _blocks(store, path):
            digest.update(block)
            size += len(block)
    except FileNotFoundError:
        return None, "it is missing"
    except OSError as error:
        return size, f"it cannot be read ({error})"
    if any((one.bytes, one.checksum) == (size, digest.hexdigest()) for one in listed):
        return size, None
    sizes = sorted({one.bytes for one in listed})
    if size not in sizes:
        return size, f"it has {size:,} bytes, not {' or '.join(f'{one:,}' for one in sizes)}"
    return size, "its checksum is another"


def _blocks(store: Store, path: str) -> Iterator[bytes]:
    with store.open(path) as file:
        while block := file.read(READ_BYTES):
            yield block


def _unreadable(store: Store, path: str) -> str | None:
    """What is wrong with a table that carries its own checksums; None if all of it can be read."""
    try:
        for _ in store.iter_batches(path):
            pass
    except StorageError as error:
        return _what(error)
    return None


def _look(result: Verification, path: str, size: int, what: str | None) -> None:
    result.files += 1
    result.bytes += size
    if what is not None:
        result.wrong.append(_line(path, what))


def _line(path: str, what: str) -> str:
    return f"{path}: {what}"


def _what(error: StorageError) -> str:
    return error.what if isinstance(error, DamagedFile) else str(error)
