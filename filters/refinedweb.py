"""RefinedWeb's line-wise corrections: Penedo et al. 2023 (arXiv:2306.01116), appendix G.2.

The paper lists the corrections in words; patterns and thresholds are those of DCLM's reproduction
(Li et al. 2024, arXiv:2406.11794). Lines are flagged or trimmed, and a document that loses more
than 5 % of its words this way goes as a whole.
"""

from __future__ import annotations

import re

from decant.filters.doc import Doc
from decant.filters.rule import Edit, Rule, at_most, ratio

PAPER = "RefinedWeb, Penedo et al. 2023, G.2"
SHORT_LINE_WORDS = 10
COUNTER = re.compile(
    r"\W*\d[\d.,]*\s?[KkMmBb]?\s+(?:likes|shares|comments|retweets|reposts|quotes|bookmarks"
    r"|upvotes|downvotes|downloads|views|followers)\W*",
    re.IGNORECASE,
)
# Parts of the page's controls, cut out of lines of at most ten words.
LINE_START = re.compile(r"^sign[- ]?in\b", re.IGNORECASE)
LINE_END = re.compile(r"\bread more\s*(?:\.\.\.|…)?$", re.IGNORECASE)
ANYWHERE = re.compile(r"\b\d*\s*items? in cart\b", re.IGNORECASE)


def correct_lines(doc: Doc, *, uppercase_fraction: float = 0.5) -> Doc:
    """The document with RefinedWeb's line-wise corrections; notes say which words they took.

    A line goes that is mainly upper case (more than `uppercase_fraction` of its characters), only
    numbers, a counter such as "3 likes", or a single word. Blank lines stay. A short line loses
    "Sign in" at its start, "Read more..." at its end and "items in cart" anywhere.
    """
    kept: list[str] = []
    total = removed = 0
    for line in doc.text.split("\n"):
        words = len(line.split())
        total += words
        if words == 0:
            kept.append(line)
        elif is_flagged(line, words, uppercase_fraction):
            removed += words
        else:
            trimmed = trim(line) if words <= SHORT_LINE_WORDS else line
            removed += words - len(trimmed.split())
            if trimmed:
                kept.append(trimmed)
    notes = {**doc.notes, "refinedweb_lines": ratio(removed, total)}
    text = "\n".join(kept)
    if text == doc.text:
        return Doc(text, doc.lexicon, doc.chunk_ids, notes)
    return Doc(text, doc.lexicon, notes=notes)


def is_flagged(line: str, words: int, uppercase_fraction: float) -> bool:
    """Whether a line of this many words carries no text of its own.

    >>> is_flagged("3 likes", 2, 0.5), is_flagged("1 2 3", 3, 0.5), is_flagged("Two words", 2, 0.5)
    (True, True, False)
    """
    letters = "".join(line.split())
    if words == 1 or letters.isdecimal():
        return True
    if sum(map(str.isupper, letters)) > uppercase_fraction * len(letters):
        return True
    return COUNTER.fullmatch(line) is not None


def trim(line: str) -> str:
    """A short line without the page's controls.

    >>> trim("The parliament met today. Read more...")
    'The parliament met today.'
    """
    trimmed = LINE_START.sub("", line.strip()).lstrip()
    trimmed = LINE_END.sub("", trimmed).rstrip()
    trimmed = ANYWHERE.sub("", trimmed).strip()
    return line if trimmed == line.strip() else trimmed


def flagged_word_fraction(doc: Doc) -> float:
    """Words that the line-wise corrections took, as a fraction of those before."""
    return doc.notes["refinedweb_lines"]


LINES = Edit(
    "refinedweb_lines",
    correct_lines,
    source=f"{PAPER}: line-wise corrections",
    options={"uppercase_fraction": 0.5},
)
EDITS = (LINES,)

RULES = (
    Rule(
        "refinedweb_flagged_word_fraction",
        flagged_word_fraction,
        keep=at_most(0.05),
        unit="fraction of words",
        source=f"{PAPER}: 'if the flagged lines represent more than 5% of the document words'",
        needs="refinedweb_lines",
    ),
)
