"""The text of a body in trafilatura's tags, as its `xmltotxt` writes it without formatting."""

from __future__ import annotations

from html import unescape
from unicodedata import normalize

from lxml.etree import _Element
from trafilatura.xml import NEWLINE_ELEMS, SPECIAL_FORMATTING, replace_element_text


def plain_text(body: _Element) -> str:
    """The body's text, one line for each block."""
    pieces: list[str] = []
    _write(body, pieces, in_cell=False)
    lines = (clean_line(line) for line in "".join(pieces).splitlines())
    text = "\n".join(filter(None, lines)).replace("\u2424", "")
    return normalize("NFC", unescape(text))


def clean_line(line: str) -> str:
    """A line without control characters, its white space trimmed; empty if nothing is left.

    The library trims last, so that white space, which it keeps until then, may go first.
    """
    if "&" in line:
        line = line.replace("&#13;", "\r").replace("&#10;", "\n").replace("&nbsp;", "\u00a0")
    line = " ".join(line.split())
    if not line.isprintable():
        line = " ".join("".join(filter(str.isprintable, line)).split())
    return line


def _write(element: _Element, pieces: list[str], in_cell: bool) -> None:
    """Appends the text of an element and its tail; depth is bounded by libxml2's 255 levels."""
    tag, text, tail = element.tag, element.text, element.tail
    if text is not None:
        pieces.append(replace_element_text(element, False) if tag in _MARKED else text)
    in_cell_below = in_cell or tag == "cell"
    for child in element:
        _write(child, pieces, in_cell_below)
    if text is None and tail is None:
        if tag == "row":
            _end_row(element, pieces)
        elif tag in NEWLINE_ELEMS:
            pieces.append("\n")
        elif tag != "cell":
            return
    if tag in NEWLINE_ELEMS and not in_cell:
        pieces.append("\n\n")
    elif tag == "cell":
        pieces.append(" | ")
    elif tag not in SPECIAL_FORMATTING:
        pieces.append(" ")
    if tail is not None:
        pieces.append(tail)


_MARKED = frozenset({"ref", "cell", "item"})  # the tags whose text is more than itself


def _end_row(row: _Element, pieces: list[str]) -> None:
    """Appends the bars of missing cells, and the line below a head row."""
    span = int(row.get("span", 1))
    cells = sum(1 for _ in row.iterdescendants("cell"))
    pieces.append("|" * (span - cells) + "\n")
    if any(cell.get("role") == "head" for cell in row.iterchildren("cell")):
        pieces.append("\n" + "---|" * span + "\n")
