"""What a page would cost the parser, counted in its bytes: the same on any machine.

The reference drops a page that takes longer than a second, so its corpus depends on how busy a
machine was. Here four counts decide, each with its bound, before a page reaches the extractor.
"""

import sys
from dataclasses import dataclass

import numpy as np

from decant.filters.rule import RecordRule
from decant.pipeline.page import tags
from decant.pipeline.page.tags import has_few_attributes

SOURCE = "decant; in place of the reference's limit of one second (datatrove Trafilatura, timeout)"


@dataclass(frozen=True)
class Limits:
    """The most that a page may have of each count.

    Of 6,105 real pages the largest has 2.7 MB, 12,815 elements, a depth of 1,518, and 88 attributes
    in a tag. The slowest pages that we know how to build under these limits:
    `python -m tests.bench.extract_stage limits`.
    """

    bytes: int = 6_000_000  # CommonCrawl cuts at 5 MiB, until 2025 at 1
    elements: int = 25_000  # trafilatura is quadratic in headings: 3 s here, 21 s for 50,000
    depth: int = 2_000  # libxml2 gives up at 2,048; resiliparse is quadratic in it
    attributes: int = 5_000  # in one tag: libxml2 is quadratic in these, 0.2 s for 5,000


WORK_RULES = (
    RecordRule("page_bytes", "at most extract.max_bytes", SOURCE, None, "bytes"),
    RecordRule("page_elements", "at most extract.max_elements", SOURCE, None, "start tags"),
    RecordRule("page_depth", "at most extract.max_depth", SOURCE, None, "nested tags"),
    RecordRule("page_attributes", "at most extract.max_attributes", SOURCE, None, "in one tag"),
)


def excess(page: bytes, limits: Limits) -> tuple[str, int, int] | None:
    """(rule, count, bound) of the first limit that a page exceeds; None for nearly every page."""
    if len(page) > limits.bytes:
        return "page_bytes", len(page), limits.bytes
    count = starts = elements(page)
    if count > limits.elements:
        return "page_elements", count, limits.elements
    if starts > limits.depth and (count := depth(page)) > limits.depth:
        return "page_depth", count, limits.depth
    if has_few_attributes(page, limits.attributes):
        return None
    if (count := attributes(page, limits.attributes)) > limits.attributes:
        return "page_attributes", count, limits.attributes
    return None


def elements(page: bytes) -> int:
    """The number of start tags, those in comments and scripts included.

    >>> elements(b"<p>1 < 2<br></p>")
    2
    """
    return int(tags.start_tags(_codes(page)))


def depth(page: bytes) -> int:
    """How deep start tags nest, those that need no end tag left out.

    >>> depth(b"</b><div><p>a<p>b<b>c</b></div>")
    2
    """
    return int(tags.deepest(_codes(page)))


def attributes(page: bytes, enough: int = sys.maxsize) -> int:
    """The most attributes of a start tag; with `enough`, of the first tag that has more.

    >>> attributes(b"<a b='x > y' c d=1><!-- <a b c d e>")
    3
    """
    return int(tags.most_attributes(_codes(page), enough))


def _codes(page: bytes) -> np.ndarray:
    return np.frombuffer(page, dtype=np.uint8)
