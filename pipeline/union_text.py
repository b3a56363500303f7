"""One text from two engines' texts: the lines of the first, and what only the second has.

The engines cut the same page into lines differently (a `<br>`, a table row), so lines are compared
by what they say, not as wholes: a line is in the other text when most of its word triples are.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

SHARED = 0.5  # a line with at least this share of its triples in the other text is there already

# A word; in scripts that write words without spaces, one character.
_token = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]"
    r"|[^\W\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]+"
)


def triples(line: str) -> Iterator[tuple[str, ...]]:
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


def union_lines(first: str, second: str) -> list[tuple[str, str]]:
    """(line, "first" | "second" | "both") of the union, in page order; time linear in the texts.

    A line that only the second text has stands after the last line that both have. Lines that
    repeat an earlier line of the union are left out, and so are lines without a word.
    """
    ours, theirs = _lines(first), _lines(second)
    place: dict[tuple[str, ...], int] = {}
    for number, (_, keys) in enumerate(ours):
        for key in keys:
            place.setdefault(key, number)
    added: dict[int, list[str]] = {}
    known_to_second = {key for _, keys in theirs for key in keys}
    seen: set[tuple[str, ...]] = set()
    after = -1
    for line, keys in theirs:
        common = [place[key] for key in keys if key in place]
        if len(common) >= SHARED * len(keys):
            after = max(after, common[-1])
        elif sum(key in seen for key in keys) < SHARED * len(keys):
            added.setdefault(after, []).append(line)
            seen.update(keys)
    merged = [(line, "second") for line in added.get(-1, ())]
    for number, (line, keys) in enumerate(ours):
        shared = sum(key in known_to_second for key in keys) >= SHARED * len(keys)
        merged.append((line, "both" if shared else "first"))
        merged.extend((line, "second") for line in added.get(number, ()))
    return merged


def _lines(text: str) -> list[tuple[str, list[tuple[str, ...]]]]:
    """The distinct lines of a text that have words, each with its triples."""
    found: dict[tuple[tuple[str, ...], ...], str] = {}
    for line in text.splitlines():
        keys = tuple(triples(line))
        if keys:
            found.setdefault(keys, line.strip())
    return [(line, list(keys)) for keys, line in found.items()]
