"""jusText's good paragraphs as trafilatura asks for them: 50/200 characters, densities 0.1/0.2/0.2.

Exact because these settings never change: headings are off, so its two heading passes do nothing,
a paragraph's stop words matter only where its length and links leave the class open, and the
nearest decided neighbour is found by one sweep each way instead of a walk from every paragraph.
"""

from __future__ import annotations

import re
from functools import cache

from justext.core import PARAGRAPH_TAGS
from lxml import etree
from lxml.etree import Element, _Element
from trafilatura.external import jt_stoplist_init

MIN_CHARS, LONG_CHARS = 50, 200
LOW_STOPWORDS, HIGH_STOPWORDS, MAX_LINKS = 0.1, 0.2, 0.2

_space = re.compile(r"\s+")
_odd_space = re.compile(r"[^\S ]|  ")  # anything that normalising would change


@cache
def stop_words() -> frozenset[str]:
    """The stop words of all languages, lower-cased, read once."""
    return frozenset(word.lower() for word in jt_stoplist_init())


def normalized(text: str) -> str:
    """Runs of white space as one space, or as one newline where they hold a line break."""
    if _odd_space.search(text) is None:
        return text
    if "\n" not in text and "\r" not in text:
        return _space.sub(" ", text)
    return _space.sub(lambda m: "\n" if "\n" in m[0] or "\r" in m[0] else " ", text)


class Paragraphs:
    """The page's text between block elements: text, characters in links, inside a <select>."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int, bool]] = []
        self._pieces: list[str] = []
        self._link_chars = 0
        self._in_link = self._after_break = False
        self._selects = 0
        self._in_select = False

    def _close(self) -> None:
        if self._pieces:
            text = normalized("".join(self._pieces).strip())
            if text:  # nothing but line breaks is no paragraph: its length there is its truth value
                self.found.append((text, self._link_chars, self._in_select))
            self._pieces = []
        self._link_chars = 0
        self._in_select = self._selects > 0  # a paragraph's path is that of where it starts

    def _characters(self, text: str | None) -> None:
        if not text or text.isspace():
            return
        text = normalized(text)
        self._pieces.append(text)
        if self._in_link:
            self._link_chars += len(text)
        self._after_break = False

    def _start(self, tag: str) -> None:
        self._selects += "select" in tag
        if tag in PARAGRAPH_TAGS or (tag == "br" and self._after_break):
            self._close()
            return
        self._after_break = tag == "br"
        if tag == "br":
            self._pieces.append(" ")
        elif tag == "a":
            self._in_link = True

    def _end(self, tag: str) -> None:
        self._selects -= "select" in tag
        if tag in PARAGRAPH_TAGS:
            self._close()
        if tag == "a":
            self._in_link = False

    def read(self, root: _Element) -> list[tuple[str, int, bool]]:
        """The paragraphs of a tree in page order."""
        for event, element in etree.iterwalk(root, events=("start", "end")):
            tag = element.tag
            if event == "start":
                self._start(tag)
                self._characters(element.text)
            else:
                self._end(tag)
                self._characters(element.tail)
        self._close()
        return self.found


def context_free_class(text: str, link_chars: int, in_select: bool) -> str:
    """good, neargood, short or bad, by a paragraph's own text."""
    length = len(text)
    if (link_chars / length if length else 0) > MAX_LINKS:
        return "bad"
    if "\xa9" in text or "&copy" in text or in_select:
        return "bad"
    if length < MIN_CHARS:
        return "bad" if link_chars > 0 else "short"
    words = text.lower().split()
    density = sum(map(stop_words().__contains__, words)) / len(words) if words else 0
    if density >= HIGH_STOPWORDS:
        return "good" if length > LONG_CHARS else "neargood"
    return "neargood" if density >= LOW_STOPWORDS else "bad"


def nearest(classes: list[str], chosen: frozenset[str]) -> list[str]:
    """For each position the nearest earlier class among the wanted ones, "bad" where none is."""
    result, last = [], "bad"
    for name in classes:
        result.append(last)
        if name in chosen:
            last = name
    return result


_DECIDED = frozenset({"good", "bad"})
_WITH_NEARGOOD = frozenset({"good", "bad", "neargood"})


def in_context(classes: list[str]) -> list[str]:
    """The classes with short and neargood decided by their neighbours."""
    back = classes[::-1]
    before, before_near = nearest(classes, _DECIDED), nearest(classes, _WITH_NEARGOOD)
    after, after_near = nearest(back, _DECIDED)[::-1], nearest(back, _WITH_NEARGOOD)[::-1]
    revised = list(classes)
    for i, name in enumerate(classes):
        if name == "short":
            if before[i] == after[i]:
                revised[i] = before[i]
            elif (before[i] == "bad" and before_near[i] == "neargood") or (
                after[i] == "bad" and after_near[i] == "neargood"
            ):
                revised[i] = "good"
            else:
                revised[i] = "bad"
    after = nearest(revised[::-1], _DECIDED)[::-1]
    last = "bad"
    for i, name in enumerate(revised):
        if name == "neargood":
            # earlier neighbours are final by now, later ones not, as in the library's loop
            revised[i] = "bad" if last == "bad" and after[i] == "bad" else "good"
        last = revised[i]
    return revised


def good_paragraphs(tree: _Element) -> _Element:
    """A <body> with the tree's good paragraphs."""
    body = Element("body")
    paragraphs = Paragraphs().read(tree)
    classes = in_context([context_free_class(*paragraph) for paragraph in paragraphs])
    for (text, _, _), name in zip(paragraphs, classes, strict=True):
        if name == "good":
            etree.SubElement(body, "p").text = text
    return body
