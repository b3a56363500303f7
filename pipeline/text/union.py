"""One text from two engines' texts: the lines of the first, and what only the second has.

The engines cut the same page into lines differently (a `<br>`, a table row, a heading glued to the
paragraph behind it), so lines are compared by what they say, not as wholes: a line is in the other
text when most of its word triples are, or when its words stand there next to those of its
neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import regex

SHARED = 0.5  # a line with at least this share of its triples in the other text is there already

# A word; in scripts that write words without spaces, one character.
_token = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]"
    r"|[^\W\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]+"
)

Key = tuple[str, ...]


def triples(line: str) -> Iterator[Key]:
    """The runs of three words of a line; the line itself where it has fewer.

    >>> list(triples("One two, three four"))
    [('one', 'two', 'three'), ('two', 'three', 'four')]
    >>> list(triples("Read more")), list(triples("***"))
    ([('read', 'more')], [])
    """
    words = _token.findall(line.lower())
    if 0 < len(words) < 3:
        yield tuple(words)
    for start in range(len(words) - 2):
        yield tuple(words[start : start + 3])


@dataclass(frozen=True)
class Line:
    """A line of a text: itself, its triples, and its words without what parts them."""

    text: str
    keys: list[Key]
    letters: str


@dataclass
class FirstText:
    """The first text, to look a line of the second up in: where each triple stands in it."""

    lines: list[Line]
    line_of: dict[Key, int] = field(default_factory=dict)
    place_of: dict[Key, int] = field(default_factory=dict)  # in the letters of all lines
    edges: set[int] = field(default_factory=lambda: {0})  # where lines begin and the last one ends
    letters: str = ""

    def __post_init__(self) -> None:
        place = 0
        for number, line in enumerate(self.lines):
            at = place
            for key in line.keys:
                self.line_of.setdefault(key, number)
                self.place_of.setdefault(key, at)
                at += len(key[0])
            place += len(line.letters)
            self.edges.add(place)
        self.letters = "".join(line.letters for line in self.lines)

    def begin_of(self, line: Line) -> int | None:
        """Where a line's words begin, by the first of its triples that is here."""
        before = 0
        for key in line.keys:
            if key in self.place_of:
                return self.place_of[key] - before
            before += len(key[0])
        return None


def union_lines(first: str, second: str) -> list[tuple[str, str]]:
    """(line, "first" | "second" | "both") of the union, in page order; time linear in the texts.

    A line that only the second text has stands after the last line that both have. Lines that
    repeat an earlier line of the union are left out, and so are lines without a word.
    """
    ours, theirs = FirstText(_lines(first)), _lines(second)
    added: dict[int, list[str]] = {}
    known_to_second = {key for line in theirs for key in line.keys}
    seen: set[Key] = set()
    after, end = -1, 0  # the last line that both have, and where its words end in the first text
    for line, following in zip(theirs, [*theirs, None][1:], strict=True):
        common = [ours.line_of[key] for key in line.keys if key in ours.line_of]
        begin = ours.begin_of(line)
        if len(common) >= SHARED * len(line.keys):
            after = max(after, common[-1])
            end = (begin or 0) + len(line.letters)
        elif (place := _glued(ours, line, following, end)) is not None:
            end = place + len(line.letters)
            known_to_second.update(line.keys)
        elif sum(key in seen for key in line.keys) < SHARED * len(line.keys):
            added.setdefault(after, []).append(line.text)
            seen.update(line.keys)
    merged = [(text, "second") for text in added.get(-1, ())]
    for number, line in enumerate(ours.lines):
        shared = sum(key in known_to_second for key in line.keys) >= SHARED * len(line.keys)
        merged.append((line.text, "both" if shared else "first"))
        merged.extend((text, "second") for text in added.get(number, ()))
    return merged


def _glued(ours: FirstText, line: Line, following: Line | None, end: int) -> int | None:
    """Where the first text has a line's words right beside its neighbour's, None if it has not.

    So a heading that one engine glued to its paragraph ("PricesEntry is free") is met again. It
    begins where a line does or the line before it ended, and ends where a line does or the line
    behind it begins.
    """
    size = len(line.letters)
    begin = ours.begin_of(following) if following is not None else None
    places = [end] if begin is None else [end, begin - size]
    for place in places:
        is_whole = place + size == begin or place + size in ours.edges
        begins_well = place == end or place in ours.edges
        if begins_well and is_whole and ours.letters.startswith(line.letters, place):
            return place
    return None


def _lines(text: str) -> list[Line]:
    """The distinct lines of a text that have words."""
    by_keys: dict[tuple[Key, ...], Line] = {}
    for line in text.splitlines():
        keys = tuple(triples(line))
        if keys and keys not in by_keys:
            letters = "".join(key[0] for key in keys) + "".join(keys[-1][1:])
            by_keys[keys] = Line(line.strip(), list(keys), letters)
    return list(by_keys.values())
