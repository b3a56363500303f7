"""Parsing and node operations on plain lxml elements, with trafilatura's results.

The library parses with `lxml.html`, whose element classes are chosen by a Python function for every
element it touches (2,200 calls a page). The same libxml2 parser with the same options builds the
same tree; plain elements only lack the methods that `lxml.html` adds, and those few are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import lxml.html
from lxml import etree
from lxml.etree import _Element
from trafilatura.utils import DOCTYPE_TAG, FAULTY_HTML, is_dubious_html

from decant.pipeline.text.replica.predicates import BODY, BOOK, PRECISION, Selector

# The options of trafilatura.utils.HTML_PARSER.
PARSER = etree.HTMLParser(
    collect_ids=False,
    default_doctype=False,
    encoding="utf-8",
    remove_comments=True,
    remove_pis=True,
)
HEAD_CHARS = 4096

_DOCTYPE = re.compile(DOCTYPE_TAG.pattern.removesuffix(".+?/ ?>"), DOCTYPE_TAG.flags)

Flagged = list[tuple[_Element, int]]
Attributes = list[tuple[str, str]]

_string = etree.XPath("string()", smart_strings=False)
_string_length = etree.XPath("string-length()")

_TAG_BITS = {tag: rule.bit for rule in (*BODY, *PRECISION) for tag in rule.always}


class Unproven(Exception):
    """This page takes a path whose result is not shown to equal the library's."""


def parse(html: str, parser: etree.HTMLParser = PARSER) -> _Element | None:
    """The tree that trafilatura's `load_html` gives for a string, None where it gives none."""
    beginning = html[:50].lower()
    html = repaired(html, "doctype" in beginning)
    try:
        tree = lxml.html.fromstring(html, parser=parser)
    except ValueError:  # lxml refuses a str with an encoding declaration; so does the library's
        tree = parse_bytes(html, parser)
    except Exception as error:
        raise Unproven("parser") from error
    if tree is None or len(tree) < 1:
        raise Unproven("empty tree")  # the library parses again in other ways
    return None if is_dubious_html(beginning) and len(tree) < 2 else tree


def repaired(html: str, has_doctype: bool) -> str:
    """What `repair_faulty_html` gives, without splitting 100 KB for the sake of four lines."""
    if has_doctype:
        end = html.find("\n")
        if end < 0:
            html, end = html + "\n", len(html)
        html = html[_doctype_chars(html, end) :]
    lines = html[:HEAD_CHARS].splitlines()
    if len(lines) < 5 and len(html) > HEAD_CHARS:  # else the first four are whole
        lines = html.splitlines() if "<html" in html else []
    if any("<html" in line and line.endswith("/>") for line in lines[:4]):
        html = FAULTY_HTML.sub(r"\1>", html, count=1)
    return html


def _doctype_chars(html: str, line_end: int) -> int:
    """The length of what DOCTYPE_TAG (`^< ?! ?DOCTYPE.+?/ ?>`) matches in the first line.

    Its lazy part takes 0.1 ms for a page in one line; two searches for its end take a tenth.
    """
    opening = _DOCTYPE.match(html, 0, line_end)
    if opening is None:
        return 0
    closings = (html.find(closing, opening.end() + 1, line_end) for closing in ("/>", "/ >"))
    first = min((at for at in closings if at >= 0), default=-1)
    return 0 if first < 0 else html.index(">", first) + 1


def parse_bytes(html: str, parser: etree.HTMLParser = PARSER) -> _Element:
    """The tree of a string handed over as UTF-8, as the library's `fromstring_bytes` does."""
    return lxml.html.fromstring(html.encode("utf8", "surrogatepass"), parser=parser)


def text_of(element: _Element) -> str:
    """All text inside an element, as lxml.html's `text_content` gives it."""
    return _string(element) if len(element) else element.text or ""


def text_length(element: _Element) -> int:
    """Characters of all text inside an element, counted without making a string of it."""
    return int(_string_length(element)) if len(element) else len(element.text or "")  # type: ignore


def trimmed(text: str) -> str:
    """The text with each run of white space as one space, none at the ends."""
    return " ".join(text.split())


def trimmed_length(element: _Element) -> int:
    """Characters of an element's trimmed text."""
    return len(" ".join(text_of(element).split()))


def delete(element: _Element) -> None:
    """Removes an element, its tail kept in place (`delete_element`, lxml.html's `drop_tree`)."""
    parent = element.getparent()
    if parent is None:
        return
    tail = element.tail
    if tail:
        previous = element.getprevious()
        if previous is None:
            parent.text = (parent.text or "") + tail
        else:
            previous.tail = (previous.tail or "") + tail
    parent.remove(element)


def contains_tag(element: _Element, *tags: str) -> bool:
    """Whether an element has a descendant with one of these tags."""
    return next(element.iterdescendants(*tags), None) is not None


def root_of(element: _Element) -> _Element:
    """The element where an absolute XPath starts."""
    return element.getroottree().getroot()


def bits_of(element: _Element) -> int:
    """The rules that an element's tag or attributes satisfy now; its page has been flagged."""
    return _TAG_BITS.get(element.tag, 0) | _attribute_bits(element.items())


def _attribute_bits(attributes: Attributes, memos=BOOK.memos) -> int:
    bits = 0
    for name, value in attributes:
        if name in memos:
            bits |= memos[name][value]
    return bits


def flag(tree: _Element) -> tuple[Flagged, list[int], set[str]]:
    """The descendants that any rule may concern with their bits, their indexes, and all tags.

    The one pass that reads attributes. No step adds an attribute that a rule reads, so that the
    result stays a superset for every later step on this tree, and its indexes hold for a copy.
    """
    elements = list(tree.iterdescendants("*"))
    names = [element.tag for element in elements]
    tags = set(names)
    bits: dict[int, int] = {}
    if not tags.isdisjoint(_TAG_BITS):
        bits = {i: _TAG_BITS[name] for i, name in enumerate(names) if name in _TAG_BITS}
    for name, unknown in _known_bits(elements, bits).items():
        memo = BOOK.memos[name]
        memo.learn(unknown)
        for value, indexes in unknown.items():
            if memo[value]:
                for index in indexes:
                    bits[index] = bits.get(index, 0) | memo[value]
    indexes = sorted(bits)
    return [(elements[index], bits[index]) for index in indexes], indexes, tags


def _known_bits(elements: list[_Element], bits: dict[int, int]) -> dict[str, dict[str, list[int]]]:
    """Adds the bits of values met before; each attribute's others with their elements' indexes."""
    unknown: dict[str, dict[str, list[int]]] = {name: {} for name in BOOK.memos}
    find_memo = BOOK.memos.get
    for index, element in enumerate(elements):
        for name, value in element.items():
            memo = find_memo(name)
            if memo is not None:
                known = memo.get(value)
                if known is None:
                    unknown[name].setdefault(value, []).append(index)
                elif known:
                    bits[index] = bits.get(index, 0) | known
    return {name: values for name, values in unknown.items() if values}


def prune(flagged: Flagged, rules: Iterable[Selector]) -> None:
    """Removes what the rules select, one rule after the other, as `prune_unwanted_nodes` does.

    An element inside one that is gone already is handled too; that changes nothing in the tree.
    """
    for rule in rules:
        bit, tags, always = rule.bit, rule.tags, rule.always
        for element, bits in flagged:
            if bits & bit and (tags is None or element.tag in tags or element.tag in always):
                remove_node(element)


def remove_node(element: _Element) -> None:
    """Removes an element, its tail moved behind the previous sibling or, as there, the parent."""
    parent = element.getparent()
    if parent is None:
        return
    tail = element.tail
    if tail is not None:
        previous = element.getprevious()
        if previous is None:
            previous = parent
        previous.tail = (previous.tail or "") + " " + tail
    parent.remove(element)
