"""trafilatura's text several times faster: the call FineWeb makes, and only that one.

`text(html)` equals, to the character, what trafilatura 1.11.0 returns for
`extract(html, favor_precision=True, include_comments=False, deduplicate=True)` on its own, that is
with an empty memory of earlier pages. It follows the library's steps on the same libxml2 tree and
calls the library's functions for single elements; nothing of the library is replaced, so another
`import trafilatura` in the process is not affected. The parts, each with the reason it is exact:

| file | what it saves |
|---|---|
| predicates | XPath rules decided once per distinct attribute value, not per element |
| tree | elements without lxml.html's Python class lookup |
| content | tags, copies and texts that a page does not need are not made or read |
| links | texts of blocks without links, or around long ones, are not read |
| elements | texts and table cells read once, repeated paragraphs remembered per page |
| bound | no Readability where its article would not be chosen: half of all pages |
| readability | block elements asked of the tree, counts only as far as they decide |
| justext | the settings trafilatura uses, as one walk and two sweeps |
| page | the text written in one walk, the cell context handed down instead of an XPath each |

A page that meets anything unforeseen raises `Unproven`, and the caller runs the library itself.
"""

from __future__ import annotations

import gc
from copy import copy
from html import unescape
from itertools import islice
from unicodedata import normalize

import lxml.etree
from lxml.etree import _Element
from trafilatura.baseline import baseline
from trafilatura.external import SANITIZED_XPATH
from trafilatura.utils import HTML_PARSER
from trafilatura.xml import NEWLINE_ELEMS, SPECIAL_FORMATTING, replace_element_text

from decant.pipeline.text.replica.bound import MIN_CHARS, has_few_paragraphs, unused_page_chars
from decant.pipeline.text.replica.content import (
    body_text,
    clean,
    clean_article,
    convert,
    extract_content,
)
from decant.pipeline.text.replica.elements import is_repeated_element, page_options
from decant.pipeline.text.replica.justext import good_paragraphs
from decant.pipeline.text.replica.predicates import BOOK, COMMENTS, OVERALL, PAYWALL
from decant.pipeline.text.replica.readability import summary
from decant.pipeline.text.replica.tree import (
    Flagged,
    Unproven,
    bits_of,
    contains_tag,
    flag,
    parse,
    parse_bytes,
    prune,
    trimmed,
)


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


RESCUE_TAGS = sorted(frozenset().union(*(rule.tags or () for rule in (*PAYWALL, *COMMENTS))))
UNCLEAN_TAGS = tuple(path.removeprefix(".//") for path in SANITIZED_XPATH.split("|"))


def text(html: str, fill_rows: bool = True) -> str | None:
    """The library's text for a page, None where it has none; raises `Unproven` to ask for it.

    Without `fill_rows` table rows have no bars for cells that they lack, and no span is read.
    """
    collecting = gc.isenabled()
    gc.disable()  # a page makes thousands of elements and no cycle: 2 to 5 % for nothing
    try:
        return _text(html, fill_rows)
    except (Unproven, MemoryError):
        raise
    except Exception as error:  # mostly characters that XML forbids: the library swallows some
        raise Unproven(type(error).__name__) from error
    finally:
        if collecting:
            gc.enable()


def _text(html: str, fill_rows: bool) -> str | None:
    BOOK.start_page()
    options = page_options(fill_rows)
    tree = parse(html)
    if tree is None:
        return None
    flagged, indexes, tags = flag(tree)
    page = copy(tree)
    try:
        convert(clean(tree, tags))
        body, length = extract_content(tree, flagged, options)
    except ValueError:  # a span that is no number, a character that XML forbids: as the library's
        return None
    limit = unused_page_chars(page, tags, body, length)
    article = readability(page, flagged, indexes, tags, limit)
    use_article = False
    if article is not None and prefers_article(body, length, article[1]):
        use_article, body, length = True, article[0], len(article[1])
    rescued = False
    if length < MIN_CHARS or contains_tag(body, *UNCLEAN_TAGS):
        paragraphs = rescue(html, tags)
        rescue_length = len(body_text(paragraphs))
        rescued = rescue_length > 0
        if rescued and not length > 4 * rescue_length:
            body, length = paragraphs, rescue_length
    if use_article and not rescued:
        body, length = clean_article(body)
    if length < MIN_CHARS:
        body, _, length = baseline(parse(html, HTML_PARSER))
    if length < options.min_output_size or is_repeated_element(body, options):
        return None
    return plain_text(body)


def rescue(html: str, tags: set[str]) -> _Element:
    """jusText's paragraphs of the cleaned page.

    It is parsed anew: one page in six comes here, and a copy kept on every page costs more.
    """
    tree = parse(html)
    assert tree is not None, "parsed before"
    clean(tree, tags)
    if tree.getparent() is not None:
        tree = copy(tree)  # a fragment without its surroundings, as the library's copy is
    flagged = [(e, bits_of(e)) for e in tree.iterdescendants(*RESCUE_TAGS)]
    prune(flagged, PAYWALL)
    prune(flagged, COMMENTS)
    return good_paragraphs(tree)


def readability(
    page: _Element, flagged: Flagged, indexes: list[int], tags: set[str], limit: int
) -> tuple[_Element, str] | None:
    """Readability's article for a copy of the page and its text, None if that is within the limit.

    `flagged` are elements of the page itself, `indexes` their places in it and in the copy.
    """
    elements = list(islice(page.iterdescendants("*"), indexes[-1] + 1)) if indexes else []
    ours = [(elements[i], bits) for i, (_, bits) in zip(indexes, flagged, strict=True)]
    prune(ours, PAYWALL)
    prune(ours, OVERALL)
    written = summary(page, ours, tags, limit)
    if written is None:
        return None
    article = parse_bytes(written)
    return article, trimmed(lxml.etree.tostring(article, method="text", encoding="unicode"))


def prefers_article(body: _Element, length: int, article_text: str) -> bool:
    """Whether Readability's article replaces the library's own body."""
    article_length = len(article_text)
    if article_length in (0, length):
        return False
    if length == 0:
        return True
    if length > 2 * article_length:
        return False
    if article_length > 2 * length and not article_text.startswith("{"):  # JSON is no prose
        return True
    if article_length <= 2 * MIN_CHARS:
        return False
    return bool(has_few_paragraphs(body))
