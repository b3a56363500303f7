"""Repeated lines: which lines of a run's documents go under `dedup.lines`, and who goes with them.

    decided ─ line-hashes ─▶ hashes of windows by bin ─ line-repeats ─▶ repeats by partition
            ─ lines ─▶ 3-deduplicated/lines, 3-deduplicated/dropped

Off in every shipped configuration: FineWeb found models worse for it (`rules.FINEWEB`).
What a repeat is stands in `filters/repeated_lines.py`; two windows are taken as equal when 128 bits
of xxh3 are, by chance once among 10^11 different windows with probability 10^-17. A partition is
the unit of the first and last step, a range of hashes that of the second, within
`dedup.memory_mb`; neither cut shows in the result.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from decant.filters.repeated_lines import filled_lines, lines_of, windows, without_lines
from decant.pipeline.config import LinesConfig, RunConfig
from decant.pipeline.dedup.bands import dump_salt
from decant.pipeline.dedup.formats import REPEAT, WINDOW
from decant.pipeline.dedup.layout import Part
from decant.pipeline.dedup.rules import LINES_RULE
from decant.pipeline.dedup.spill_file import Limits
from decant.pipeline.dedup.spills import Spill, read_bins, read_whole
from decant.pipeline.dedup.steps import SCRATCH, Steps
from decant.pipeline.engine.execute import Job
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import DUPLICATES, REMOVED_LINES
from decant.pipeline.rundir.texts import unique_documents

DECIDED = f"{SCRATCH}/decided"  # the tables of duplicates, before those of this rule join them
DROPPED = paths.DUPLICATES
LINES = paths.REPEATED_LINES
# A document's 100 windows of 32 bytes, sorted at 128: 2^7 times the bytes of its band key.
MORE_BITS = 7
MOST_BITS = 20  # an offset table of 8 MB in front of each file
SORT_BYTES = 128  # a window's record, its place in the order, the copies of both


def remove_repeated(steps: Steps, lines: LinesConfig) -> dict[str, int]:
    """The report's entry on lines; the tables of dropped documents are whole after it."""
    bits = min(steps.layout.prefix_bits + MORE_BITS, MOST_BITS)
    compared = total(per_part(steps, "line-hashes", spill_windows, bits=bits), "windows")
    hashes = steps.settled("line-hashes", 1 << bits)
    memory = steps.config.dedup.memory_mb << 20
    width = 1 << bits  # bins per task, as many as fit
    while width > 1 and compared * SORT_BYTES * width > memory << bits:
        width //= 2
    given = {"hashes": hashes, "partitions": len(steps.parts)}
    tasks = [
        steps.task("line-repeats", f"{low:08d}", low=low, high=low + width, **given)
        for low in range(0, 1 << bits, width)
    ]
    repeated = total(steps.run("line-repeats", find_repeats, tasks), "repeats")
    repeats = steps.settled("line-repeats", len(steps.parts))
    edits = per_part(steps, "lines", write_lines, repeats=repeats)
    names = ("documents", "removed_lines", "removed_chars", "dropped")
    counts = {name: total(edits, name) for name in names}
    return {"window": lines.window, "compared": compared, "repeated": repeated, **counts}


def per_part(steps: Steps, step: str, function, **args) -> dict[str, dict]:
    """Run a step over the partitions, numbered by `rank` in row-key order."""
    tasks = [
        steps.task(step, partition_name(part.number), part=part.as_args(), rank=rank, **args)
        for rank, part in enumerate(steps.parts)
    ]
    return steps.run(step, function, tasks)


def total(results: dict[str, dict], name: str) -> int:
    """The sum of a count over tasks."""
    return sum(one[name] for one in results.values())


def numbered_documents(job: Job, part: Part) -> Iterator[tuple[int, pa.Table]]:
    """(number of the first row, survivors of document deduplication) of one partition."""
    number = part.base  # in row-key order, with gaps where there are no survivors
    for table in unique_documents(job.store, part.number, DECIDED):
        yield number, table
        number += table.num_rows


def spill_windows(job: Job) -> dict:
    """Send the hashes of the windows of one partition's documents to their bins."""
    args = job.task.args
    part = Part(*args["part"])
    prefix = f"{args['folder']}/{part.number:05d}"
    spill = Spill(job.store, prefix, 1 << args["bits"], args["layout"]["payload"])
    count = 0
    for first, table in numbered_documents(job, part):
        for row in range(table.num_rows):  # one text at a time: a batch of them may be large
            text, dump = (table.column(name)[row].as_py() for name in ("text", "dump"))
            records = window_records(text, dump, job.config)
            records["doc"], records["part"] = first + row, args["rank"]
            spill.add(records, records["key"] >> np.uint64(64 - args["bits"]))
            count += len(records)
    return {"spills": spill.close(), "windows": count}


def window_records(text: str, dump: str | None, config: RunConfig) -> np.ndarray:
    """The places and hashes of a text's windows; under `scope: dump` its dump seeds the hash."""
    lines = config.dedup.lines
    assert lines is not None
    seed = dump_salt(dump) if config.dedup.scope == "dump" else 0
    places, keys = windows(filled_lines(text)[1], lines.window, lines.min_chars)
    digests = [xxhash.xxh3_128_digest(key.encode("utf-8", "surrogatepass"), seed) for key in keys]
    words = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
    records = np.zeros(len(places), WINDOW)
    records["place"], records["key"], records["check"] = places, words[:, 0], words[:, 1]
    return records


def first_occurrences(records: np.ndarray) -> np.ndarray:
    """The first record of each hash by document and place, sorted by hash."""
    order = np.lexsort(tuple(records[name] for name in ("place", "doc", "check", "key")))
    records = records[order]
    if not len(records):
        return records
    same = (records["key"][1:] == records["key"][:-1]) & (
        records["check"][1:] == records["check"][:-1]
    )
    return records[np.r_[True, ~same]]


def find_repeats(job: Job) -> dict:
    """Spill the repeats among the windows of one range of bins, by partition."""
    args, lines = job.task.args, job.config.dedup.lines
    assert lines is not None
    payload = args["layout"]["payload"]
    rows = max(64, payload // (2 * WINDOW.itemsize))
    limits: Limits = {"part": (0, args["partitions"])}
    span = args["hashes"], args["low"], args["high"], WINDOW, rows, limits
    firsts = np.empty(0, WINDOW)
    for records in read_bins(job.store, *span):
        firsts = first_occurrences(np.concatenate([firsts, records]))
    spill = Spill(job.store, f"{args['folder']}/{args['low']:08d}", args["partitions"], payload)
    count = 0
    for records in read_bins(job.store, *span):
        at = np.searchsorted(firsts["key"], records["key"])
        while (other := firsts["check"][at] != records["check"]).any():
            at[other] += 1  # two windows may share 64 of their 128 bits
        first = firsts[at]
        apart = records["place"].astype(np.int64) - first["place"] >= lines.window
        again = records[(records["doc"] != first["doc"]) | apart]
        repeats = np.zeros(len(again), REPEAT)
        repeats["doc"], repeats["place"] = again["doc"], again["place"]
        spill.add(repeats, again["part"])
        count += len(again)
    return {"spills": spill.close(), "repeats": count}


def write_lines(job: Job) -> dict:
    """Write the removed lines of one partition, and its dropped table with this rule's rows."""
    args = job.task.args
    part = Part(*args["part"])
    name = f"{partition_name(part.number)}.parquet"
    repeats = read_whole(job.store, args["repeats"], args["rank"], args["rank"] + 1, REPEAT)
    repeats = repeats[np.lexsort((repeats["place"], repeats["doc"]))]
    counts = {"documents": 0, "removed_lines": 0, "removed_chars": 0, "dropped": 0}
    dropped: list[dict] = []
    with job.store.table_writer(f"{LINES}/{name}", REMOVED_LINES) as writer:
        for first, table in numbered_documents(job, part):
            start, stop = np.searchsorted(repeats["doc"], [first, first + table.num_rows])
            places: dict[int, list[int]] = {}  # by row
            for doc, place in repeats[start:stop].tolist():
                places.setdefault(doc - first, []).append(place)
            rows = ((table.slice(row, 1).to_pylist()[0], at) for row, at in places.items())
            writer.write_rows([edited(row, at, job.config, counts, dropped) for row, at in rows])
    write_dropped(job, name, dropped)
    return counts


def edited(
    row: dict[str, Any], places: list[int], config: RunConfig, counts: dict, dropped: list[dict]
) -> dict[str, Any]:
    """The record of a document that loses lines, after it is counted and, if need be, dropped."""
    lines = config.dedup.lines
    assert lines is not None
    numbers = lines_of(row["text"], places, lines.window)
    text = without_lines(row["text"], numbers)
    counts["documents"] += 1
    counts["removed_lines"] += len(numbers)
    counts["removed_chars"] += len(row["text"]) - len(text)
    words = len(text.split())
    if words < max(lines.min_words, 1):
        counts["dropped"] += 1
        detail = f"{len(numbers)} lines removed, {words} words left"
        dropped.append(
            {name: row[name] for name in ("id", "url", "file", "offset")}
            | {"stage": "deduplicate", "rule": LINES_RULE, "value": words, "detail": detail}
            | {"bound": max(lines.min_words, 1), "cluster_size": row["minhash_cluster_size"]}
        )
    return {"file": row["file"], "offset": row["offset"], "removed": numbers}


def write_dropped(job: Job, name: str, rows: list[dict]) -> None:
    """Write one partition's dropped table: its duplicates and `rows`, in row-key order."""
    table = job.store.read_table(f"{DECIDED}/{name}")
    if rows:
        more = pa.Table.from_pylist(rows, schema=DUPLICATES)
        table = pa.concat_tables([table.cast(DUPLICATES), more])
        table = table.sort_by([("file", "ascending"), ("offset", "ascending")])
    with job.store.table_writer(f"{DROPPED}/{name}", DUPLICATES) as writer:
        writer.write(table)
