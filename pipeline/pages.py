"""What becomes of one record: the page's text, a rule that drops it, or an error.

The cheapest test that can settle a record comes first, in FineWeb's order: payload type, charset,
URL rules, main text, language.
"""

from dataclasses import dataclass
from functools import lru_cache

import xxhash

from filters.language import LANGUAGE_RULES, LanguageId, LanguageRule
from filters.url import UrlOptions, UrlRules
from pipeline.blocklist import load_blocklist, load_words
from pipeline.config import RunConfig
from pipeline.extract_rules import (
    EMPTY_PAYLOAD,
    EXTRACT_ERROR,
    EXTRACTION_EMPTY,
    NOT_HTML,
    UNDECODABLE,
)
from pipeline.isolate import Extraction, PageGuard
from pipeline.language_model import model_path
from pipeline.page_type import accepts, decode, looks_like_page
from pipeline.page_work import Limits, excess
from pipeline.payload import TooLarge, decoded_body, split_http
from pipeline.warc import Record

DETAIL_CHARS = 200


@dataclass(frozen=True)
class Page:
    """The text of a page and what was found out about it."""

    text: str
    language: str
    score: float
    digest: bytes  # xxh3_128 of the decoded payload


@dataclass(frozen=True)
class Dropped:
    """The end of a record that is not extracted: the rule, and what it saw."""

    rule: str
    detail: str | None = None
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class Failed:
    """An error: the record is damaged (`lost` is false), or its page killed the extractor twice."""

    reason: str
    lost: bool = False


Outcome = Page | Dropped | Failed


class PageJudge:
    """Decides records one by one; what it loads is shared within a process."""

    def __init__(self, config: RunConfig):
        url = config.url
        self._urls = (
            url_rules(url.match_listed_urls, url.case_sensitive_words) if url.enabled else None
        )
        self._language = language_id(config.language.model, config.language.newline)
        self._language_rule = LanguageRule(config.language.keep, config.language.threshold)
        self._guard = page_guard(config.extractor)
        self._limits = Limits()

    def outcome(self, record: Record) -> Outcome:
        declared = record.headers.get("warc-identified-payload-type")
        if declared is not None and not accepts(declared, record.type):
            return Dropped(NOT_HTML.name, declared[:DETAIL_CHARS])
        if record.damage == "too_long":
            return Dropped("page_bytes", None, record.content_bytes, self._limits.bytes)
        if record.damage:
            return Failed(record.damage)
        try:
            payload = payload_of(record, self._limits.bytes)
        except TooLarge as error:
            return Dropped("page_bytes", None, error.size_bytes, self._limits.bytes)
        if not payload:
            return Dropped(EMPTY_PAYLOAD.name)
        if declared is None and record.type == "response" and not looks_like_page(payload):
            return Dropped(NOT_HTML.name)
        html = decode(payload)
        if html is None:
            return Dropped(UNDECODABLE.name)
        hit = self._urls.judge(url_of(record)) if self._urls else None
        if hit:
            return Dropped(hit.rule, hit.detail[:DETAIL_CHARS])
        if record.type == "conversion":
            return self._judge_text(html, payload)
        return self._judge_page(html, payload)

    def _judge_page(self, html: str, payload: bytes) -> Outcome:
        page = html.encode("utf-8", "surrogatepass")
        over = excess(page, self._limits)
        if over:
            rule, count, bound = over
            return Dropped(rule, None, count, bound)
        found: Extraction = self._guard.extract(page)
        if found.lost:
            return Failed(found.lost, lost=True)
        if found.error is not None:
            return Dropped(EXTRACT_ERROR.name, found.error[:DETAIL_CHARS])
        return self._judge_text(found.text or "", payload)

    def _judge_text(self, text: str, payload: bytes) -> Outcome:
        if not text:
            return Dropped(EXTRACTION_EMPTY.name)
        found = self._language.identify(text, self._language_rule.keep)
        if not self._language_rule.keeps(found):
            bound = self._language_rule.threshold
            return Dropped(LANGUAGE_RULES[0].name, found.language, found.wanted_score, bound)
        return Page(text, found.language, found.score, xxhash.xxh3_128_digest(payload))


def url_of(record: Record) -> str:
    """The address of a record's page, as warcio gives it: without brackets, blanks escaped."""
    url = record.headers.get("warc-target-uri") or record.headers.get("uri", "")
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1]
    return url.replace(" ", "%20")


def payload_of(record: Record, limit_bytes: int) -> bytes:
    """The decoded bytes of a record's page; TooLarge beyond `limit_bytes`.

    Only addresses of HTTP carry its headers, and WET text carries none.
    """
    if record.type == "conversion" or url_of(record)[:4].lower() != "http":
        if len(record.content) > limit_bytes:
            raise TooLarge(len(record.content))
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


@lru_cache(maxsize=1)
def page_guard(engine: str) -> PageGuard:
    """The child process that extracts pages, one for each process that judges them."""
    return PageGuard(engine)
