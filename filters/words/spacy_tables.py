"""spaCy's English rules as tables for a kernel: what each character of a chunk may be cut by.

The tables speak of ASCII and seven typographic marks, one byte each: a mark is 128 plus its place
in `MARKS`. They are read from spaCy's own patterns, one character at a time; the structure of these
patterns is written out in `split_kernel`. Another release of spaCy with other patterns gets no
tables, and every chunk is split by the patterns themselves.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from decant.filters.words.marks import (
    ALPHABETIC,
    PUNCTUATION,
    PUNCTUATION_MARK,
    SENTENCE_END,
    SYMBOLS,
    WORDLIKE,
)
from decant.filters.words.scan import insert_chunks
from decant.filters.words.spacy_english import SplitRules

MARKS = "‘’“”–—…"  # each is E2 80 and one more byte in UTF-8
CODES = 128 + len(MARKS)
CHARACTERS = [*map(chr, range(128)), *MARKS]
# BLAKE2b of the patterns that `split_kernel` was written for: spaCy 3.8.
KNOWN_PATTERNS = "5d8629eb24a5c11362e4a932dcf09e4d"

# What a character is, one bit each.
LETTER = 1
DIGIT = 2
UPPER = 4
VISIBLE = 8  # no control character
PREFIX = 16  # cut off at the head of a chunk
PREFIX_BUT_BEFORE_DIGIT = 32
SUFFIX = 64  # cut off at the end of a chunk
SUFFIX_DOT_BEHIND = 128  # a full stop behind it is cut off
DOT_BEHIND = 256  # with the next one: a full stop between them is cut out
DOT_BEFORE = 512
GAP = 1024  # becomes a space in the normalised text of MinHash
IN_URL = 2048  # a URL that is more than a host's name has one
CUTS_NUMBERS = 4096  # cut out between digits
CUTS_WORDS = 8192  # cut out behind a letter or digit and before a letter
GENITIVE = 16384  # cut off with an s behind it
IN_NUMBER = 32768  # between digits, it makes one number of two
LONGEST_UNIT = 5
GENITIVES = "'’"


class WordRules(NamedTuple):
    """What `split_kernel.split` asks.

    `kinds`: int32 [CODES], the bits above; `token_flags`: uint8 [CODES], those of filters.flags;
    special cases as a table of `scan.find_chunk`, special s being cut at
    cuts[cut_starts[s]:cut_starts[s + 1]], `joined` where neighbouring words may be joined to it;
    `units`: what is cut off behind a digit, as `unit_key`.
    """

    kinds: np.ndarray
    token_flags: np.ndarray
    slots: np.ndarray
    starts: np.ndarray
    pool: np.ndarray
    cut_starts: np.ndarray
    cuts: np.ndarray
    joined: np.ndarray
    units: np.ndarray
    longest: int
    longest_join: int
    multiplier: np.uint64
    shift: int


def word_rules(
    rules: SplitRules, sentence_ends: frozenset[str], multiplier: np.uint64
) -> WordRules | None:
    """The tables of these rules; None where their patterns are not the known ones."""
    if pattern_digest(rules) != KNOWN_PATTERNS:
        return None
    specials = {text: cut for text, cut in rules.specials.items() if _is_coded(text)}
    joined = frozenset(rules.joined.values())
    encoded = [encode(text) for text in specials]
    starts = np.cumsum([0, *map(len, encoded)])
    pool = np.frombuffer(b"".join(encoded) + bytes(8), np.uint8)
    slots = np.zeros((1 << (4 * len(encoded)).bit_length(), 2), np.uint64)
    shift = 64 - (len(slots).bit_length() - 1)
    insert_chunks(0, len(encoded), slots, starts, pool, multiplier, shift)
    cuts = [np.cumsum([len(token) for token in tokens]) for tokens in specials.values()]
    return WordRules(
        np.array([kind(char, rules) for char in CHARACTERS], np.int32),
        np.array([token_flags(char, sentence_ends) for char in CHARACTERS], np.uint8),
        slots,
        starts,
        pool,
        np.cumsum([0, *map(len, cuts)]),
        np.concatenate(cuts),
        np.array([text in joined for text in specials]),
        np.array([unit_key(unit) for unit in units(rules)], np.uint64),
        max(map(len, encoded)),
        max(map(len, rules.joined)),
        multiplier,
        shift,
    )


def pattern_digest(rules: SplitRules) -> str:
    """What tells one release's patterns from another's."""
    patterns = (rules.prefix, rules.suffix, rules.infix, rules.url)
    joined = "\0".join(pattern.pattern for pattern in patterns)
    return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()


def _is_coded(text: str) -> bool:
    return all(char in MARKS or "!" <= char <= "~" for char in text)


def encode(text: str) -> bytes:
    """A text of `CHARACTERS` with one byte each."""
    return bytes(ord(char) if char < "\x80" else 128 + MARKS.index(char) for char in text)


def kind(char: str, rules: SplitRules) -> int:
    """The bits of a character, by asking the patterns.

    >>> from decant.filters.words.spacy_english import english_rules
    >>> kind("(", english_rules()) == VISIBLE | PREFIX | SUFFIX | SUFFIX_DOT_BEHIND | GAP
    True
    """
    before_letter, before_digit = rules.prefix.match(char + "x"), rules.prefix.match(char + "0")
    dot_after = rules.suffix.search(char + ".")
    dot_behind, dot_before = rules.infix.search(char + ".A"), rules.infix.search("a." + char)
    answers = (
        (LETTER, char.isalpha()),
        (DIGIT, char.isdecimal()),
        (UPPER, char.isupper()),
        (VISIBLE, char > " " and char != "\x7f"),
        (PREFIX, before_letter and before_digit),
        (PREFIX_BUT_BEFORE_DIGIT, before_letter and not before_digit),
        (SUFFIX, rules.suffix.search("x" + char)),
        (SUFFIX_DOT_BEHIND, char != "." and dot_after and dot_after.start() == 1),
        (DOT_BEHIND, char != "." and dot_behind and dot_behind.start() == 1),
        (DOT_BEFORE, char != "." and dot_before and dot_before.start() == 1),
        (GAP, char in PUNCTUATION),
        (IN_URL, char in "@:/?#"),
        (CUTS_NUMBERS, rules.infix.search(f"1{char}1")),
        (GENITIVE, char in GENITIVES),
        (IN_NUMBER, char in ".,"),
        (CUTS_WORDS, rules.infix.search(f"1{char}a")),
    )
    return sum(bit for bit, holds in answers if holds)


def token_flags(token: str, sentence_ends: frozenset[str]) -> int:
    """What kernels need to know of the characters of a token, see `decant.filters.words.marks`."""
    if token.isascii() and token.isalnum():  # nine new tokens in ten
        return WORDLIKE if token.isdigit() else WORDLIKE | ALPHABETIC
    flags = 0
    if any(map(str.isalpha, token)):
        flags |= ALPHABETIC
    if not SYMBOLS.issuperset(token):
        flags |= WORDLIKE
    if all(unicodedata.category(c)[0] == "P" for c in token):
        flags |= PUNCTUATION_MARK
    if token in sentence_ends:
        flags |= SENTENCE_END
    return flags


def units(rules: SplitRules) -> Sequence[str]:
    """What spaCy cuts off behind a digit: ASCII units and currencies, and the plus sign."""
    lists = re.findall(r"\(\?<=\[0-9\]\)\(\?:(.*?)\)\$", rules.suffix.pattern)
    every_unit = [unit.replace("\\", "") for one in lists for unit in one.split("|")]
    return [unit for unit in every_unit if unit.isascii()] + ["+"]


def unit_key(unit: str) -> int:
    """The characters of a unit as a number.

    >>> unit_key("km") == ord("k") + 256 * ord("m")
    True
    """
    return int.from_bytes(unit.encode("ascii"), "little")
