"""trafilatura's two helpers that every handler of an element calls, `process_node` and another.

They do what the library's do, with each text read once, written only where it changes, and repeated
paragraphs remembered in the page's own options instead of in the process.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import copy

from lxml.etree import _Element
from trafilatura.settings import LRU_SIZE, Extractor
from trafilatura.utils import textfilter

LONGEST_FILTERED = 40  # the patterns of `textfilter` match lines of at most 20 letters


class PageOptions(Extractor):
    """The options of FineWeb's call with one page's memory of the texts it has met."""

    __slots__ = ("seen",)
    seen: OrderedDict[str, int]


_OPTIONS = PageOptions(precision=True, comments=False, dedup=True)


def page_options() -> PageOptions:
    """The options for a page, its memory empty."""
    options = copy(_OPTIONS)
    options.seen = OrderedDict()
    return options


def is_repeated(text: str, options: PageOptions) -> bool:
    """Whether a trimmed text of over 100 characters was met three times on the page; counts it.

    The library's cache of 4,096 texts: the one not met for longest goes first.
    """
    seen = options.seen
    count = seen.pop(text, 0)
    seen[text] = count + 1
    if len(seen) > LRU_SIZE:
        seen.popitem(last=False)
    return count > options.max_repetitions and len(text) > options.min_duplcheck_size


def is_repeated_element(element: _Element, options: PageOptions) -> bool:
    """`duplicate_test`: the same for an element's text."""
    return is_repeated(" ".join(" ".join(element.itertext()).split()), options)


def process_node(element: _Element, options: PageOptions) -> _Element | None:
    """The element with its texts trimmed, None where it has none that counts."""
    text, tail, is_leaf = element.text, element.tail, len(element) == 0
    if element.tag == "done" or (is_leaf and not text and not tail):
        return None
    text, tail = _trim_text(element, text), _trim_tail(element, tail)
    if not text and tail and element.tag != "lb":
        element.text, element.tail = tail, None
        text, tail = tail, None
    if text or tail:
        if _is_unwanted(element, text, tail):
            return None
        if is_repeated(text or "", options) if is_leaf else is_repeated_element(element, options):
            return None
    return element


def handle_textnode(
    element: _Element,
    options: PageOptions,
    comments_fix: bool = True,
    preserve_spaces: bool = False,
) -> _Element | None:
    """The same with the choices that some callers make; an empty leaf takes its tail as text."""
    text, tail, is_leaf = element.text, element.tail, len(element) == 0
    if element.tag == "done" or (is_leaf and not text and not tail):
        return None
    if element.tag == "lb" and not comments_fix:
        if not preserve_spaces:
            _trim_tail(element, tail)
        return element
    if is_leaf and not text:
        element.text, element.tail = tail, ""
        text, tail = tail, ""
        if comments_fix and element.tag == "lb":
            element.tag = "p"
    if not preserve_spaces:
        text = _trim_text(element, text)
        if tail:
            _trim_tail(element, tail)
    if (not text and textfilter(element)) or is_repeated_element(element, options):
        return None
    return element


def _trim_text(element: _Element, text: str | None) -> str | None:
    if text is None:
        return None
    trimmed = " ".join(text.split())
    # A text that stays is still written where lxml might refuse it, as it then refuses the page.
    if trimmed != text or not text.isprintable():
        element.text = trimmed
    return trimmed


def _trim_tail(element: _Element, tail: str | None) -> str | None:
    if tail is None:
        return None
    trimmed = " ".join(tail.split())
    if trimmed != tail or not tail.isprintable():
        element.tail = trimmed
    return trimmed


def _is_unwanted(element: _Element, text: str | None, tail: str | None) -> bool:
    """`textfilter` for trimmed texts: nothing, or a line like "Print" or "Share on Facebook"."""
    tested = tail if text is None else text
    if tested and len(tested) > LONGEST_FILTERED and tested[0].isalnum():
        return False
    return textfilter(element)
