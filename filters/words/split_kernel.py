"""The walk of `spacy_english.ChunkTokenizer` as a kernel, for chunks of ASCII and common marks.

Nine new chunks in ten are such; the others, and what might be a URL or hold a joined special case,
go to the patterns themselves (`NOT_HERE`). A chunk is one byte per character, see `spacy_tables`;
`tests/filters/words/test_split_kernel.py` holds both walks equal.
"""

from __future__ import annotations

import numpy as np

from decant.filters.compile import Number, leaf_kernel
from decant.filters.words.scan import chunk_key, find_chunk
from decant.filters.words.spacy_tables import (
    CUTS_NUMBERS,
    CUTS_WORDS,
    DIGIT,
    DOT_BEFORE,
    DOT_BEHIND,
    GENITIVE,
    IN_URL,
    LETTER,
    LONGEST_UNIT,
    PREFIX,
    PREFIX_BUT_BEFORE_DIGIT,
    SUFFIX,
    SUFFIX_DOT_BEHIND,
    UPPER,
    WordRules,
)

NOT_HERE = -1
DOT, COMMA, MINUS, DOLLAR, SMALL_S = ord("."), ord(","), ord("-"), ord("$"), ord("s")
EM_DASH, ELLIPSIS = 133, 134  # see spacy_tables.MARKS


@leaf_kernel
def split(codes: np.ndarray, start: int, stop: int, rules: WordRules, cuts: np.ndarray) -> int:
    """How many words codes[start:stop] falls into; word w is what cuts[w:w + 2] spans.

    NOT_HERE where the kernel cannot tell. `cuts` has room for twice the characters and two more.
    """
    cuts[0] = start
    number = special(codes, start, stop, rules)
    if number >= 0:
        return cut_special(start, number, rules, cuts, 0)
    letters = start
    while letters < stop and rules.kinds[codes[letters]] & LETTER:
        letters += 1
    if letters == stop:
        cuts[1] = stop
        return 1
    count = split_affixes(codes, start, stop, rules, cuts)
    for first in range(count - 1):
        for last in range(first + 2, min(count, first + rules.longest_join) + 1):
            number = special(codes, cuts[first], cuts[last], rules)
            if number >= 0 and rules.joined[number]:
                return NOT_HERE
    return count


@leaf_kernel
def special(codes: np.ndarray, start: int, stop: int, rules: WordRules) -> Number:
    """The number of the special case codes[start:stop], negative where it is none."""
    if not 0 < stop - start <= rules.longest:
        return -1
    key = chunk_key(codes, start, stop, rules.multiplier)
    slot = find_chunk(
        codes, start, stop, key, rules.slots, rules.starts, rules.pool, rules.multiplier,
        rules.shift,
    )  # fmt: skip
    return np.int64(rules.slots[slot, 1]) - 1


@leaf_kernel
def cut_special(start: int, number: int, rules: WordRules, cuts: np.ndarray, count: int) -> int:
    """Append the cuts of the special case of this number, which begins at `start`."""
    for place in range(rules.cut_starts[number], rules.cut_starts[number + 1]):
        count += 1
        cuts[count] = start + rules.cuts[place]
    return count


@leaf_kernel
def split_affixes(
    codes: np.ndarray, start: int, stop: int, rules: WordRules, cuts: np.ndarray
) -> int:
    """`ChunkTokenizer.affix_tokens`: prefixes and suffixes peeled off, the middle cut."""
    kinds = rules.kinds
    end, last, count, room = stop, -1, 0, len(cuts)
    ends = room  # cuts[ends:]: where suffixes begin, the innermost first
    cuts[0] = start
    while start < stop and stop - start != last:
        if special(codes, start, stop, rules) >= 0:
            break
        last = stop - start
        before = prefix_chars(codes, start, stop, kinds)
        if before == NOT_HERE:
            return NOT_HERE
        if before and special(codes, start + before, stop, rules) >= 0:
            start += before
            count += 1
            cuts[count] = start
            break
        after = suffix_chars(codes, start + before, stop, rules)
        if after == NOT_HERE:
            return NOT_HERE
        if after and special(codes, start, stop - after, rules) >= 0:
            stop -= after
            ends -= 1
            cuts[ends] = stop
            break
        if after and (not before or before + after <= last):
            stop -= after
            ends -= 1
            cuts[ends] = stop
        if before:
            start += before
            count += 1
            cuts[count] = start
    if start < stop:
        count = cut_middle(codes, start, stop, rules, cuts, count)
        if count == NOT_HERE:
            return NOT_HERE
    for place in range(ends + 1, room):
        count += 1
        cuts[count] = cuts[place]
    if ends < room:
        count += 1
        cuts[count] = end
    return count


@leaf_kernel
def prefix_chars(codes: np.ndarray, start: int, stop: int, kinds: np.ndarray) -> int:
    """Characters of the prefix at `start`, 0 where there is none."""
    first = codes[start]
    kind = kinds[first]
    if kind & PREFIX:
        return 1
    if kind & PREFIX_BUT_BEFORE_DIGIT:
        return 0 if start + 1 < stop and kinds[codes[start + 1]] & DIGIT else 1
    if first == DOT:
        run = dots_from(codes, start, stop)
        return run if run > 1 else 0
    if kind & UPPER:  # US$, C$ and A$
        for place in range(start + 1, min(start + 3, stop)):
            if codes[place] == DOLLAR:
                return NOT_HERE
    return 0


@leaf_kernel
def suffix_chars(codes: np.ndarray, start: int, stop: int, rules: WordRules) -> int:
    """Characters of the suffix that ends at `stop`, 0 where there is none."""
    if start >= stop:
        return 0
    kinds = rules.kinds
    last = codes[stop - 1]
    if last == DOT:
        return suffix_dots(codes, start, stop, kinds)
    if last == ELLIPSIS and stop - 1 > start and codes[stop - 2] == ELLIPSIS:
        return NOT_HERE  # two in a row are one suffix
    if kinds[last] & SUFFIX:
        return 1
    if stop - 1 > start and last | 32 == SMALL_S and kinds[codes[stop - 2]] & GENITIVE:
        return 2
    key = np.uint64(0)
    for size in range(1, min(LONGEST_UNIT, stop - start - 1) + 1):
        key = (key << np.uint64(8)) | np.uint64(codes[stop - size])
        if kinds[codes[stop - size]] & DIGIT:
            return 0
        if kinds[codes[stop - size - 1]] & DIGIT:
            for unit in rules.units:
                if unit == key:
                    return size
            return 0
    return 0


@leaf_kernel
def suffix_dots(codes: np.ndarray, start: int, stop: int, kinds: np.ndarray) -> int:
    """Full stops at the end that are a suffix: several, or one behind what allows it."""
    run = 1
    while stop - run > start and codes[stop - run - 1] == DOT:
        run += 1
    if run > 1:
        return run
    if stop - 1 == start:
        return 0
    before = kinds[codes[stop - 2]]
    if before & SUFFIX_DOT_BEHIND:
        return 1
    return 1 if stop - 2 > start and before & kinds[codes[stop - 3]] & UPPER else 0


@leaf_kernel
def dots_from(codes: np.ndarray, start: int, stop: int) -> int:
    """Length of the run of full stops at `start`."""
    place = start
    while place < stop and codes[place] == DOT:
        place += 1
    return place - start


@leaf_kernel
def cut_middle(
    codes: np.ndarray, start: int, stop: int, rules: WordRules, cuts: np.ndarray, count: int
) -> int:
    """Append the cuts of what is left between prefixes and suffixes."""
    number = special(codes, start, stop, rules)
    if number >= 0:
        return cut_special(start, number, rules, cuts, count)
    if may_be_url(codes, start, stop, rules.kinds):
        return NOT_HERE
    return cut_at_infixes(codes, start, stop, rules.kinds, cuts, count)


@leaf_kernel
def may_be_url(codes: np.ndarray, start: int, stop: int, kinds: np.ndarray) -> bool:
    """False only where spaCy's URL pattern cannot match.

    A URL has a full stop. One without user, port, path or query ends in a full stop and two or more
    lower-case letters, or is four numbers.
    """
    last_dot, dots, numeric = -1, 0, True
    for place in range(start, stop):
        code = codes[place]
        if code == DOT:
            last_dot, dots = place, dots + 1
        elif not kinds[code] & DIGIT:
            numeric = False
    if dots == 0:
        return False
    for place in range(start, stop):
        code = codes[place]
        if kinds[code] & IN_URL:
            return True
    if numeric:
        return dots == 3
    if stop - last_dot < 3:
        return False
    for place in range(last_dot + 1, stop):
        kind = kinds[codes[place]]
        if not kind & LETTER or kind & UPPER:
            return False
    return True


@leaf_kernel
def cut_at_infixes(
    codes: np.ndarray, start: int, stop: int, kinds: np.ndarray, cuts: np.ndarray, count: int
) -> int:
    """Append the cuts around each infix, and the end."""
    place = start
    while place < stop:
        size = infix_chars(codes, start, place, stop, kinds)
        if size == 0:
            place += 1
            continue
        if place > start:
            if place > cuts[count]:
                count += 1
                cuts[count] = place
            count += 1
            cuts[count] = place + size
        place += size
    if cuts[count] < stop:
        count += 1
        cuts[count] = stop
    return count


@leaf_kernel
def infix_chars(codes: np.ndarray, start: int, place: int, stop: int, kinds: np.ndarray) -> int:
    """Characters of the infix at `place`, 0 where there is none."""
    code = codes[place]
    kind = kinds[code]
    if kind & (LETTER | DIGIT):
        return 0
    if code == ELLIPSIS:
        return 1
    if code == DOT:
        run = dots_from(codes, place, stop)
        if run > 1:
            return run
    if place == start or place + 1 == stop:
        return 0
    before, behind = kinds[codes[place - 1]], kinds[codes[place + 1]]
    if code == DOT:
        return 1 if before & DOT_BEHIND and behind & DOT_BEFORE else 0
    counts = before & DIGIT and (behind & DIGIT or codes[place + 1] == MINUS)
    if counts and kind & CUTS_NUMBERS:
        return 1
    if code == COMMA:
        return 1 if before & behind & LETTER else 0
    if not before & (LETTER | DIGIT):
        return 0
    if code in (MINUS, EM_DASH):
        return hyphens(codes, place, stop, kinds)
    return 1 if kind & CUTS_WORDS and behind & LETTER else 0


@leaf_kernel
def hyphens(codes: np.ndarray, place: int, stop: int, kinds: np.ndarray) -> int:
    """Length of a run of at most three hyphens or two long dashes before a letter, else 0."""
    code, run = codes[place], 1
    longest = 3 if code == MINUS else 2
    while run <= longest and place + run < stop and codes[place + run] == code:
        run += 1
    if run > longest or place + run == stop:
        return 0
    return run if kinds[codes[place + run]] & LETTER else 0
