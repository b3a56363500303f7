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
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from trafilatura import readability_lxml, xpaths

MEMO_VALUES = 50_000  # per attribute; 50,000 short strings are about 5 MB
MEMO_CHARS = 300  # longer values are rare and not worth remembering

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
    """The tests on one attribute: each maps to the bits of the rules that it satisfies."""

    present: int = 0
    equal: dict[str, int] = field(default_factory=dict)
    starts: list[tuple[str, int]] = field(default_factory=list)
    contains: list[tuple[str, int]] = field(default_factory=list)
    moved: list[tuple[dict[int, int], str, str, int]] = field(default_factory=list)
    searches: list[tuple[re.Pattern[str], tuple[str, ...], int]] = field(default_factory=list)

    def bits(self, value: str) -> int:
        """The rules that an attribute of this value satisfies, whatever the tag."""
        bits = self.present | self.equal.get(value, 0)
        for literal, bit in self.contains:
            if literal in value:
                bits |= bit
        for literal, bit in self.starts:
            if value.startswith(literal):
                bits |= bit
        for table, test, literal, bit in self.moved:
            translated = value.translate(table)
            if translated.startswith(literal) if test == "starts-with" else literal in translated:
                bits |= bit
        lowered = value.lower() if value.isascii() else None
        for pattern, words, bit in self.searches:
            if lowered is None:  # case folding beyond ASCII (K, ſ) is left to the pattern itself
                found = pattern.search(value) is not None
            else:
                found = any(word in lowered for word in words)
            if found:
                bits |= bit
        return bits


class Memo(dict[str, int]):
    """value → bits, filled on first sight and bounded; a cache of a pure function."""

    def __init__(self, tests: AttributeTests) -> None:
        super().__init__()
        self.tests = tests

    def __missing__(self, value: str) -> int:
        bits = self.tests.bits(value)
        if len(value) <= MEMO_CHARS:
            if len(self) >= MEMO_VALUES:
                self.clear()
            self[value] = bits
        return bits


@dataclass(frozen=True)
class Rule:
    """One expression: the bit that its attribute tests set and the tags it is limited to."""

    bit: int
    tags: frozenset[str] | None  # None: any tag
    always: frozenset[str] = frozenset()  # tags that match without any attribute


class RuleBook:
    """The rules compiled so far and the attribute memos behind them."""

    def __init__(self) -> None:
        self.memos: dict[str, Memo] = {}
        self._count = 0

    def new_bit(self) -> int:
        """A bit that no rule has yet."""
        self._count += 1
        return 1 << (self._count - 1)

    def tests(self, attribute: str) -> AttributeTests:
        """The tests of an attribute, made empty on first use."""
        return self.memos.setdefault(attribute, Memo(AttributeTests())).tests

    def compile(self, expression: Any) -> Rule:
        """The rule that selects what this lxml XPath selects (for `…[1]`: whose first match it is)."""
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
        return Rule(bit, frozenset() if tags is None and always else tags, always)

    def _add_term(self, term: str, bit: int) -> None:
        match = _TERM.fullmatch(term)
        if match is None:
            raise UnknownRule(term)
        tests = self.tests(match["moved"] or match["plain"])
        literal, test = match["literal"], match["test"]
        if match["equal"] and not test and match["plain"]:
            tests.equal[match["equal"]] = tests.equal.get(match["equal"], 0) | bit
        elif literal and test and match["moved"]:
            table = str.maketrans(match["from"], match["to"])
            tests.moved.append((table, test, literal, bit))
        elif literal and test == "contains":
            tests.contains.append((literal, bit))
        elif literal and test == "starts-with":
            tests.starts.append((literal, bit))
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
            self.tests(attribute).searches.append((pattern, words, bit))
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
# Readability drops an element whose "class id" matches the first and not the second; neither
# pattern can match across the space between the two, so each attribute is searched on its own.
UNLIKELY = BOOK.add_search(readability_lxml.REGEXES["unlikelyCandidatesRe"], ("class", "id"))
MAYBE = BOOK.add_search(readability_lxml.REGEXES["okMaybeItsACandidateRe"], ("class", "id"))
