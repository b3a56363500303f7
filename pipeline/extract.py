"""First stage: WARC records in, main text of pages in the wanted language out.

Every response or conversion record and every ARC document ends in exactly one row: extracted,
dropped by a named rule, or an error with a reason.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.page import documents, quarantine
from decant.pipeline.page.judge import PageJudge, url_of
from decant.pipeline.page.rows import PAGE_RECORDS, STAGE, PartitionLedger
from decant.pipeline.rundir import inputs, ledger, losses, paths
from decant.pipeline.rundir.borders import wrong_starts
from decant.pipeline.rundir.document_inputs import ROW, extra_schema
from decant.pipeline.rundir.inputs import Partition
from decant.pipeline.rundir.listing import steady_input
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import DROPPED, EXTRACTED, LINEAGE, LOSSES
from decant.pipeline.stage_keys import stage_digest
from decant.pipeline.warc.headers import parse_fields
from decant.pipeline.warc.reader import Reader, Record

STEP = "extract/pages"
BORDERS = paths.BORDERS


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The ledger entry of extracting every partition, and the inputs that could not be read."""
    partitions = inputs.load(store)
    if config.input.limit_records is not None:
        results = _run_limited(engine, config, partitions, config.input.limit_records)
    else:
        results = _run_all(engine, store, config, partitions)
    losses.collect(store, partitions, results)
    entry = {"in": 0, "kept": 0, "errors": 0, "dropped": {}, **ledger.add(results.values())}
    return {**entry, "quarantined": _given_up(results, partitions)}


def _run_all(
    engine: Engine, store: Store, config: RunConfig, partitions: Sequence[Partition]
) -> dict[str, dict]:
    """The counts of every partition, each begun where the one before it ended."""
    starts: dict[str, int] = {}
    if store.exists(BORDERS):
        starts = checked_json.read(store, BORDERS)
    rows = documents.first_rows(engine, partitions, stage_digest(config, STAGE))
    archives = [one for one in partitions if one.source.offset_kind != ROW]
    while True:
        tasks = [
            _task(one, starts.get(str(one.number)), first_row=rows.get(one.number, 0))
            for one in partitions
        ]
        results = engine.map(STEP, extract_partition, tasks, stage_digest(config, STAGE))
        wrong = wrong_starts(archives, results)
        if not wrong:
            return results
        starts |= {str(number): start for number, start in wrong.items()}
        checked_json.write(store, BORDERS, dict(sorted(starts.items())))


def _run_limited(
    engine: Engine, config: RunConfig, partitions: Sequence[Partition], limit: int
) -> dict[str, dict]:
    """The counts of partitions read one after the other until `limit` records are reached."""
    tasks: list[Task] = []
    results: dict[str, dict] = {}
    rows = documents.first_rows(engine, partitions, stage_digest(config, STAGE))
    for one in partitions:
        taken = sum(result["in"] for result in results.values())
        tasks.append(_task(one, limit=limit - taken, first_row=rows.get(one.number, 0)))
        if taken < limit:
            results = engine.map(STEP, extract_partition, tasks, stage_digest(config, STAGE))
    return engine.map(STEP, extract_partition, tasks, stage_digest(config, STAGE))


def _task(
    one: Partition, start: int | None = None, limit: int | None = None, first_row: int = 0
) -> Task:
    args = {
        "partition": one.number,
        "file": one.file,
        "file_path": one.source.file_path,
        "dump": one.source.dump,
        "by_member": one.source.offset_kind == "member",
        "start": one.start if start is None else start,
        "end": one.end,
        "limit": limit,
    }
    if one.source.offset_kind == ROW:
        args |= {"documents": one.source.container, "first_row": first_row}
    source = {key: getattr(one.source, key) for key in ("url", "size", "etag")}
    return Task(partition_name(one.number), args, source)


def _given_up(results: dict[str, dict], partitions: Sequence[Partition]) -> list[str]:
    """The files without a single record, and the pages that killed their extractor, each named."""
    records: Counter[int] = Counter()
    names: list[str] = []
    for one in partitions:
        result = results[partition_name(one.number)]
        records[one.file] += result["records_read"]
        names += [f"{one.source.url} at {offset}: {why}" for offset, why in result["given_up"]]
    sources = {one.file: one.source for one in partitions}
    empty = [
        sources[file]
        for file, count in sorted(records.items())
        if count == 0 and sources[file].offset_kind != ROW  # a table may have no rows
    ]
    if any(one for one in partitions if results[partition_name(one.number)]["limited"]):
        empty = []  # files behind the limit were not read
    return [f"{one.url}: no WARC or ARC record in its {one.size} bytes" for one in empty] + names


def extract_partition(job: Job) -> dict[str, Any]:
    """Write the extracted and the dropped rows of one partition; returns its counts."""
    if "documents" in job.task.args:
        return documents.extract_documents(job)
    args, number = job.task.args, job.task.args["partition"]
    with (
        job.store.table_writer(paths.extracted(number), _schema(job)) as kept,
        job.store.table_writer(paths.not_extracted(number), DROPPED) as dropped,
        steady_input(**job.task.inputs, config=job.config) as file,
    ):
        reader = Reader(file, args["start"], args["end"], args["by_member"])
        rows = PartitionLedger(job, kept, dropped)
        judge = PageJudge(job.config, quarantine.reasons(job.store, number))
        pages = (pair for pair in with_languages(reader) if pair[0].type in PAGE_RECORDS)
        for record, outcome in judge.outcomes(islice(pages, args["limit"])):
            rows.enter(record, outcome)
        rows.finish()
    _write_losses(job, reader)
    return {
        **rows.result(),
        **_reading_counts(reader),
        "digests": dict(sorted(judge.digests.items())),
        "limited": args["limit"] is not None,
    }


def _write_losses(job: Job, reader: Reader) -> None:
    """Name the byte ranges that could not be read, where there are any."""
    file = job.task.args["file"]
    rows = [{"file": file, **vars(one)} for one in reader.reading.losses.largest()]
    if rows:
        with job.store.table_writer(paths.losses(job.task.args["partition"]), LOSSES) as writer:
            writer.write_rows(rows)


def _schema(job: Job) -> pa.Schema:
    lineage = [LINEAGE] if job.config.extractor == "union" else []
    return pa.schema([*EXTRACTED, *lineage, *extra_schema(job.store)])


def _reading_counts(reader: Reader) -> dict[str, Any]:
    reading = reader.reading
    skipped = {kind: n for kind, n in sorted(reading.records.items()) if kind not in PAGE_RECORDS}
    return {
        "skipped": skipped,
        "records_read": reading.records.total(),
        "unreadable": dict(sorted(reading.losses.bytes_by_reason.items())),
        "unreadable_bytes": reading.losses.bytes,
        "unreadable_ranges": reading.losses.ranges,
        "wrong_lengths": reading.wrong_lengths,
        "border": [reading.first, reading.following],
    }


def with_languages(records: Iterable[Record]) -> Iterator[tuple[Record, str | None]]:
    """Each record with the `languages-cld2` of the metadata record behind it, where there is one.

    CommonCrawl (since 2018) puts a page's metadata right after its response.
    """
    waiting: Record | None = None
    for record in records:
        if waiting is not None:
            languages = None
            if record.type == "metadata" and url_of(record) == url_of(waiting):
                languages = parse_fields(record.content).get("languages-cld2")
            yield waiting, languages
            waiting = None
        if record.type == "response":
            waiting = record
        else:
            yield record, None
    if waiting is not None:
        yield waiting, None
