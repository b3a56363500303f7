"""First stage: WARC records in, main text of pages in the wanted language out.

Every response or conversion record and every ARC document ends in exactly one row: extracted,
dropped by a named rule, or an error with a reason.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from decant.pipeline import quarantine
from decant.pipeline.config import RunConfig, stage_digest
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store, TableWriter
from decant.pipeline.outcomes import Dropped, Failed, Outcome, Page
from decant.pipeline.pages import PageJudge, Waiting, url_of
from decant.pipeline.rundir import inputs, ledger
from decant.pipeline.rundir.inputs import Partition, wrong_starts
from decant.pipeline.rundir.records import DROPPED, EXTRACTED, LINEAGE, partition_name
from decant.pipeline.warc import Reader, Record
from decant.pipeline.warc_headers import parse_fields

STAGE = "extract"
STEP = "extract/pages"
BORDERS = "1-extracted/borders.json"
PAGE_RECORDS = ("response", "conversion")
ERROR = "error"  # the rule of a row that is an error; its reason is in `detail`
BUFFER_ROWS = 200
# What is read before the pages among it go to the extractor together: see PageGuard.extract_all.
BATCH_RECORDS = 32
BATCH_BYTES = 8 << 20  # of records and of what was decoded of them


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The ledger entry of extracting every partition, and the inputs that could not be read."""
    partitions = inputs.load(store)
    if config.input.limit_records is not None:
        results = _run_limited(engine, config, partitions, config.input.limit_records)
    else:
        results = _run_all(engine, store, config, partitions)
    entry = {"in": 0, "kept": 0, "errors": 0, "dropped": {}, **ledger.add(results.values())}
    return {**entry, "quarantined": _given_up(results, partitions)}


def _run_all(
    engine: Engine, store: Store, config: RunConfig, partitions: Sequence[Partition]
) -> dict[str, dict]:
    """The counts of every partition, each begun where the one before it ended."""
    starts: dict[str, int] = {}
    if store.exists(BORDERS):
        starts = json.loads(store.read_bytes(BORDERS))
    while True:
        tasks = [_task(one, starts.get(str(one.number))) for one in partitions]
        results = engine.map(STEP, extract_partition, tasks, stage_digest(config, STAGE))
        wrong = wrong_starts(partitions, results)
        if not wrong:
            return results
        starts |= {str(number): start for number, start in wrong.items()}
        store.write_bytes(BORDERS, json.dumps(starts, sort_keys=True).encode())


def _run_limited(
    engine: Engine, config: RunConfig, partitions: Sequence[Partition], limit: int
) -> dict[str, dict]:
    """The counts of partitions read one after the other until `limit` records are reached."""
    tasks: list[Task] = []
    results: dict[str, dict] = {}
    for one in partitions:
        taken = sum(result["in"] for result in results.values())
        tasks.append(_task(one, limit=limit - taken))
        if taken < limit:
            results = engine.map(STEP, extract_partition, tasks, stage_digest(config, STAGE))
    return engine.map(STEP, extract_partition, tasks, stage_digest(config, STAGE))


def _task(one: Partition, start: int | None = None, limit: int | None = None) -> Task:
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
    empty = [sources[file] for file, count in sorted(records.items()) if count == 0]
    if any(one for one in partitions if results[partition_name(one.number)]["limited"]):
        empty = []  # files behind the limit were not read
    return [f"{one.url}: no WARC or ARC record in its {one.size} bytes" for one in empty] + names


def extract_partition(job: Job) -> dict[str, Any]:
    """Write the extracted and the dropped rows of one partition; returns its counts."""
    args, name = job.task.args, f"{partition_name(job.task.args['partition'])}.parquet"
    with (
        job.store.table_writer(f"1-extracted/{name}", _schema(job.config)) as kept,
        job.store.table_writer(f"1-extracted/dropped/{name}", DROPPED) as dropped,
        inputs.open_input(job.task.inputs["url"]) as file,
    ):
        reader = Reader(file, args["start"], args["end"], args["by_member"])
        ledger_of = PartitionLedger(job, kept, dropped)
        if args["limit"] != 0:
            for record, languages in with_languages(reader):
                ledger_of.take(record, languages)
                if ledger_of.counts["in"] == args["limit"]:
                    break
        ledger_of.finish()
    return {**ledger_of.result(), **_reading_counts(reader), "limited": args["limit"] is not None}


def _schema(config: RunConfig) -> pa.Schema:
    return EXTRACTED.append(LINEAGE) if config.extractor == "union" else EXTRACTED


def _reading_counts(reader: Reader) -> dict[str, Any]:
    reading = reader.reading
    skipped = {kind: n for kind, n in sorted(reading.records.items()) if kind not in PAGE_RECORDS}
    return {
        "skipped": skipped,
        "records_read": reading.records.total(),
        "unreadable_bytes": reading.lost_bytes,
        "unreadable_ranges": reading.lost_ranges,
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
            found = None
            if record.type == "metadata" and url_of(record) == url_of(waiting):
                found = parse_fields(record.content).get("languages-cld2")
            yield waiting, found
            waiting = None
        if record.type == "response":
            waiting = record
        else:
            yield record, None
    if waiting is not None:
        yield waiting, None


class PartitionLedger:
    """Settles the records of a partition batch by batch: a row for each, and the counts of all."""

    def __init__(self, job: Job, kept: TableWriter, dropped: TableWriter):
        self.counts: Counter[str] = Counter()
        self._job, self._args = job, job.task.args
        self._judge = PageJudge(job.config)
        self._dump = job.config.input.dump or job.task.args["dump"]
        self._known = quarantine.reasons(job.store, job.task.args["partition"])
        self._batch: list[tuple[Record, Outcome | Waiting]] = []
        self._batch_bytes = 0
        self._rules: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._given_up: list[list] = []
        self._writers = (kept, dropped)
        self._rows: tuple[list[dict], list[dict]] = ([], [])

    def take(self, record: Record, languages: str | None = None) -> None:
        """Count a record, and settle it as soon as its batch is full; other types are skipped."""
        if record.type not in PAGE_RECORDS:
            return
        self.counts["in"] += 1
        known = self._known.get(record.offset)
        outcome = Failed(known, lost=True) if known else self._judge.outcome(record, languages)
        self._batch.append((record, outcome))
        self._batch_bytes += len(record.content)
        if isinstance(outcome, Waiting):
            self._batch_bytes += outcome.bytes
        if len(self._batch) >= BATCH_RECORDS or self._batch_bytes >= BATCH_BYTES:
            self._settle()

    def finish(self) -> None:
        """Settle and write what is left."""
        self._settle()
        self._flush()

    def _settle(self) -> None:
        waiting = [outcome for _, outcome in self._batch if isinstance(outcome, Waiting)]
        decided = iter(self._judge.decide(waiting))
        for record, outcome in self._batch:
            self._enter(record, next(decided) if isinstance(outcome, Waiting) else outcome)
        self._batch, self._batch_bytes = [], 0
        if len(self._rows[0]) + len(self._rows[1]) >= BUFFER_ROWS:
            self._flush()

    def _enter(self, record: Record, outcome: Outcome) -> None:
        """Write the row of a record."""
        key = self._key(record)
        if isinstance(outcome, Page):
            self.counts["kept"] += 1
            self._rows[0].append({**key, **self._page_row(record, outcome)})
        else:
            self._rows[1].append({**key, **self._dropped_row(record, outcome)})

    def _flush(self) -> None:
        for writer, rows in zip(self._writers, self._rows, strict=True):
            writer.write_rows(rows)
            rows.clear()

    def result(self) -> dict[str, Any]:
        return {
            **{name: self.counts[name] for name in ("in", "kept", "errors")},
            "dropped": dict(sorted(self._rules.items())),
            "error_reasons": dict(sorted(self._reasons.items())),
            "given_up": self._given_up,
        }

    def _key(self, record: Record) -> dict[str, Any]:
        identity = record.headers.get("warc-record-id")
        if not identity:
            address = f"{self._args['file_path']} {record.offset}".encode()
            identity = f"<urn:sha1:{hashlib.sha1(address).hexdigest()}>"
        place = {"file": self._args["file"], "offset": record.offset}
        return {**place, "id": identity, "url": url_of(record)}

    def _page_row(self, record: Record, page: Page) -> dict[str, Any]:
        return {
            "date": record.headers.get("warc-date") or record.headers.get("archive-date", ""),
            "file_path": self._args["file_path"],
            "dump": self._dump,
            "language": page.language,
            "language_score": page.score,
            "payload_digest": page.digest,
            "text": page.text,
            **({} if page.lineage is None else {LINEAGE.name: page.lineage}),
        }

    def _dropped_row(self, record: Record, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Dropped):
            self._rules[outcome.rule] += 1
            measured = outcome
        else:
            assert isinstance(outcome, Failed)
            self.counts["errors"] += 1
            self._reasons[outcome.reason] += 1
            measured = Dropped(ERROR, outcome.reason)
            if outcome.lost:
                quarantine.write(self._job.store, self._args["partition"], record, outcome.reason)
                self._given_up.append([record.offset, outcome.reason])
        return {"stage": STAGE, **vars(measured)}
