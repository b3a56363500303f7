"""First stage: WARC records in, main text of pages in the wanted language out.

For each record the cheapest test that can settle it comes first, in FineWeb's order: record type,
payload type, charset, URL rules, main text, language. Every response or conversion record and every
ARC document ends in exactly one row: extracted, dropped by a named rule, or an error with a reason.
"""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import xxhash

from filters.language import LANGUAGE_RULES, LanguageId, LanguageRule
from filters.url import UrlOptions, UrlRules
from pipeline import inputs, ledger
from pipeline.blocklist import load_blocklist, load_words
from pipeline.config import RunConfig, stage_digest
from pipeline.execute import Engine, Job, Task
from pipeline.extract_rules import (
    EMPTY_PAYLOAD,
    EXTRACT_ERROR,
    EXTRACTION_EMPTY,
    NOT_HTML,
    UNDECODABLE,
)
from pipeline.inputs import Partition
from pipeline.language_model import model_path
from pipeline.main_text import Extractor, extractor
from pipeline.page_type import accepts, decode, looks_like_page
from pipeline.payload import TooLarge, decoded_body, split_http
from pipeline.records import DROPPED, EXTRACTED, partition_name
from pipeline.storage import Store
from pipeline.warc import Reader, Record

STAGE = "extract"
PAGE_RECORDS = ("response", "conversion")
ERROR = "error"  # the rule of a dropped row that is an error; its reason is in `detail`


@dataclass(frozen=True)
class Dropped:
    """The end of a record that is not extracted: the rule, and what it saw."""

    rule: str
    detail: str | None = None
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class Page:
    """The text of a page and what was found out about it."""

    text: str
    language: str
    score: float
    digest: bytes


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The ledger entry of extracting every partition, and the inputs that could not be read."""
    partitions = inputs.load(store)
    tasks = [_task(one) for one in partitions]
    results = engine.map("extract/pages", extract_partition, tasks, stage_digest(config, STAGE))
    entry = ledger.add(results.values())
    for key in ("in", "kept", "errors"):
        entry.setdefault(key, 0)
    return {
        **entry,
        "dropped": entry.get("dropped", {}),
        "quarantined": _unreadable(results, partitions),
    }


def _task(one: Partition) -> Task:
    source = {key: getattr(one.source, key) for key in ("url", "size", "etag")}
    args = {"partition": one.number, "start": one.start, "end": one.end, "file": one.file}
    args |= {"file_path": one.source.file_path, "dump": one.source.dump}
    args |= {"by_member": one.source.offset_kind == "member"}
    return Task(partition_name(one.number), args, source)


def _unreadable(results: dict[str, dict], partitions: list[Partition]) -> list[str]:
    """The input files without a single record, each with what is there instead."""
    records: Counter[int] = Counter()
    for one in partitions:
        records[one.file] += results[partition_name(one.number)]["records_read"]
    urls = {one.file: one.source for one in partitions}
    return [
        f"{urls[file].url}: no WARC or ARC record in its {urls[file].size} bytes"
        for file, count in sorted(records.items())
        if count == 0
    ]


def extract_partition(job: Job) -> dict[str, Any]:
    """Write the extracted and the dropped rows of one partition; returns its counts."""
    args, name = job.task.args, f"{partition_name(job.task.args['partition'])}.parquet"
    stage = PageStage(job.config)
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    with (
        inputs.open_input(job.task.inputs["url"]) as file,
        job.store.table_writer(f"1-extracted/{name}", EXTRACTED) as kept_rows,
        job.store.table_writer(f"1-extracted/dropped/{name}", DROPPED) as dropped_rows,
    ):
        reader = Reader(file, args["start"], args["end"], args["by_member"])
        for record in reader:
            if record.type not in PAGE_RECORDS:
                continue
            outcome = stage.outcome(record)
            counts["in"] += 1
            key = _key(record, args)
            if isinstance(outcome, Page):
                counts["kept"] += 1
                kept_rows.write_rows([_page_row(key, record, outcome, args, job.config)])
            else:
                if outcome.rule == ERROR:
                    counts["errors"] += 1
                else:
                    dropped[outcome.rule] += 1
                dropped_rows.write_rows([{**key, "stage": STAGE, **asdict(outcome)}])
    reading = reader.reading
    skipped = {kind: n for kind, n in sorted(reading.records.items()) if kind not in PAGE_RECORDS}
    return {
        **{key: counts[key] for key in ("in", "kept", "errors")},
        "dropped": dict(sorted(dropped.items())),
        "skipped": skipped,
        "records_read": reading.records.total(),
        "unreadable_bytes": reading.lost_bytes,
        "unreadable_ranges": reading.lost_ranges,
        "wrong_lengths": reading.wrong_lengths,
    }


def _key(record: Record, args: dict[str, Any]) -> dict[str, Any]:
    identity = record.headers.get("warc-record-id")
    if not identity:
        address = f"{args['file_path']}\n{record.offset}".encode()
        identity = f"<urn:sha1:{hashlib.sha1(address).hexdigest()}>"
    return {
        "file": args["file"],
        "offset": record.offset,
        "id": identity,
        "url": url_of(record),
    }


def _page_row(
    key: dict[str, Any], record: Record, page: Page, args: dict[str, Any], config: RunConfig
) -> dict[str, Any]:
    return {
        **key,
        "date": record.headers.get("warc-date") or record.headers.get("archive-date", ""),
        "file_path": args["file_path"],
        "dump": config.input.dump or args["dump"],
        "language": page.language,
        "language_score": page.score,
        "payload_digest": page.digest,
        "text": page.text,
    }


def url_of(record: Record) -> str:
    """The address of a record's page, as warcio gives it: without brackets, blanks escaped."""
    url = record.headers.get("warc-target-uri") or record.headers.get("uri", "")
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1]
    return url.replace(" ", "%20")


class PageStage:
    """Decides the outcome of one record; the loaded models are shared within a process."""

    def __init__(self, config: RunConfig):
        self._urls = (
            url_rules(config.url.match_listed_urls, config.url.case_sensitive_words)
            if config.url.enabled
            else None
        )
        self._language = language_id(config.language.model, config.language.newline)
        self._language_rule = LanguageRule(config.language.keep, config.language.threshold)
        self._extract: Extractor = extractor(config.extractor)
        self._limit = 64 << 20

    def outcome(self, record: Record) -> Page | Dropped:
        declared = record.headers.get("warc-identified-payload-type")
        if declared is not None and not accepts(declared, record.type):
            return Dropped(NOT_HTML.name, declared[:200])
        if record.damage:
            return Dropped(ERROR, record.damage)
        try:
            payload = _payload(record, self._limit)
        except TooLarge as error:
            return Dropped("payload_bytes", value=error.size_bytes, bound=self._limit)
        if not payload:
            return Dropped(EMPTY_PAYLOAD.name)
        if declared is None and record.type == "response" and not looks_like_page(payload):
            return Dropped(NOT_HTML.name)
        html = decode(payload)
        if html is None:
            return Dropped(UNDECODABLE.name)
        return self._judge_page(record, payload, html)

    def _judge_page(self, record: Record, payload: bytes, html: str) -> Page | Dropped:
        hit = self._urls.judge(url_of(record)) if self._urls else None
        if hit:
            return Dropped(hit.rule, hit.detail[:200])
        text: str | None = html
        if record.type == "response":
            try:
                text = self._extract(html)
            except Exception as error:
                return Dropped(EXTRACT_ERROR.name, f"{type(error).__name__}: {error}"[:200])
        if not text:
            return Dropped(EXTRACTION_EMPTY.name)
        found = self._language.identify(text, self._language_rule.keep)
        if not self._language_rule.keeps(found):
            bound = self._language_rule.threshold
            return Dropped(LANGUAGE_RULES[0].name, found.language, found.wanted_score, bound)
        return Page(text, found.language, found.score, xxhash.xxh3_128_digest(payload))


def _payload(record: Record, limit_bytes: int) -> bytes:
    if record.type == "conversion" or not url_of(record)[:5].lower().startswith("http"):
        return record.content
    return decoded_body(split_http(record.content), limit_bytes)


@lru_cache(maxsize=1)
def url_rules(match_listed_urls: bool, case_sensitive_words: bool) -> UrlRules:
    """The URL rules with FineWeb's lists, loaded once per process."""
    options = UrlOptions(match_listed_urls, case_sensitive_words)
    return UrlRules(load_blocklist(), load_words(), options)


@lru_cache(maxsize=1)
def language_id(model: str, newline: str) -> LanguageId:
    """The language model, loaded once per process."""
    return LanguageId(str(model_path(model)), newline)  # type: ignore[arg-type]
