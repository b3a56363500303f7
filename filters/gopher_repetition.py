"""Gopher's repetition rules: Rae et al. 2021 (arXiv:2112.11446), appendix A1.1 and table A1.

All of them run on the text as extracted. The reference is datatrove 0.10.1,
`gopher_repetition_filter.py`; FineWeb uses its defaults.
"""

from __future__ import annotations

from decant.filters.doc import Doc, repeated
from decant.filters.rule import Rule, at_least, at_most, ratio
from decant.filters.words import ngrams

PAPER = "Gopher, Rae et al. 2021, table A1"


def text_chars(doc: Doc) -> float:
    """Characters of the text, as code points."""
    return float(len(doc.text))


def duplicate_paragraph_fraction(doc: Doc) -> float:
    """Paragraphs that were there before, as a fraction of all."""
    return ratio(doc.repeated_paragraphs[0], len(doc.paragraphs))


def duplicate_paragraph_char_fraction(doc: Doc) -> float:
    """Characters in paragraphs that were there before, as a fraction of the text."""
    return ratio(doc.repeated_paragraphs[1], len(doc.text))


def duplicate_line_fraction(doc: Doc, *, blank_lines: bool = False) -> float:
    """Lines that were there before, as a fraction of all.

    `blank_lines` counts blank ones too, which repeat each other: the reference did until a few days
    after FineWeb's code was published.
    """
    if blank_lines:
        return ratio(repeated(doc.all_lines)[0], len(doc.all_lines))
    return ratio(doc.repeated_lines[0], len(doc.lines))


def duplicate_line_char_fraction(doc: Doc, *, blank_lines: bool = False) -> float:
    """Characters in lines that were there before, as a fraction of the text."""
    chars = repeated(doc.all_lines)[1] if blank_lines else doc.repeated_lines[1]
    return ratio(chars, len(doc.text))


def top_ngram_char_fraction(doc: Doc, *, n: int) -> float:
    """Characters covered by the most frequent word n-gram, as a fraction of the text.

    An n-gram that occurs once counts too: a text of n words has a fraction near 1.
    """
    chars = ngrams.top_ngram_chars(doc.words, doc.lexicon.tokens.chars, n)
    return ratio(chars, len(doc.text))


def duplicate_ngram_char_fraction(doc: Doc, *, n: int) -> float:
    """Characters in word n-grams that were there before, as a fraction of the text."""
    words, tokens = doc.words, doc.lexicon.tokens
    chars = ngrams.duplicate_ngram_chars(
        words, doc.word_hashes, tokens.chars, tokens.byte_starts, tokens.bytes, n
    )
    return ratio(chars, len(doc.text))


TOP_NGRAM = {2: 0.20, 3: 0.18, 4: 0.16}
DUPLICATE_NGRAM = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}

RULES = (
    Rule(
        "gopher_text_chars",
        text_chars,
        keep=at_least(1),
        unit="characters",
        source="datatrove 0.10.1: an empty text repeats nothing, and says nothing",
        reference="empty",
    ),
    Rule(
        "gopher_duplicate_paragraph_fraction",
        duplicate_paragraph_fraction,
        keep=at_most(0.30),
        unit="fraction of paragraphs",
        source=f"{PAPER}: duplicate paragraph fraction 0.30",
        reference="dup_para_frac",
    ),
    Rule(
        "gopher_duplicate_paragraph_char_fraction",
        duplicate_paragraph_char_fraction,
        keep=at_most(0.20),
        unit="fraction of characters",
        source=f"{PAPER}: duplicate paragraph character fraction 0.20",
        reference="dup_para_char_frac",
    ),
    Rule(
        "gopher_duplicate_line_fraction",
        duplicate_line_fraction,
        keep=at_most(0.30),
        unit="fraction of lines",
        source=f"{PAPER}: duplicate line fraction 0.30",
        reference="dup_line_frac",
        options={"blank_lines": False},
    ),
    Rule(
        "gopher_duplicate_line_char_fraction",
        duplicate_line_char_fraction,
        keep=at_most(0.20),
        unit="fraction of characters",
        source=f"{PAPER}: duplicate line character fraction 0.20",
        reference="dup_line_char_frac",
        options={"blank_lines": False},
    ),
    *(
        Rule(
            f"gopher_top_{n}_gram_char_fraction",
            top_ngram_char_fraction,
            keep=at_most(bound),
            unit="fraction of characters",
            source=f"{PAPER}: top {n}-gram character fraction {bound:.2f}",
            reference=f"top_{n}_gram",
            options={"n": n},
        )
        for n, bound in TOP_NGRAM.items()
    ),
    *(
        Rule(
            f"gopher_duplicate_{n}_gram_char_fraction",
            duplicate_ngram_char_fraction,
            keep=at_most(bound),
            unit="fraction of characters",
            source=f"{PAPER}: duplicate {n}-gram character fraction {bound:.2f}",
            reference=f"duplicated_{n}_n_grams",
            options={"n": n},
        )
        for n, bound in DUPLICATE_NGRAM.items()
    ),
)
