"""Gopher's quality rules: Rae et al. 2021 (arXiv:2112.11446), appendix A1.1, "Quality Filtering".

The reference is datatrove 0.10.1, `gopher_quality_filter.py`. Words are tokens, punctuation marks
included; Gopher's own word counts leave mere symbols out.
"""

from __future__ import annotations

from collections.abc import Sequence

from decant.filters.doc import Doc
from decant.filters.rule import Rule, at_least, at_most, ratio
from decant.filters.words import ngrams

PAPER = "Gopher, Rae et al. 2021, A1.1"
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


def word_count(doc: Doc) -> float:
    """Words that are no mere symbols."""
    return float(doc.word_counts[0])


def mean_word_length(doc: Doc) -> float:
    """Characters per word that is no mere symbol; NaN where there is none."""
    words, chars, _ = doc.word_counts
    return chars / words if words else float("nan")


def hashes_per_word(doc: Doc) -> float:
    """Hash signs per word."""
    return ratio(doc.text.count("#"), len(doc.words))


def ellipses_per_word(doc: Doc) -> float:
    """Ellipses, `...` or `…`, per word."""
    return ratio(doc.text.count("...") + doc.text.count("…"), len(doc.words))


def bullet_line_fraction(doc: Doc) -> float:
    """Lines that start with `•` or `-` after white space, as a fraction of all, blank ones too."""
    return ratio(doc.line_marks[0], len(doc.scan.line_odd))


def ellipsis_line_fraction(doc: Doc) -> float:
    """Lines that end with an ellipsis before white space, as a fraction of all, blank ones too."""
    return ratio(doc.line_marks[1], len(doc.scan.line_odd))


def alpha_word_fraction(doc: Doc) -> float:
    """Words with a letter, as a fraction of all words."""
    return ratio(doc.word_counts[2], len(doc.words))


def stop_words(doc: Doc, *, words: Sequence[str] = STOP_WORDS, count: str = "distinct") -> float:
    """How many of `words` the text has, in this case: `distinct` ones, or all `occurrences`."""
    ids = doc.lexicon.wanted_ids(tuple(words))
    return float(ngrams.count_ids(doc.words, ids, count == "distinct"))


RULES = (
    Rule(
        "gopher_word_count_floor",
        word_count,
        keep=at_least(50),
        unit="words",
        source=f"{PAPER}: 'does not contain between 50 and 100,000 words'",
        reference="gopher_short_doc",
    ),
    Rule(
        "gopher_word_count_ceiling",
        word_count,
        keep=at_most(100_000),
        unit="words",
        source=f"{PAPER}: 'does not contain between 50 and 100,000 words'",
        reference="gopher_long_doc",
    ),
    Rule(
        "gopher_mean_word_length_floor",
        mean_word_length,
        keep=at_least(3),
        unit="characters per word",
        source=f"{PAPER}: 'mean word length is outside the range of 3 to 10 characters'",
        reference="gopher_below_avg_threshold",
    ),
    Rule(
        "gopher_mean_word_length_ceiling",
        mean_word_length,
        keep=at_most(10),
        unit="characters per word",
        source=f"{PAPER}: 'mean word length is outside the range of 3 to 10 characters'",
        reference="gopher_above_avg_threshold",
    ),
    Rule(
        "gopher_hashes_per_word",
        hashes_per_word,
        keep=at_most(0.1),
        unit="hash signs per word",
        source=f"{PAPER}: 'symbol-to-word ratio greater than 0.1 for … the hash symbol'",
        reference="gopher_too_many_hashes",
    ),
    Rule(
        "gopher_ellipses_per_word",
        ellipses_per_word,
        keep=at_most(0.1),
        unit="ellipses per word",
        source=f"{PAPER}: 'symbol-to-word ratio greater than 0.1 for … the ellipsis'",
        reference="gopher_too_many_ellipsis",
    ),
    Rule(
        "gopher_bullet_line_fraction",
        bullet_line_fraction,
        keep=at_most(0.9),
        unit="fraction of lines",
        source=f"{PAPER}: 'more than 90% of lines starting with a bullet point'",
        reference="gopher_too_many_bullets",
    ),
    Rule(
        "gopher_ellipsis_line_fraction",
        ellipsis_line_fraction,
        keep=at_most(0.3),
        unit="fraction of lines",
        source=f"{PAPER}: 'more than 30% ending with an ellipsis'",
        reference="gopher_too_many_end_ellipsis",
    ),
    Rule(
        "gopher_alpha_word_fraction",
        alpha_word_fraction,
        keep=at_least(0.8),
        unit="fraction of words",
        source=f"{PAPER}: '80% of words … contain at least one alphabetic character'",
        reference="gopher_below_alpha_threshold",
    ),
    Rule(
        "gopher_stop_words",
        stop_words,
        keep=at_least(2),
        unit="stop words",
        source=f"{PAPER}: 'at least two of the following English words: {', '.join(STOP_WORDS)}'",
        reference="gopher_enough_stop_words",
        options={"words": STOP_WORDS, "count": "distinct"},
    ),
)
