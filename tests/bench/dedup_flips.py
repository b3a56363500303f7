"""What a flipped bit in deduplication's own files comes to, tried on every kind of them.

    python -m tests.bench.dedup_flips --flips 1000      all kinds; --kinds bands: those named so

Small runs are made with their scratch left, and every task on the way is recorded: its function and
arguments, the files it read, what it counted and wrote. Then a bit of one file is flipped (half of
the time near its beginning or end, where heads and footers are), and the tasks that read the file
run again, in a process of their own. Every flip must be noticed by name or change nothing:

    named    an error that names the flipped file      same      nothing came out otherwise
    SILENT   another result, and no error              CRASH     the process died, or hung
    UNNAMED  an error that does not name the file

`--redo` does the same for so many flips a kind through the whole stage, which must make the file
again and end with the same bytes. Exit code 1 where a flip came to one of the words in capitals.
Budget: 8 ms of processor time a flip, so 6 minutes on a free core for deduplication's 44 kinds by
1,000; `pipeline/DEDUP.md` has the figures.
"""

import argparse
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from decant.pipeline.engine import execute
from decant.pipeline.engine.execute import Job, Task
from decant.pipeline.engine.storage import Store
from tests.bench.dedup_flip_scenes import DEDUP_KINDS, SCENES, Kind, Rerun

KINDS: tuple[Kind, ...] = DEDUP_KINDS
GOOD = ("same", "named", "redone")
MOST_S = 60  # for one flip: what takes longer hangs
HEAD_BYTES, TAIL_BYTES = 256, 64


@dataclass(frozen=True)
class Done:
    """A task that was run: what it takes to run it again, and what it came to."""

    step: str
    function: execute.Step
    url: str
    config: Any
    task: Task
    reads: frozenset[str]
    counts: str
    written: tuple

    @property
    def folder(self) -> str:
        return Store(self.url).path("")

    def again(self) -> str:
        """Run the task once more; `same`, `SILENT` or its exception."""
        store = Store(self.url)
        counts = json.dumps(self.function(Job(store, self.config, self.task)), sort_keys=True)
        return "same" if (counts, checksums(store)) == (self.counts, self.written) else "SILENT"


def checksums(store: Store) -> tuple:
    return tuple(sorted((one.path, one.checksum) for one in store.written))


@dataclass
class Recording:
    """A scene that was made: its tasks, its files, and what runs its stage again."""

    folder: Path
    rerun: Rerun
    tasks: list[Done]
    files: dict[str, bytes] = field(default_factory=dict)

    def paths(self, kind: Kind) -> list[str]:
        """The files of a kind that somebody reads."""
        files = sorted(str(path) for path in self.folder.glob(kind.pattern))
        return [path for path in files if kind.by_stage or self.readers(path)]

    def readers(self, path: str) -> list[Done]:
        return [one for one in self.tasks if path in one.reads]

    def steps_after(self, path: str) -> list[str]:
        """The steps that began after the one that wrote a file; all where no task wrote it."""
        steps = list(dict.fromkeys(one.step for one in self.tasks))
        for one in self.tasks:
            if any(path == f"{one.folder}/{written}" for written, _ in one.written):
                return steps[steps.index(one.step) + 1 :]
        return steps

    def mend(self, flip: "Flip") -> None:
        """Put back a flipped file and what the tasks that read it may have written otherwise."""
        outputs = [
            f"{one.folder}/{path}" for one in self.readers(flip.path) for path, _ in one.written
        ]
        for path in {flip.path, *outputs}:
            Path(path).write_bytes(self.files[path])

    def restore(self) -> None:
        """Put back every file that is not as it was, and remove what was not there."""
        for path in self.folder.rglob("*"):
            if path.is_file() and str(path) not in self.files:
                path.unlink()
        for name, data in self.files.items():
            path = Path(name)
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def record(name: str, folder: Path) -> Recording:
    """The scene of this name below a folder."""
    tasks: list[Done] = []
    touched: dict[str, bool] = {}  # path: whether it was there before the task
    run_task, full_path = execute.execute, Store.path

    def path(store: Store, relative: str) -> str:
        full = full_path(store, relative)
        touched.setdefault(full, os.path.isfile(full))
        return full

    def recorded(step, function, url, config, task, digest):
        touched.clear()
        done = run_task(step, function, url, config, task, digest)
        written = tuple(sorted((one.path, one.checksum) for one in done.outputs))
        reads = frozenset(full for full, there in touched.items() if there)
        counts = json.dumps(done.counts, sort_keys=True)
        tasks.append(Done(step, function, url, config, task, reads, counts, written))
        return done

    with mock.patch.object(execute, "execute", recorded), mock.patch.object(Store, "path", path):
        rerun = SCENES[name](folder)
    files = {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    return Recording(folder, rerun, tasks, files)


@dataclass(frozen=True)
class Flip:
    """One bit of one file."""

    path: str
    bit: int

    def apply(self, data: bytes) -> None:
        flipped = bytearray(data)
        flipped[self.bit // 8] ^= 1 << self.bit % 8
        with open(self.path, "r+b") as file:
            file.write(flipped)


def flips_of(recording: Recording, kind: Kind, count: int) -> list[Flip]:
    """Flips in the files of a kind, the same at every call."""
    rng = np.random.default_rng(zlib.crc32(kind.name.encode()))
    paths = recording.paths(kind)
    flips = []
    for _ in range(count if paths else 0):
        path = paths[int(rng.integers(len(paths)))]
        size = len(recording.files[path])
        where = rng.random()
        low = max(0, size - TAIL_BYTES) if where < 0.15 else 0
        high = min(size, HEAD_BYTES) if 0.15 <= where < 0.5 else size
        flips.append(Flip(path, 8 * int(rng.integers(low, high)) + int(rng.integers(8))))
    return flips


def outcome(recording: Recording, kind: Kind, flip: Flip) -> str:
    """What a flip comes to; all files are as before afterwards."""
    flip.apply(recording.files[flip.path])
    try:
        if kind.by_stage:
            recording.rerun()
            return "same"
        results = {one.again() for one in recording.readers(flip.path)}
        return "SILENT" if "SILENT" in results else "same"
    except Exception as error:
        return "named" if os.path.basename(flip.path) in str(error) else f"UNNAMED {error!r}"
    finally:
        recording.mend(flip)


def redone(recording: Recording, flip: Flip) -> str:
    """What a flip comes to when the steps that had not read the file go on, as after a kill."""
    flip.apply(recording.files[flip.path])
    for step in recording.steps_after(flip.path):
        (recording.folder / "run" / "manifests" / f"{step}.json").unlink(missing_ok=True)
    try:
        recording.rerun()
        lasting = {
            name: data
            for name, data in recording.files.items()
            if "/3-deduplicated/" in name and "/_scratch/" not in name
        }
        same = all(Path(name).read_bytes() == data for name, data in lasting.items())
        return "redone" if same else "SILENT"
    except Exception as error:
        return "named" if os.path.basename(flip.path) in str(error) else f"UNNAMED {error!r}"
    finally:
        recording.restore()


def in_child(recording: Recording, kind: Kind, flips: Sequence[Flip], redo: bool) -> Iterator[str]:
    """The outcome of each flip; a process that dies costs the flip it was at, and is replaced."""
    place = 0
    while place < len(flips):
        source, sink = os.pipe()
        child = os.fork()
        if not child:
            work(recording, kind, flips[place:], redo, sink)
        os.close(sink)
        for word in lines_of(source):
            yield word
            place += 1
        os.close(source)
        _, status = os.waitpid(child, 0)
        if place < len(flips):
            recording.restore()
            yield f"CRASH status {status}"
            place += 1


def work(
    recording: Recording, kind: Kind, flips: Sequence[Flip], redo: bool, sink: int
) -> None:  # never returns
    """The child's part: an outcome a line."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    for flip in flips:
        signal.alarm(MOST_S)
        word = redone(recording, flip) if redo else outcome(recording, kind, flip)
        os.write(sink, word.replace("\n", " ").encode() + b"\n")
    os._exit(0)


def lines_of(source: int) -> Iterator[str]:
    """Lines out of a pipe until its end."""
    rest = b""
    while True:
        select.select([source], [], [])
        data = os.read(source, 1 << 16)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in whole)


def campaign(recording: Recording, kind: Kind, count: int, redo: bool = False) -> Counter[str]:
    """How often each outcome came, and one example of each bad one on stderr."""
    flips = flips_of(recording, kind, count)
    words: Counter[str] = Counter()
    for flip, word in zip(flips, in_child(recording, kind, flips, redo), strict=True):
        head = word.split(" ", 1)[0]
        if head not in GOOD and not words[head]:
            print(f"{kind.name}: {flip}: {word}", file=sys.stderr)
        words[head] += 1
    recording.restore()
    return words


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1_000, help="of every kind of file")
    parser.add_argument("--redo", type=int, default=3, help="of every kind, through the stage")
    parser.add_argument("--kinds", nargs="*", default=[], help="parts of names")
    args = parser.parse_args(arguments)
    chosen = [
        one for one in KINDS if not args.kinds or any(part in one.name for part in args.kinds)
    ]
    total: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp(prefix="decant-flips-"))
    try:
        for scene in sorted({one.scene for one in chosen}):
            recording = record(scene, folder / scene)
            for kind in (one for one in chosen if one.scene == scene):
                start = time.monotonic()
                words = campaign(recording, kind, args.flips)
                words += campaign(recording, kind, args.redo, redo=True)
                total += words
                files = len(recording.paths(kind))
                print(f"{kind.name:28} {files:4} files {time.monotonic() - start:6.1f} s", end=" ")
                print(
                    " ".join(f"{word} {count}" for word, count in sorted(words.items())), flush=True
                )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("all", dict(total))
    raise SystemExit(any(word not in GOOD for word in total))


if __name__ == "__main__":
    main()
