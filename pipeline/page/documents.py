"""Rows of text become documents or outcomes: address rules and language, no page to parse."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import xxhash

from decant.pipeline.config import RunConfig
from decant.pipeline.documents.lines import count_lines
from decant.pipeline.documents.reader import DocumentPart, DocumentReader
from decant.pipeline.documents.rows import NULL, TOO_LARGE, Rows
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import TableWriter
from decant.pipeline.page.judge import url_rules
from decant.pipeline.page.outcomes import DETAIL_CHARS, EMPTY_PAYLOAD, Dropped, Failed, Page
from decant.pipeline.page.rows import ERROR, STAGE
from decant.pipeline.page.text_language import TextLanguage
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.document_inputs import column_names, extra_schema
from decant.pipeline.rundir.inputs import Partition
from decant.pipeline.rundir.listing import open_input, steady_input
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import DROPPED, EXTRACTED, LOSSES

COUNT_STEP = "extract/lines"

Outcome = Page | Dropped | Failed


class DocumentJudge:
    """Decides rows one by one; lists and model are shared within a process."""

    def __init__(self, config: RunConfig) -> None:
        url = config.url
        self._urls = (
            url_rules(url.match_listed_urls, url.case_sensitive_words) if url.enabled else None
        )
        self._language = TextLanguage(config.language)
        self._limit = config.input.max_row_bytes

    def outcomes(self, rows: Rows) -> list[Outcome]:
        """The end of every row."""
        size = len(rows)
        columns = [rows.labels.get(name, [None] * size) for name in ("url", "language")]
        scores = rows.labels.get("language_score", [None] * size)
        return [
            self._outcome(*row)
            for row in zip(rows.texts, rows.problems, rows.sizes, *columns, scores, strict=True)
        ]

    def _outcome(
        self,
        text: str | None,
        problem: str | None,
        size: int,
        url: str | None,
        language: str | None,
        score: float | None,
    ) -> Outcome:
        if problem == TOO_LARGE:
            return Dropped(TOO_LARGE, None, size, self._limit)
        if problem == NULL:
            return Dropped(NULL)
        if text is None:
            return Failed(problem or "no text")
        if not text:
            return Dropped(EMPTY_PAYLOAD.name)
        hit = self._urls.judge(url) if self._urls and url else None
        if hit:
            return Dropped(hit.rule, hit.detail[:DETAIL_CHARS])
        digest = xxhash.xxh3_128_digest(text.encode())
        return self._language.outcome(text, digest, given=(language or "", score))


class DocumentLedger:
    """Writes a row for each row of a partition and keeps the counts."""

    def __init__(self, job: Job, kept: TableWriter, dropped: TableWriter) -> None:
        self._args, self._judge = job.task.args, DocumentJudge(job.config)
        self._dump = job.config.input.dump
        self._kept, self._dropped = kept, dropped
        self._extra = [one.name for one in kept.schema if one.name not in EXTRACTED.names]
        self.counts: Counter[str] = Counter({"in": 0, "kept": 0, "errors": 0})
        self.rules: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def take(self, rows: Rows) -> None:
        """Judge some rows and write them."""
        outcomes = self._judge.outcomes(rows)
        ids = self._ids(rows)
        urls = [url or "" for url in rows.labels.get("url", [None] * len(rows))]
        kept = [k for k, one in enumerate(outcomes) if isinstance(one, Page)]
        self._write_kept(rows, outcomes, kept, ids, urls)
        dropped = [
            {"id": ids[k], "url": urls[k], "file": self._args["file"], "offset": rows.numbers[k],
             "stage": STAGE, **vars(self._measured(one))}
            for k, one in enumerate(outcomes)
            if not isinstance(one, Page)
        ]  # fmt: skip
        self._dropped.write_rows(dropped)
        self.counts["in"] += len(rows)
        self.counts["kept"] += len(kept)

    def _measured(self, outcome: Outcome) -> Dropped:
        """What the row of a document that goes says, which is counted."""
        if isinstance(outcome, Dropped):
            self.rules[outcome.rule] += 1
            return outcome
        assert isinstance(outcome, Failed)
        self.counts["errors"] += 1
        self.reasons[outcome.reason] += 1
        return Dropped(ERROR, outcome.reason)

    def _ids(self, rows: Rows) -> list[str]:
        """The ids of rows; one without has an id made of its address, as a record has."""
        given = rows.labels.get("id", [None] * len(rows))
        path = self._args["file_path"]
        return [
            one or f"<urn:sha1:{hashlib.sha1(f'{path} {number}'.encode()).hexdigest()}>"
            for one, number in zip(given, rows.numbers, strict=True)
        ]

    def _write_kept(
        self,
        rows: Rows,
        outcomes: Sequence[Outcome],
        kept: Sequence[int],
        ids: Sequence[str],
        urls: Sequence[str],
    ) -> None:
        if not kept:
            return
        pages = [one for one in outcomes if isinstance(one, Page)]
        blank = [None] * len(rows)
        labels = {name: rows.labels.get(name, blank) for name in ("date", "dump", "file_path")}
        columns = {
            "file": [self._args["file"]] * len(kept),
            "offset": [rows.numbers[k] for k in kept],
            "id": [ids[k] for k in kept],
            "url": [urls[k] for k in kept],
            "date": [labels["date"][k] or "" for k in kept],
            "file_path": [labels["file_path"][k] or self._args["file_path"] for k in kept],
            "dump": [self._dump or labels["dump"][k] or self._args["dump"] for k in kept],
            "language": [page.language for page in pages],
            "language_score": [page.score for page in pages],
            "payload_digest": [page.digest for page in pages],
            "text": [page.text for page in pages],
        }
        arrays = {one.name: pa.array(columns[one.name], one.type) for one in EXTRACTED}
        taken = pa.array(kept, pa.int64())
        arrays |= {name: rows.extra[name].take(taken) for name in self._extra}
        self._kept.write(pa.table(arrays))


def extract_documents(job: Job) -> dict[str, Any]:
    """Write the extracted and the dropped rows of one partition of documents; its counts."""
    args, number = job.task.args, job.task.args["partition"]
    config, url = job.config, job.task.inputs["url"]
    fields = extra_schema(job.store)
    part = DocumentPart(
        args["documents"], job.task.inputs["size"], args["start"], args["end"], args["first_row"]
    )
    left = args["limit"]
    with (
        job.store.table_writer(paths.extracted(number), pa.schema([*EXTRACTED, *fields])) as kept,
        job.store.table_writer(paths.not_extracted(number), DROPPED) as dropped,
        steady_input(**job.task.inputs, config=config) as file,
    ):
        ledger = DocumentLedger(job, kept, dropped)
        names = column_names(config, url, fields)
        reader = DocumentReader(file, part, names, fields, config.input.max_row_bytes)
        for rows in reader:
            rows = rows if left is None else rows.head(left - ledger.counts["in"])
            ledger.take(rows)
            if ledger.counts["in"] == left:
                break
    if reader.damage:
        with job.store.table_writer(paths.losses(number), LOSSES) as writer:
            writer.write_rows(
                [
                    {
                        "file": args["file"],
                        "offset": one.offset,
                        "bytes": one.bytes,
                        "reason": one.reason,
                    }
                    for one in reader.damage
                ]
            )
    return {
        **ledger.counts,
        "dropped": dict(sorted(ledger.rules.items())),
        "error_reasons": dict(sorted(ledger.reasons.items())),
        "given_up": [[f"row {one.row}", one.reason] for one in reader.damage],
        "unreadable_rows": sum(one.rows for one in reader.damage),
        "unreadable_bytes": sum(one.bytes for one in reader.damage),
        "unreadable_ranges": len(reader.damage),
        "records_read": ledger.counts["in"],
        "first_row": [reader.first_row],  # in a list: no count
        "limited": left is not None,
    }


def first_rows(engine: Engine, partitions: Sequence[Partition], digest: str) -> dict[int, int]:
    """The number of the first row of each later part of a plain JSONL file, by partition.

    Lines are counted by all workers before any is read: a row's number must not depend on how its
    file was cut.
    """
    files = Counter(one.file for one in partitions if one.source.container == "jsonl")
    parts = [one for one in partitions if files[one.file] > 1]
    tasks = [
        Task(
            partition_name(one.number),
            {"start": one.start, "end": one.source.size if one.end is None else one.end},
            {key: getattr(one.source, key) for key in ("url", "size", "etag")},
        )
        for one in parts
    ]
    counted = engine.map(COUNT_STEP, count_partition, tasks, digest) if tasks else {}
    rows: dict[int, int] = {}
    file, row = -1, 0
    for one in parts:
        file, row = one.file, row if one.file == file else 0
        rows[one.number] = row
        row += counted[partition_name(one.number)]["lines"]
    return rows


def count_partition(job: Job) -> dict[str, Any]:
    """How many lines begin in a part of a plain JSONL file."""
    with open_input(job.task.inputs["url"], job.config) as file:
        return {"lines": count_lines(file, job.task.args["start"], job.task.args["end"])}
