"""What a page would cost the parser, counted in its bytes: the same on any machine.

The reference drops a page that takes longer than a second, so its corpus depends on how busy a
machine was. Here four counts decide, each with its bound, before a page reaches the extractor.
"""

import re
from dataclasses import dataclass

import numpy as np

from filters.record_rule import RecordRule

# Elements without an end tag, and those whose end tag may be left out: their starts do not nest.
_FLAT = (
    b"area base br col embed hr img input link meta param source track wbr"
    b" p li dt dd option optgroup tr td th thead tbody tfoot colgroup rp rt"
).split()
_NESTING = re.compile(rb"<(/?)(?!(?:" + b"|".join(_FLAT) + rb")[\s/>])[A-Za-z]", re.IGNORECASE)
_START = re.compile(rb"<[A-Za-z]")
# Possessive: what a part has taken it keeps, so no page is read twice.
_QUOTED = re.compile(rb"\"[^\"]*+\"|'[^']*+'")
_TAG = re.compile(rb"<[A-Za-z](?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+")

SOURCE = "decant; in place of the reference's limit of one second (datatrove Trafilatura, timeout)"


@dataclass(frozen=True)
class Limits:
    """The most that a page may have of each count.

    Of 5,938 real pages the largest has 2.7 MB, 12,815 elements, a depth of 1,518, and 3,203 words
    in one tag (its quotes are broken). The slowest pages that we know how to build under these
    limits: `python -m tests.bench.extract_stage limits`.
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
    """(rule, count, bound) of the first limit that a page exceeds; None for nearly every page.

    Counting tags costs a millisecond, so each count is first bounded from above by one that costs
    microseconds.
    """
    if len(page) > limits.bytes:
        return "page_bytes", len(page), limits.bytes
    codes = np.frombuffer(page, dtype=np.uint8)
    brackets = int(np.count_nonzero(codes == ord("<")))
    if brackets > limits.elements and (count := elements(page)) > limits.elements:
        return "page_elements", count, limits.elements
    if brackets > limits.depth and _may_nest(codes) > limits.depth:
        count = depth(page)
        if count > limits.depth:
            return "page_depth", count, limits.depth
    # An attribute takes two bytes, so a tag of too many is a long run without a closing bracket.
    if _longest_run(codes) > 2 * limits.attributes:
        count = attributes(page)
        if count > limits.attributes:
            return "page_attributes", count, limits.attributes
    return None


def elements(page: bytes) -> int:
    """The number of start tags.

    >>> elements(b"<p>1 < 2<br></p>")
    2
    """
    return len(_START.findall(page))


def depth(page: bytes) -> int:
    """How deep start tags nest, those that need no end tag left out.

    >>> depth(b"</b><div><p>a<p>b<b>c</b></div>")
    2
    """
    steps = np.array([1 - 2 * len(slash) for slash in _NESTING.findall(page)], dtype=np.int64)
    if not len(steps):
        return 0
    level = np.cumsum(steps)
    floor = np.minimum.accumulate(np.minimum(level, 0))  # end tags without a start close nothing
    return int((level - floor).max())


def attributes(page: bytes) -> int:
    """The most words in one start tag, its name and what stands in quotes left out.

    >>> attributes(b"<a b='x > y' c d=1>")
    3
    """
    return max((len(_QUOTED.sub(b"", tag).split()) - 1 for tag in _TAG.findall(page)), default=0)


# The two-letter names that nest nothing and are frequent, as their first two bytes.
_NO_NESTING = np.zeros(1 << 16, dtype=bool)
for _pair in (b"br", b"li", b"td", b"tr", b"th"):
    _NO_NESTING[_pair[0] << 8 | _pair[1]] = True


def _may_nest(codes: np.ndarray) -> int:
    """The number of brackets that may begin a nesting tag: never fewer than there are."""
    at = np.flatnonzero(codes[:-3] == ord("<"))
    last = np.count_nonzero(codes[-3:] == ord("<"))
    first, second, third = codes[at + 1].astype(np.int64), codes[at + 2], codes[at + 3]
    nothing = _NO_NESTING[first << 8 | second] & (third <= ord(">"))  # blank, slash or bracket
    paragraph = ((first | 32) == ord("p")) & (second <= ord(">"))
    return int(last + np.count_nonzero((first >= ord("A")) & ~nothing & ~paragraph))


def _longest_run(codes: np.ndarray) -> int:
    """The longest stretch of bytes without `>`."""
    ends = np.flatnonzero(codes == ord(">"))
    if not len(ends):
        return len(codes)
    return max(int(ends[0]), len(codes) - int(ends[-1]), int(np.diff(ends).max(initial=0)))
