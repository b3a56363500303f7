"""FineWeb's own quality rules: Penedo et al. 2024 (arXiv:2406.17557), section 3.6.

The reference is datatrove 0.10.1, `fineweb_quality_filter.py`. In the recipe they see the text as
C4's line removals left it.
"""

from __future__ import annotations

from decant.filters.doc import Doc, repeated
from decant.filters.rule import Rule, at_least, at_most, ratio
from decant.filters.words.marks import TERMINAL

PAPER = "FineWeb, Penedo et al. 2024, 3.6"
# The code of the release knew five line ends, two of them quotation marks (datatrove 0.2.0).
LINE_ENDS = {"terminal": TERMINAL, "ascii_and_quotes": frozenset(".'\"!?")}


def nonblank_line_count(doc: Doc) -> float:
    """Lines that hold more than white space."""
    return float(len(doc.nonblank_lines))


def line_punctuation_fraction(
    doc: Doc, *, marks: str = "terminal", blank_lines: bool = False
) -> float:
    """Lines whose last character is a terminal mark, as a fraction of all."""
    ends = LINE_ENDS[marks]
    lines = doc.text.split("\n") if blank_lines else doc.nonblank_lines
    return ratio(sum(line[-1:] in ends for line in lines), len(lines))


def short_line_fraction(
    doc: Doc, *, short_line_chars: int = 30, blank_lines: bool = False
) -> float:
    """Lines of at most `short_line_chars` characters, as a fraction of all.

    The paper says shorter than 30; the reference counts a line of 30 as short, and so do we;
    `short_line_chars: 29` is the paper's form.
    """
    lines = doc.text.split("\n") if blank_lines else doc.nonblank_lines
    return ratio(sum(len(line) <= short_line_chars for line in lines), len(lines))


def duplicate_line_char_fraction(doc: Doc) -> float:
    """Characters in nonblank lines that were there before, as a fraction of all but line feeds.

    The paper's section 3.6 says 0.1, its table 2, the code and FineWeb2's notes say 0.01.
    """
    chars = repeated(doc.nonblank_lines)[1]
    return ratio(chars, len(doc.text) - doc.text.count("\n"))


def newlines_per_word(doc: Doc) -> float:
    """Line feeds per word, punctuation marks counted as words."""
    return ratio(doc.text.count("\n"), len(doc.words))


RULES = (
    Rule(
        "fineweb_nonblank_lines",
        nonblank_line_count,
        keep=at_least(1),
        unit="lines",
        source="datatrove 0.10.1: a text without a line has no line statistics",
        reference="empty",
    ),
    Rule(
        "fineweb_line_punctuation_fraction",
        line_punctuation_fraction,
        keep=at_least(0.12),
        unit="fraction of lines",
        source=f"{PAPER}: 'fraction of lines ending with punctuation ≤ 0.12'; the code keeps 0.12",
        reference="line_punct_ratio",
        options={"marks": "terminal", "blank_lines": False},
    ),
    Rule(
        "fineweb_short_line_fraction",
        short_line_fraction,
        keep=at_most(0.67),
        unit="fraction of lines",
        source=f"{PAPER}: 'fraction of lines shorter than 30 characters ≥ 0.67'",
        reference="short_line_ratio",
        options={"short_line_chars": 30, "blank_lines": False},
    ),
    Rule(
        "fineweb_duplicate_line_char_fraction",
        duplicate_line_char_fraction,
        keep=at_most(0.01),
        unit="fraction of characters",
        source="FineWeb, Penedo et al. 2024, table 2: characters in duplicated lines 0.01",
        reference="char_dup_ratio",
    ),
    Rule(
        "fineweb_newlines_per_word",
        newlines_per_word,
        keep=at_most(0.3),
        unit="line feeds per word",
        source="datatrove 0.10.1, new_line_ratio; in no ablation of the paper",
        reference="list_ratio",
    ),
)
