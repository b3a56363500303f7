"""The three ends a record can have at extraction."""

from dataclasses import dataclass

from decant.filters.rule import RecordRule

TEXT_EXTRACTION = "FineWeb, Penedo et al. 2024, §3.2"
READER = f"{TEXT_EXTRACTION}; datatrove WarcReader"
EXTRACTOR = f"{TEXT_EXTRACTION}; datatrove Trafilatura"

NOT_HTML = RecordRule("not_html", "payload type is HTML or XHTML", READER, None)
EMPTY_PAYLOAD = RecordRule("empty_payload", "payload has bytes", READER, None)
UNDECODABLE = RecordRule("undecodable_charset", "UTF-8 or the detected charset", READER, None)
EXTRACTION_EMPTY = RecordRule("extraction_empty", "extractor finds text", EXTRACTOR, None)
EXTRACT_ERROR = RecordRule("extract_error", "extractor does not fail", EXTRACTOR, None)
DIGEST = RecordRule(
    "digest_mismatch",
    "the record's digests are those of its bytes (extract.digests, extract.drop_mismatched)",
    "decant; WARC 1.0, §5.8 and §5.9",
    None,
)
DOCUMENTS = "decant; rows of text as input (pipeline/README.md)"
DOCUMENT_RULES = (
    RecordRule("text_null", "the row has a text", DOCUMENTS, None),
    RecordRule("row_bytes", "at most input.max_row_bytes", DOCUMENTS, None, "bytes"),
)

DETAIL_CHARS = 200


@dataclass(frozen=True)
class Page:
    """The text of a page and what was found out about it."""

    text: str
    language: str
    score: float | None  # None: not identified
    digest: bytes  # xxh3_128 of the decoded payload
    lineage: str | None = None  # which engine found each line, where several looked


@dataclass(frozen=True)
class Dropped:
    """The end of a record that a rule drops: the rule, and what it saw."""

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
