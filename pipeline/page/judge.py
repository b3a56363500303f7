"""What becomes of one record: the page's text, a rule that drops it, or an error.

The cheapest test that can settle a record comes first, in FineWeb's order: payload type, charset,
URL rules, main text, language.

Why a record ends at extraction: the rules beside those of URL and language.

Each is an outcome that FineWeb's reader and extractor have without a name. The page limits have no
counterpart there: they stand in for its wall-clock limit, which drops what a slow machine finds
slow.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import xxhash

from decant.filters.url import UrlOptions, UrlRules
from decant.pipeline.config import RunConfig
from decant.pipeline.page.blocklist import load_blocklist, load_words
from decant.pipeline.page.charset import declared_text, fineweb_text, is_utf8
from decant.pipeline.page.encodings import TooLarge
from decant.pipeline.page.gates import GATE_RULES, Gates
from decant.pipeline.page.limits import WORK_RULES, Limits, excess
from decant.pipeline.page.outcomes import (
    DETAIL_CHARS,
    DOCUMENT_RULES,
    EMPTY_PAYLOAD,
    EXTRACT_ERROR,
    EXTRACTION_EMPTY,
    NOT_HTML,
    UNDECODABLE,
    Dropped,
    Failed,
    Outcome,
)
from decant.pipeline.page.page_type import accepts, essence_of, looks_like_page
from decant.pipeline.page.payload import Response, decoded_body, split_http
from decant.pipeline.page.text_language import TextLanguage, language_id
from decant.pipeline.text.guard import PageGuard
from decant.pipeline.text.protocol import Extraction
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
    *DOCUMENT_RULES,
)


class PageJudge:
    """Decides records one by one; what it loads is shared within a process."""

    def __init__(self, config: RunConfig):
        url, extract = config.url, config.extract
        self._urls = (
            url_rules(url.match_listed_urls, url.case_sensitive_words) if url.enabled else None
        )
        self._language = TextLanguage(config.language)
        options = json.dumps(extract.options, sort_keys=True)
        self._has_lineage = config.extractor == "union"
        self._extractor = page_extractor(config.extractor, options, extract.isolate)
        self._limits = Limits(
            extract.max_bytes, extract.max_elements, extract.max_depth, extract.max_attributes
        )
        self._declared_charset = extract.charset == "declared"
        model = language_id(config.language.model, config.language.newline)
        self._gates = Gates(extract.gates, model, config.language.keep)

    def outcome(self, record: Record, languages: str | None = None) -> "Outcome | Waiting":
        """The end of a record, or its page where main text has to `decide`.

        `languages` is CommonCrawl's own finding about it, if there is one: the value of
        `languages-cld2` in the metadata record that follows.
        """
        payload = self._payload(record)
        if not isinstance(payload, Payload):
            return payload
        page = self._utf8(payload)
        if page is None:
            return Dropped(UNDECODABLE.name)
        hit = self._urls.judge(url_of(record)) if self._urls else None
        if hit:
            return Dropped(hit.rule, hit.detail[:DETAIL_CHARS])
        if record.type == "conversion":
            return self._judge_text(page.decode("utf-8", "surrogatepass"), payload.data)
        dropped = self._gates.by_metadata(languages)
        return dropped or self._judge_page(page, payload.data)

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

    def _utf8(self, payload: "Payload") -> bytes | None:
        """The page as UTF-8: its own bytes where they are, as nearly all are."""
        if is_utf8(payload.data):
            return payload.data
        if self._declared_charset:
            text = declared_text(payload.data, payload.content_type)
        else:
            text = fineweb_text(payload.data)
        return None if text is None else text.encode("utf-8", "surrogatepass")

    def _judge_page(self, page: bytes, payload: bytes) -> "Dropped | Waiting":
        dropped = self._gates.by_text(page)  # linear in the page, whatever it holds
        if dropped:
            return dropped
        over = excess(page, self._limits)
        if over:
            rule, count, bound = over
            return Dropped(rule, None, count, bound)
        return Waiting(page, payload)

    def decide(self, pages: "Sequence[Waiting]") -> list[Outcome]:
        """The ends of pages that waited for their main text."""
        found = self._extractor.extract_all([one.page for one in pages])
        return [self._judge_found(*pair) for pair in zip(found, pages, strict=True)]

    def _judge_found(self, found: Extraction, page: "Waiting") -> Outcome:
        if found.lost:
            return Failed(found.lost, lost=True)
        if found.error is not None:
            return Dropped(EXTRACT_ERROR.name, found.error[:DETAIL_CHARS])
        lineage, text = None, found.text or ""
        if self._has_lineage:
            lineage, _, text = text.partition("\n")
        return self._judge_text(text, page.payload, lineage)

    def _judge_text(self, text: str, payload: bytes, lineage: str | None = None) -> Outcome:
        if not text:
            return Dropped(EXTRACTION_EMPTY.name)
        return self._language.outcome(text, xxhash.xxh3_128_digest(payload), lineage)


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
