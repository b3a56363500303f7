"""trafilatura's XPath rules as bits, decided once per distinct attribute value.

Exact because every rule read here is a disjunction of tests on single attributes of the element
itself, behind a set of tag names: `.//*[self::div or …][contains(@class, "x") or …]`. Such a rule
holds for an element iff its tag is in the set and one of its attribute values passes, so a value
seen on a thousand elements is tested once (libxml2 tests it a thousand times, 14 ms a page for two
rules alone). The rules are compiled from the library's own expressions, not retyped; an expression
that does not have this form raises `UnknownRule`, and the plain library runs instead.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from lxml.etree import _Element
from trafilatura import readability_lxml, xpaths

SEPARATOR = "\0"  # libxml2 strings end at NUL, so that no value holds one
MEMO_CHARS = 2_000_000  # remembered per attribute from page to page: some 70,000 classes

_TERM = re.compile(
    r"""(?:(?P<test>contains|starts-with)\(\s*)?
        (?:translate\(\s*@(?P<moved>[\w-]+)\s*,\s*["'](?P<from>\w+)["']\s*,\s*["'](?P<to>\w+)["']\s*\)
          |@(?P<plain>[\w-]+))
        \s*(?:,\s*(?P<quote>["'])(?P<literal>[^"']+)(?P=quote)\s*\)
          |=\s*(?P<quote2>["'])(?P<equal>[^"']+)(?P=quote2))?""",
    re.X,
)
_PATH = re.compile(
    r"""\(?\.//(?:\*(?:\[\(?(?P<tags>self::\w+(?:\s+or\s+self::\w+)*)\)?\])?
        \[(?P<terms>.+?)\]|(?P<tag>\w+))\)?(?:\[1\])?""",
    re.X | re.S,
)


class UnknownRule(ValueError):
    """An expression of trafilatura's that is not a disjunction over an element's own attributes."""


@dataclass
class AttributeTests:
    """The tests on one attribute as strings to find in its values, between two separators.

    `SEPARATOR + x` is a test on the start, `SEPARATOR + x + SEPARATOR` one on the whole value.
    `find[""]` searches the value itself, `find["FULTEX>fultex"]` the value so translated.
    """

    present: int = 0
    find: dict[str, dict[str, int]] = field(default_factory=dict)
    searches: list[tuple[re.Pattern[str], int]] = field(default_factory=list)

    def add(self, translation: str, needle: str, bit: int) -> None:
        """Lets values that hold the needle satisfy the rule of the bit."""
        needles = self.find.setdefault(translation, {})
        needles[needle] = needles.get(needle, 0) | bit


class AttributeMemo(dict[str, int]):
    """value → the bits of the rules it satisfies, filled for all new values of a page at once.

    One search for a literal through all new values of a page costs little more than through one
    (180 literals × 75 classes a page: 0.1 ms for 1.4 ms).
    """

    def __init__(self) -> None:
        super().__init__()
        self.tests = AttributeTests()
        self.chars = 0

    def learn(self, values: Iterable[str]) -> None:
        """Adds the bits of the values, which are distinct."""
        values = list(values)
        joined = SEPARATOR + SEPARATOR.join(values) + SEPARATOR
        bits = [self.tests.present] * len(values)
        starts = [0, *accumulate(len(value) + 1 for value in values)]
        for translation, needles in self.tests.find.items():
            haystack = _translated(joined, translation)
            for needle, bit in needles.items():
                position = haystack.find(needle)
                while position >= 0:
                    index = bisect_right(starts, position) - 1
                    bits[index] |= bit
                    position = haystack.find(needle, starts[index + 1])
        for index, value in enumerate(values):
            if not value.isascii():  # case folding beyond ASCII (K, ſ) is left to the pattern
                for pattern, bit in self.tests.searches:
                    if pattern.search(value):
                        bits[index] |= bit
        self.update(zip(values, bits, strict=True))
        self.chars += len(joined)


def _translated(text: str, translation: str) -> str:
    """The text with each character before the ">" replaced by its counterpart after it."""
    source, _, target = translation.partition(">")
    if len(source) == 26 and text.isascii():
        return text.lower()
    for old, new in zip(source, target, strict=True):
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Selector:
    """One expression: the bit that its attribute tests set and the tags it is limited to."""

    bit: int
    tags: frozenset[str] | None  # None: any tag
    always: frozenset[str] = frozenset()  # tags that match without any attribute

    def selects(self, element: _Element, bits: int) -> bool:
        """Whether it selects an element whose tag and attributes have these bits."""
        if not bits & self.bit:
            return False
        return self.tags is None or element.tag in self.tags or element.tag in self.always


class RuleBook:
    """The rules compiled so far and the attribute memos behind them."""

    def __init__(self) -> None:
        self.memos: dict[str, AttributeMemo] = {}
        self._count = 0

    def start_page(self) -> None:
        """Empties what has grown too large; between pages only, a page relies on its own values."""
        for memo in self.memos.values():
            if memo.chars > MEMO_CHARS:
                memo.clear()
                memo.chars = 0

    def new_bit(self) -> int:
        """A bit that no rule has yet."""
        self._count += 1
        return 1 << (self._count - 1)

    def tests(self, attribute: str) -> AttributeTests:
        """The tests of an attribute, made empty on first use."""
        return self.memos.setdefault(attribute, AttributeMemo()).tests

    def compile(self, expression: Any) -> Selector:
        """The rule for an lxml XPath: the same elements; for one with `[1]`, the same first one."""
        bit, tags, always = self.new_bit(), None, frozenset()
        for path in re.split(r"\|(?=\(?\.//)", expression.path):
            match = _PATH.fullmatch(path.strip())
            if match is None:
                raise UnknownRule(path)
            if match["tag"]:
                always |= {match["tag"]}
                continue
            tags = frozenset(re.findall(r"self::(\w+)", match["tags"])) if match["tags"] else None
            for term in _split_terms(match["terms"]):
                self._add_term(term, bit)
        return Selector(bit, frozenset() if tags is None and always else tags, always)

    def _add_term(self, term: str, bit: int) -> None:
        match = _TERM.fullmatch(term)
        if match is None:
            raise UnknownRule(term)
        tests = self.tests(match["moved"] or match["plain"])
        literal, test = match["literal"], match["test"]
        translation = f"{match['from']}>{match['to']}" if match["moved"] else ""
        if set(match["from"] or "") & set(match["to"] or ""):
            raise UnknownRule(term)  # the characters are replaced one after the other
        if test and literal and len(match["from"] or "") == len(match["to"] or ""):
            prefix = SEPARATOR if test == "starts-with" else ""
            tests.add(translation, prefix + literal, bit)
        elif match["equal"] and match["plain"] and not test:
            tests.add("", SEPARATOR + match["equal"] + SEPARATOR, bit)
        elif match["plain"] and not (test or literal or match["equal"]):
            tests.present |= bit
        else:
            raise UnknownRule(term)

    def add_search(self, pattern: re.Pattern[str], attributes: Iterable[str]) -> int:
        """The bit of a case-insensitive search for any of a pattern's literal alternatives."""
        words = tuple(pattern.pattern.split("|"))
        if not all(re.fullmatch("[a-z-]+", word) for word in words):
            raise UnknownRule(pattern.pattern)
        bit = self.new_bit()
        for attribute in attributes:
            tests = self.tests(attribute)
            tests.searches.append((pattern, bit))
            for word in words:
                tests.add(f"{ascii_uppercase}>{ascii_lowercase}", word, bit)
        return bit


def _split_terms(terms: str) -> list[str]:
    """The operands of a chain of `or`, which never occurs inside these rules' literals."""
    return [term.strip() for term in re.split(r"\s+or\s+", terms.strip())]


BOOK = RuleBook()
PAYWALL = [BOOK.compile(x) for x in xpaths.PAYWALL_DISCARD_XPATH]
OVERALL = [BOOK.compile(x) for x in xpaths.OVERALL_DISCARD_XPATH]
TEASER = [BOOK.compile(x) for x in xpaths.TEASER_DISCARD_XPATH]
PRECISION = [BOOK.compile(x) for x in xpaths.PRECISION_DISCARD_XPATH]
CAPTION = [BOOK.compile(x) for x in xpaths.DISCARD_IMAGE_ELEMENTS]
COMMENTS = [BOOK.compile(x) for x in xpaths.REMOVE_COMMENTS_XPATH]
BODY = [BOOK.compile(x) for x in xpaths.BODY_XPATH]
# Readability searches "class id"; the pattern has no space, so that each is searched on its own.
UNLIKELY = BOOK.add_search(readability_lxml.REGEXES["unlikelyCandidatesRe"], ("class", "id"))
