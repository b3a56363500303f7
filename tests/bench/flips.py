"""Bits flipped in every kind of file that a run leaves for itself: is any of them believed?

    python -m tests.bench.flips --flips 1000

A small run is made, its files are copied one by one, and one bit of each copy is flipped: half of
the flips anywhere, a quarter in the first 256 bytes, a quarter in the last 2,048 (footers, lists of
checksums, ends of lines). The file is then read as the pipeline reads it, in a process of its own.

- same: it reads as before (padding, blanks between numbers, the page index, which nobody reads)
- named error: a StorageError that names the file; `decant run` makes it again
- redone: the line counts as not there, and its task runs again
- SILENT: it reads, and differs
- CRASH: another exception, or the end of the process

A second of processor time gives some 500 flips; 1,000 a kind take about half a minute. The exit
code is 1 where anything is SILENT or a CRASH. Deduplication's spills, which no finished run keeps,
have a campaign of their own: `python -m tests.bench.dedup_flips`.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.engine import checked_json, manifest
from decant.pipeline.engine.storage import DamagedFile, StorageError, Store
from decant.pipeline.sample.crawl import generate
from decant.pipeline.shards.shuffle import ORDER_SPAN, PIECE, Range, merged, sort_rows, write_piece

OUTCOMES = ("same", "named error", "redone", "SILENT", "CRASH")
CONFIG = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
SETTINGS = ("tokens.when_missing=null", "tokens.tokenizer=none", "filter.all_measures=true")


@dataclass(frozen=True)
class Kind:
    """Files of one kind, as patterns below the run, and how the pipeline reads one of them."""

    patterns: tuple[str, ...]
    read: Callable[[Store, str], Any]


def read_table(store: Store, path: str) -> Any:
    return store.read_table(path).to_pylist()


def read_piece(store: Store, path: str) -> Any:
    tables = merged(store, [path], Range(0, ORDER_SPAN), 1)
    return [row for table in tables for row in table.to_pylist()]


def read_manifests(store: Store, path: str) -> Any:
    """The manifests by key; None for a damaged line, whose task is done again."""
    entries = list(manifest.entries(store, path))
    return [None if isinstance(one, DamagedFile) else one for one in entries]


KINDS: dict[str, Kind] = {
    "tables of 1-extracted": Kind(("1-extracted/**/*.parquet",), read_table),
    "tables of 2-filtered": Kind(("2-filtered/**/*.parquet",), read_table),
    "tables of 3-deduplicated": Kind(("3-deduplicated/**/*.parquet",), read_table),
    "inputs.parquet": Kind(("inputs.parquet",), read_table),
    "pieces": Kind(("pieces/*.arrow",), read_piece),
    "manifests": Kind(("manifests/*/*.json",), read_manifests),
    "markers": Kind(("manifests/*.done.json",), checked_json.read),
    "JSON reports": Kind(
        ("ledger.json", "2-filtered/overlap.json", "3-deduplicated/report.json",
         "4-shards/manifest.json"),
        checked_json.read,
    ),
}  # fmt: skip


def make_run(folder: Path) -> Path:
    """A finished run with all measures, and pieces of its extracted texts."""
    generate(folder / "crawl", pages=60, seed=3, files=2)
    run = folder / "run"
    request = RunRequest(
        str(CONFIG), str(run), (str(folder / "crawl"),), workers=0, settings=SETTINGS
    )
    assert execute_run(request) in (0, 3)
    store = Store(str(run))
    texts = store.read_table("1-extracted/00000.parquet")
    orders = [[hash_of(text)] for text in texts.column("text").to_pylist()]
    rows = [
        {name: row.get(name) for name in PIECE.names} | {"order": order[0]}
        for row, order in zip(texts.to_pylist(), orders, strict=True)
    ]
    write_piece(store, "pieces/00000.arrow", [sort_rows(pa.Table.from_pylist(rows, PIECE))])
    return run


def hash_of(text: str) -> int:
    return random.Random(text).getrandbits(64)


def flipped(data: bytes, rng: random.Random) -> bytes:
    """`data` with one bit changed."""
    where = rng.random()
    low, high = 0, len(data)
    if where < 0.25:
        high = min(high, 256)
    elif where < 0.5:
        low = max(0, high - 2_048)
    harmed = bytearray(data)
    harmed[rng.randrange(low, high)] ^= 1 << rng.randrange(8)
    return bytes(harmed)


def outcome(kind: Kind, store: Store, path: str, whole: Any) -> str:
    """What comes of reading a file that was harmed."""
    try:
        found = kind.read(store, path)
    except StorageError as error:
        return "named error" if path in str(error) else "CRASH"
    except Exception as error:
        print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
        return "CRASH"
    if found == whole:
        return "same"
    if kind.read is read_manifests and all(one is None or one in whole for one in found):
        return "redone"
    return "SILENT"


def campaign(name: str, run: str, flips: int, seed: int, results: str) -> None:
    """Flip bits in files of a kind, one after the other; outcomes go to a file, one a line."""
    kind, rng = KINDS[name], random.Random(f"{seed} {name}")
    store = Store(run)
    names = sorted(
        path.relative_to(run).as_posix()
        for pattern in kind.patterns
        for path in Path(run).glob(pattern)
    )
    with open(results, "a", buffering=1) as lines:
        for number in range(flips):
            path = names[number % len(names)]
            data, whole = store.read_bytes(path), kind.read(store, path)
            Path(store.path(path)).write_bytes(flipped(data, rng))
            lines.write(outcome(kind, store, path, whole) + "\n")
            Path(store.path(path)).write_bytes(data)


def tally(name: str, run: Path, flips: int, seed: int) -> Counter[str]:
    """Outcomes of one kind, counted; a process that ends early is a CRASH."""
    results = run.parent / "outcomes.txt"
    results.write_text("")
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=campaign, args=(name, str(run), flips, seed, str(results)))
    child.start()
    child.join()
    counts = Counter(results.read_text().splitlines())
    if child.exitcode:
        counts["CRASH"] += 1
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, action="append", help="all by default")
    options = parser.parse_args()
    began, bad = time.process_time(), 0
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder))
        print(f"| kind | {' | '.join(OUTCOMES)} |\n|---|{'---|' * len(OUTCOMES)}")
        for name in options.kind or KINDS:
            counts = tally(name, run, options.flips, options.seed)
            bad += counts["SILENT"] + counts["CRASH"]
            print(f"| {name} | {' | '.join(str(counts[one]) for one in OUTCOMES)} |", flush=True)
    seconds = time.process_time() - began
    print(json.dumps({"flips_a_kind": options.flips, "driver_cpu_s": round(seconds, 1)}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
