"""A table as trafilatura's `handle_table` makes it.

The same steps in the same order. What is saved: a cell's span is read for its own row and those
around it, not once more for each of them, and the set of tags that a cell may hold is made once per
table instead of once per element.
"""

from __future__ import annotations

from collections.abc import Callable

from lxml.etree import Element, _Element, strip_tags
from trafilatura.main_extractor import define_newelem

from decant.pipeline.fast_elements import PageOptions, handle_textnode, process_node

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
    width = columns(table)
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
