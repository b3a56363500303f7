"""How long Readability's article can be at most: where that is too short, it need not be made.

The library runs Readability on every page and then keeps its own text unless the article is more
than twice as long, or its own text has hardly a paragraph and the article over 500 characters. An
article is a part of the page, so what is left of the page bounds it: on half of all pages the
library's own text is more than half of that already, and the article would be thrown away.

The bound counts characters of text in which runs of blanks, tabs and line breaks count once; of
other white space, which `trimmed` counts less, all. Readability only leaves text out and moves
what it keeps, except that the <iframe> of a video becomes the word VIDEO. Then it writes the
article as XML, which is parsed again: that makes one character (U+FFFD) of each one that XML
forbids, and lengthens only what stands in the elements of RAW_TAGS, where "<" comes back as "&lt;".
(<script> and <style> are removed first, and each <iframe> is removed or given a new text; <title>
and <textarea> are read with their entities.) Pages with such elements get no bound.
"""

from __future__ import annotations

from lxml import etree
from lxml.etree import _Element

MIN_CHARS = 250  # the library's min_extracted_size
RAW_TAGS = frozenset({"xmp", "noembed", "noframes", "plaintext"})
VIDEO_CHARS = len(" VIDEO ")
UNKNOWN = -1

# Such a body gives way to a longer article.
has_few_paragraphs = etree.XPath("not(.//p[.//text()]) or count(.//table) > count(.//p)")
_spaced_length = etree.XPath("string-length(normalize-space(.))")


def unused_article_chars(body: _Element, length: int) -> int:
    """The length up to which no article replaces the library's own body, whatever its text."""
    if length == 0:
        return 0
    return min(2 * length, 2 * MIN_CHARS) if has_few_paragraphs(body) else 2 * length


def unused_page_chars(page: _Element, tags: set[str], body: _Element, length: int) -> int:
    """The length up to which no part of a page gives an article that replaces the body."""
    if not tags.isdisjoint(RAW_TAGS):
        return UNKNOWN
    videos = sum(1 for _ in page.iter("iframe")) if "iframe" in tags else 0
    return unused_article_chars(body, length) - VIDEO_CHARS * videos


def spaced_length(element: _Element) -> int:
    """Characters of an element's text, runs of XML's white space counted as one."""
    return int(_spaced_length(element))  # type: ignore[arg-type]
