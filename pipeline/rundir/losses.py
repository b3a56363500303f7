"""What a run could not read: `RUN/losses.parquet`, and the lines that say so.

Extraction names the unreadable ranges of each partition. Here they come together with the files
that gave nothing at all, so that a lost byte is seen on the terminal, in the report and in a table,
not only as a number in the ledger.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.document_inputs import ROW
from decant.pipeline.rundir.inputs import Partition, unreadable

SHOWN = 20  # of the largest losses on the terminal; the table has all
SMALLER = "smaller_ranges"  # those of a partition that are counted but not named one by one
NO_RECORD = "no_record"
ONLY_SKIPPED = "only_skipped"
# A share of few files says little: one damaged file of ten is a tenth. From this many bytes on the
# default of `input.max_lost` applies; a value that is given applies to any input.
DEFAULT_FROM_BYTES = 1_000_000_000
DEFAULT_MAX_LOST = 0.001

SCHEMA = pa.schema(
    [
        ("file", pa.int32()),  # null: no file of the run
        ("file_path", pa.string()),
        ("offset", pa.int64()),  # null for SMALLER
        ("bytes", pa.int64()),
        ("ranges", pa.int64()),
        ("reason", pa.string()),
    ]
)


def collect(
    store: Store, partitions: Sequence[Partition], results: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write `losses.parquet`, or remove it where nothing was lost."""
    rows = [
        row
        for one in partitions
        for row in _of_partition(store, one, results[paths.partition_name(one.number)])
    ]
    rows += _of_whole_files(partitions, results, {row["file"] for row in rows})
    rows += [_unread(name) for name in unreadable(store)]
    store.remove(paths.LOSSES)
    if rows:
        with store.table_writer(paths.LOSSES, SCHEMA) as writer:
            writer.write_rows(sorted(rows, key=_place))


def read(store: Store) -> list[dict[str, Any]]:
    """The rows of `losses.parquet`, the most bytes first; none where nothing was lost."""
    if not store.exists(paths.LOSSES):
        return []
    rows = store.read_table(paths.LOSSES).to_pylist()
    return sorted(rows, key=lambda row: (-row["bytes"], *_place(row)))


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The largest losses and their total, a line each."""
    shown = [_line(row) for row in rows[:SHOWN]]
    total, ranges = (sum(row[name] for row in rows) for name in ("bytes", "ranges"))
    if len(rows) > SHOWN:
        shown.append(f"… and {len(rows) - SHOWN:,} more")
    files = len({row["file"] for row in rows} - {None})
    if not files:
        return shown
    return [
        *shown,
        f"{total:,} bytes in {ranges:,} ranges of {files:,} files could not be read or were of no "
        f"use; all of them: {paths.LOSSES}",
    ]


def too_many(
    rows: Sequence[Mapping[str, Any]], partitions: Sequence[Partition], config: RunConfig
) -> str | None:
    """Why the losses are more than the configuration lets pass; None where they are not."""
    sizes = {one.file: one.source.size for one in partitions}
    whole = sum(sizes.values())
    bound = config.input.max_lost
    if bound is None:
        bound = DEFAULT_MAX_LOST if whole >= DEFAULT_FROM_BYTES else 1.0
    lost: Counter[int] = Counter()
    for row in rows:
        if row["file"] is not None and not row["reason"].startswith(ONLY_SKIPPED):
            lost[row["file"]] += row["bytes"]
    # Some ranges count decompressed bytes: no file can lose more than it has.
    share = sum(min(count, sizes[file]) for file, count in lost.items()) / max(whole, 1)
    if share <= bound:
        return None
    return f"{share:.2%} of the input's bytes could not be read, above input.max_lost = {bound:g}"


def _of_partition(store: Store, one: Partition, counts: Mapping[str, Any]) -> list[dict]:
    path = paths.losses(one.number)
    if not counts.get("unreadable_ranges") or not store.exists(path):
        return []  # of documents, rows are lost: they are named among the inputs given up
    named = store.read_table(path).to_pylist()
    rows = [{**row, "file_path": one.source.file_path, "ranges": 1} for row in named]
    rest = counts["unreadable_ranges"] - len(named)
    if rest > 0:
        lost = counts["unreadable_bytes"] - sum(row["bytes"] for row in named)
        rows.append(_row(one, None, lost, rest, SMALLER))
    return rows


def _of_whole_files(
    partitions: Sequence[Partition],
    results: Mapping[str, Mapping[str, Any]],
    named: Collection[int],
) -> list[dict]:
    """A row for each file without a record, or with none that could become a page.

    A file without a record whose unreadable ranges are `named` already is not counted twice.
    """
    first: dict[int, Partition] = {}
    taken: Counter[int] = Counter()
    skipped: dict[int, Counter[str]] = {}
    limited = set()
    for one in partitions:
        counts = results[paths.partition_name(one.number)]
        first.setdefault(one.file, one)
        taken[one.file] += counts["in"]
        skipped.setdefault(one.file, Counter()).update(counts.get("skipped", {}))
        if counts.get("limited"):
            limited.add(one.file)
    rows = []
    for file, one in first.items():
        if taken[file] or file in limited or one.source.offset_kind == ROW:  # tables may be empty
            continue
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(skipped[file].items()))
        if not kinds and file in named:
            continue
        reason = f"{ONLY_SKIPPED}: {kinds}" if kinds else NO_RECORD
        rows.append(_row(one, 0, one.source.size, 1, reason))
    return rows


def _row(one: Partition, offset: int | None, size: int, ranges: int, reason: str) -> dict:
    return {
        "file": one.file,
        "file_path": one.source.file_path,
        "offset": offset,
        "bytes": size,
        "ranges": ranges,
        "reason": reason,
    }


def _unread(name: str) -> dict:
    """What lies in a folder of the input, looks like data, and is none of the run's files."""
    name, _, why = name.rpartition(": ")
    return {"file": None, "file_path": name, "offset": None, "bytes": 0, "ranges": 0, "reason": why}


def _place(row: Mapping[str, Any]) -> tuple[int, int, str]:
    offset = row["offset"]
    file = row["file"]
    return -1 if file is None else file, -1 if offset is None else offset, row["reason"]


def _line(row: Mapping[str, Any]) -> str:
    if row["file"] is None:
        return f"{row['file_path']} is left out: {row['reason']}"
    where = "" if row["offset"] is None else f" at byte {row['offset']:,}"
    if row["reason"].startswith(ONLY_SKIPPED):
        return (
            f"{row['file_path']}: no page in its {row['bytes']:,} bytes ({row['reason']} records)"
        )
    return f"{row['file_path']}: {row['bytes']:,} bytes lost{where} ({row['reason']})"
