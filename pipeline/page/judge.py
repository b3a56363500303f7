"""What becomes of one record: the page's text, a rule that drops it, or an error.

A record goes one way down, and the cheapest test that can settle it comes first, in FineWeb's
order: payload type, charset, URL rules, main text, language. The tests of a page's cost have no
counterpart there: they stand in for its limit of wall-clock time, which drops what a slow machine
finds slow.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import xxhash

from decant.filters.url import UrlOptions, UrlRules
from decant.pipeline.config import RunConfig
from decant.pipeline.page.blocklist import load_blocklist, load_words
from decant.pipeline.page.charset import guessed_text, text_as_declared, utf8_text
from decant.pipeline.page.encodings import TooLarge
from decant.pipeline.page.gates import GATE_RULES, Gates
from decant.pipeline.page.limits import WORK_RULES, Limits, excess
from decant.pipeline.page.outcomes import (
    DETAIL_CHARS,
    DIGEST,
    DOCUMENT_RULES,
    EMPTY_PAYLOAD,
    EXTRACT_ERROR,
    EXTRACTION_EMPTY,
    NOT_HTML,
    UNDECODABLE,
    Dropped,
    Failed,
    Outcome,
    Page,
)
from decant.pipeline.page.page_type import accepts, essence_of, looks_like_page
from decant.pipeline.page.payload import Response, decoded_body, split_http, transferred_body
from decant.pipeline.page.text_language import TextLanguage, language_id
from decant.pipeline.text.guard import PageGuard
from decant.pipeline.text.protocol import Extraction
from decant.pipeline.warc import digests
from decant.pipeline.warc.reader import Record

if TYPE_CHECKING:
    from decant.pipeline.text.worker import Unguarded

EXTRACT_RULES = (
    NOT_HTML,
    EMPTY_PAYLOAD,
    UNDECODABLE,
    *GATE_RULES,
    *WORK_RULES,
    EXTRACTION_EMPTY,
    EXTRACT_ERROR,
    DIGEST,
    *DOCUMENT_RULES,
)


# What is read before the pages among it go to the extractor together: see PageGuard.extract_all.
BATCH_RECORDS = 32
BATCH_BYTES = 8 << 20  # of records and of what was decoded of them


class PageJudge:
    """Decides what becomes of records; what it loads is shared within a process."""

    def __init__(self, config: RunConfig, given_up: Mapping[int, str] | None = None):
        """`given_up`: by offset, why a record is not tried again."""
        url, extract = config.url, config.extract
        self.digests: Counter[str] = Counter()  # of kept pages: match, mismatch, absent
        self._given_up = given_up or {}
        self._urls = (
            url_rules(url.match_listed_urls, url.case_sensitive_words) if url.enabled else None
        )
        self._language = TextLanguage(config.language)
        options = json.dumps(extract.options, sort_keys=True)
        self._has_lineage = config.extractor == "union"
        self._extractor = page_extractor(config.extractor, options, extract.isolate)
        self._extract = extract
        self._limits = Limits(
            extract.max_bytes, extract.max_elements, extract.max_depth, extract.max_attributes
        )
        model = language_id(config.language.model, config.language.newline)
        self._gates = Gates(extract.gates, model, config.language.keep)

    def outcomes(
        self, records: Iterable[tuple[Record, str | None]]
    ) -> Iterator[tuple[Record, Outcome]]:
        """Each record with its end, in their order; main text is extracted a batch at a time.

        With each record comes CommonCrawl's own finding about its language, where there is one: the
        value of `languages-cld2` in the metadata record that follows.
        """
        batch: list[tuple[Record, Outcome | Waiting]] = []
        size = 0
        for record, languages in records:
            outcome = self._without_text(record, languages)
            batch.append((record, outcome))
            size += len(record.content) + (outcome.bytes if isinstance(outcome, Waiting) else 0)
            if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
                yield from self._with_text(batch)
                batch, size = [], 0
        yield from self._with_text(batch)

    def _without_text(self, record: Record, languages: str | None) -> "Outcome | Waiting":
        """The end of a record, or its page where only main text can tell."""
        if record.offset in self._given_up:
            return Failed(self._given_up[record.offset], lost=True)
        payload = self._payload(record)
        if not isinstance(payload, Payload):
            return payload
        text, page = self._decoded(payload)
        if text is None:
            return Dropped(UNDECODABLE.name)
        hit = self._urls.judge(url_of(record)) if self._urls else None
        if hit:
            return Dropped(hit.rule, hit.detail[:DETAIL_CHARS])
        if record.type == "conversion":
            return self._judge_text(record, text, payload.data)
        # All of these are linear in the page, whatever it holds.
        dropped = self._gates.by_metadata(languages) or self._gates.by_text(page)
        return dropped or self._excess(page) or Waiting(page, payload.data)

    def _payload(self, record: Record) -> "Payload | Dropped | Failed":
        """The decoded payload of a record that may be a page."""
        declared = record.headers.get("warc-identified-payload-type", "")
        is_declared = essence_of(declared) != ""
        if is_declared and not accepts(declared, record.type):
            return Dropped(NOT_HTML.name, declared[:DETAIL_CHARS])
        if record.damage == "too_long":
            return Dropped("page_bytes", None, record.content_bytes, self._limits.bytes)
        if record.damage:
            return Failed(record.damage)
        response = response_of(record)
        try:
            data = decoded_body(response, self._limits.bytes)
        except TooLarge as error:
            return Dropped("page_bytes", None, error.size_bytes, self._limits.bytes)
        if not data:
            return Dropped(EMPTY_PAYLOAD.name)
        if not is_declared and record.type == "response" and not looks_like_page(data):
            return Dropped(NOT_HTML.name)
        return Payload(data, response.headers.get("content-type", ""))

    def _decoded(self, payload: "Payload") -> tuple[str | None, bytes]:
        """The page as text and as UTF-8: its own bytes where they are that; None if undecodable."""
        text = utf8_text(payload.data)
        if text is not None:
            return text, payload.data
        if self._extract.charset == "declared":
            text = text_as_declared(payload.data, payload.content_type)
        else:
            text = guessed_text(payload.data)
        return text, (text or "").encode("utf-8", "surrogatepass")

    def _excess(self, page: bytes) -> Dropped | None:
        over = excess(page, self._limits)
        return None if over is None else Dropped(over[0], None, over[1], over[2])

    def _with_text(
        self, batch: "Sequence[tuple[Record, Outcome | Waiting]]"
    ) -> Iterator[tuple[Record, Outcome]]:
        """The batch with the ends of its pages that waited for their main text."""
        pages = [outcome.page for _, outcome in batch if isinstance(outcome, Waiting)]
        extractions = iter(self._extractor.extract_all(pages))
        for record, outcome in batch:
            if isinstance(outcome, Waiting):
                yield record, self._judge_extraction(record, next(extractions), outcome.payload)
            else:
                yield record, outcome

    def _judge_extraction(self, record: Record, extraction: Extraction, payload: bytes) -> Outcome:
        if extraction.lost:
            return Failed(extraction.lost, lost=True)
        if extraction.error is not None:
            return Dropped(EXTRACT_ERROR.name, extraction.error[:DETAIL_CHARS])
        lineage, text = None, extraction.text or ""
        if self._has_lineage:
            lineage, _, text = text.partition("\n")
        return self._judge_text(record, text, payload, lineage)

    def _judge_text(
        self, record: Record, text: str, payload: bytes, lineage: str | None = None
    ) -> Outcome:
        if not text:
            return Dropped(EXTRACTION_EMPTY.name)
        outcome = self._language.outcome(text, xxhash.xxh3_128_digest(payload), lineage)
        return (
            self._judge_digest(record, outcome, payload) if isinstance(outcome, Page) else outcome
        )

    def _judge_digest(self, record: Record, page: Page, payload: bytes) -> Page | Dropped:
        """The page, its digests compared where no checksum of its container was."""
        scope = self._extract.digests
        if scope == "none" or (scope == "unchecked" and record.checked):
            return page
        response = response_of(record)
        forms = (
            lambda: response.body,
            lambda: transferred_body(response, self._limits.bytes),
            lambda: payload,
        )
        verdict = digests.verdict(record, forms)
        self.digests[verdict] += 1
        if verdict == digests.MISMATCH and self._extract.drop_mismatched:
            return Dropped(DIGEST.name)
        return page


@dataclass(frozen=True)
class Payload:
    """The decoded bytes of a page and the Content-Type they came with."""

    data: bytes
    content_type: str


@dataclass(frozen=True)
class Waiting:
    """A page that no cheap test settles, as UTF-8, and its decoded payload."""

    page: bytes
    payload: bytes

    @property
    def bytes(self) -> int:
        """What it holds in memory: most often the page is its payload."""
        return len(self.page) + (len(self.payload) if self.payload is not self.page else 0)


def url_of(record: Record) -> str:
    """The address of a record's page, as warcio gives it: without brackets, blanks escaped."""
    url = record.headers.get("warc-target-uri") or record.headers.get("uri", "")
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1]
    return url.replace(" ", "%20")


def response_of(record: Record) -> Response:
    """The HTTP message of a record; WET text has none."""
    if record.type == "conversion":
        return Response({}, record.content)
    return split_http(record.content)


@lru_cache(maxsize=1)
def url_rules(match_listed_urls: bool, case_sensitive_words: bool) -> UrlRules:
    """The URL rules with FineWeb's lists, loaded once per process."""
    options = UrlOptions(match_listed_urls, case_sensitive_words)
    return UrlRules(load_blocklist(), load_words(), options)


@lru_cache(maxsize=1)
def page_extractor(engine: str, options: str, isolate: bool) -> "PageGuard | Unguarded":
    """What turns pages into text: a child process (one for each process), or this one."""
    if isolate:
        return PageGuard(engine, json.loads(options))
    from decant.pipeline.text.worker import Unguarded  # 50 MB that a guarded worker never loads

    return Unguarded(engine, json.loads(options))
