"""How single elements of a page become text: trafilatura's own handlers, bound to faster helpers.

`handle_textelem` and the handlers it calls are trafilatura's code objects with a namespace of our
own, in which `process_node`, `handle_textnode`, `handle_table` and the logger are ours; the
library's module keeps its own. Ours do what the library's do, in the same order, with each text
read once and written only where it changes, repeated paragraphs remembered in the page's options
instead of in the process, and a table cell's span read once instead of once for each row around it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from types import FunctionType
from typing import Any

from lxml.etree import Element, _Element, strip_tags
from trafilatura import main_extractor
from trafilatura.main_extractor import define_newelem
from trafilatura.settings import LRU_SIZE, Extractor
from trafilatura.utils import textfilter

LONGEST_FILTERED = 40  # the patterns of `textfilter` match lines of at most 20 letters


class PageOptions(Extractor):
    """The options of FineWeb's call with one page's memory of the texts it has met.

    `fill_rows` is the library's way with tables: a bar for each cell that a row lacks.
    """

    __slots__ = ("fill_rows", "seen")
    fill_rows: bool
    seen: OrderedDict[str, int]


_OPTIONS = PageOptions(precision=True, comments=False, dedup=True)


def page_options(fill_rows: bool = True) -> PageOptions:
    """The options for a page, its memory empty."""
    options = copy(_OPTIONS)
    options.fill_rows = fill_rows
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


CELL_TAGS = ("td", "th")
TEXT_TAGS = frozenset({"td", "th", "hi"})

Handler = Callable[[_Element, set[str], PageOptions], _Element | None]


def table_element(
    table: _Element, tags: set[str], options: PageOptions, handle: Handler
) -> _Element | None:
    """The table in the library's tags, None where no cell has text; `handle` is for what is inside.

    Raises ValueError for a cell's span that is no number, as the library does.
    """
    found = Element("table")
    strip_tags(table, "thead", "tbody", "tfoot")
    width = columns(table) if options.fill_rows else 1
    span = {"span": str(width)} if width > 1 else {}
    row = Element("row", span)
    cell_tags = tags.union(["div"])
    head_row_seen = head_seen = False
    for element in table.iterdescendants():
        tag = element.tag
        if tag == "tr":
            if len(row) > 0:
                found.append(row)
                row = Element("row", span)
                head_row_seen = head_row_seen or head_seen
        elif tag in CELL_TAGS:
            is_head = tag == "th" and not head_row_seen
            head_seen = head_seen or is_head
            cell = Element("cell", {"role": "head"} if is_head else {})
            fill(cell, element, cell_tags, options, handle)
            if cell.text or len(cell) > 0:
                row.append(cell)
        elif tag == "table":
            break
        element.tag = "done"
    row.attrib.pop("span", None)  # the library's last row has none
    if len(row) > 0:
        found.append(row)
    return found if len(found) > 0 else None


def fill(
    cell: _Element, source: _Element, tags: set[str], options: PageOptions, handle: Handler
) -> None:
    """Gives a cell the text of the page's cell and the elements made of what is inside."""
    if len(source) == 0:
        processed = process_node(source, options)
        if processed is not None:
            cell.text, cell.tail = processed.text, processed.tail
        return
    cell.text, cell.tail = source.text, source.tail
    source.tag = "done"
    for child in source.iterdescendants():
        tag = child.tag
        if tag == "done":  # no handler takes it
            continue
        if tag in TEXT_TAGS:
            if tag != "hi":
                child.tag = "cell"
            processed = handle_textnode(child, options, preserve_spaces=True, comments_fix=True)
        else:
            processed = handle(child, tags, options)
        define_newelem(processed, cell)
        child.tag = "done"


def columns(table: _Element) -> int:
    """The most columns of a row, those of tables inside its cells included."""
    widths: dict[_Element, int] = {}
    for cell in table.iter(*CELL_TAGS):
        width = None
        for around in cell.iterancestors("tr", "table"):
            if around is table:
                break
            if around.tag == "tr":
                width = int(cell.get("colspan", 1)) if width is None else width
                widths[around] = widths.get(around, 0) + width
    return max(widths.values(), default=0)


def handle_table(element: _Element, tags: set[str], options: PageOptions) -> _Element | None:
    """The library's table element for a page's table."""
    return table_element(element, tags, options, handle_textelem)


class _NoLog:
    """Stands in for the handlers' logger, whose debug lines cost more than they tell."""

    def debug(self, *_: Any) -> None:
        """Drops a line."""


def _bound(module: Any, **replacements: Any) -> dict[str, Any]:
    """A copy of a module's namespace in which its own functions see the replacements."""
    namespace = {**vars(module), **replacements}
    for name, value in vars(module).items():
        if name in replacements:
            continue
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            copied = FunctionType(value.__code__, namespace, name, value.__defaults__)
            copied.__kwdefaults__ = value.__kwdefaults__
            namespace[name] = copied
    return namespace


handle_textelem = _bound(
    main_extractor,
    process_node=process_node,
    handle_textnode=handle_textnode,
    handle_table=handle_table,
    LOGGER=_NoLog(),
)["handle_textelem"]
