"""Counts what a page's tags would cost an HTML parser, in one pass over its bytes.

A page with very many or very deep tags, or a tag with very many attributes, takes a parser minutes.
`page` is uint8 [bytes] everywhere, and time is linear in the page, whatever it holds.

Attributes are the dear count, so `has_few_attributes` first looks whether it is needed at all.
Outside its quoted values a tag holds no `>`, and a value opens with a quote behind a `=`. So where
neither the last `"` nor the last `'` before a `>` stands behind a `=`, that `>` is in no value: it
is a *sure end*, which no tag reaches across. An attribute has two bytes or more with what parts it
from the next, so no tag between sure ends 2 n bytes apart has more than n.
"""

import numpy as np

from decant.filters.compile import kernel

LONGEST_NAME = 9


def _table(words: str) -> np.ndarray:
    """Names as rows of bytes, filled up with zeros: uint8 [names, LONGEST_NAME + 1]."""
    names = words.split()
    table = np.zeros((len(names), LONGEST_NAME + 1), np.uint8)
    for row, name in zip(table, names, strict=True):
        row[: len(name)] = np.frombuffer(name.encode(), np.uint8)
    return table


# Elements without an end tag, and those whose end tag may be left out: their starts do not nest.
FLAT = _table(
    "area base br col embed hr img input link meta param source track wbr"
    " p li dt dd option optgroup tr td th thead tbody tfoot colgroup rp rt"
)
# Elements whose content is text up to their end tag.
RAW = _table("script style xmp iframe noembed noframes title textarea")
SCRIPT = _table("script")
LT, GT, SLASH, BANG, QUESTION, EQUALS = (ord(sign) for sign in "<>/!?=")
DASH, QUOTE, APOSTROPHE = ord("-"), ord('"'), ord("'")


@kernel
def is_letter(byte: int) -> bool:
    return 97 <= byte | 32 <= 122


@kernel
def is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13


@kernel
def ends_name(byte: int) -> bool:
    return byte in (GT, SLASH) or is_space(byte)


@kernel
def is_one_of(page: np.ndarray, start: int, names: np.ndarray) -> bool:
    """Whether one of the names, and nothing more of a name, stands at a place, in any case."""
    for row in range(len(names)):
        place, i = 0, start
        while names[row, place] and i < len(page) and page[i] | 32 == names[row, place]:
            place += 1
            i += 1
        if names[row, place] == 0 and i < len(page) and ends_name(page[i]):
            return True
    return False


@kernel
def start_tags(page: np.ndarray) -> int:
    """The number of `<` before a letter."""
    count = 0
    for i in range(len(page) - 1):
        if page[i] == LT and is_letter(page[i + 1]):
            count += 1
    return count


@kernel
def deepest(page: np.ndarray) -> int:
    """How deep start tags nest, those of FLAT left out; an end tag too many closes nothing."""
    level, most, last = 0, 0, len(page) - 1
    for i in range(last):
        if page[i] != LT:
            continue
        if is_letter(page[i + 1]):
            if not is_one_of(page, i + 1, FLAT):
                level += 1
                most = max(most, level)
        elif level and page[i + 1] == SLASH and i + 1 < last and is_letter(page[i + 2]):
            level -= not is_one_of(page, i + 2, FLAT)
    return most


@kernel
def parts_attributes(byte: int) -> bool:
    return byte == SLASH or is_space(byte)


@kernel
def attribute_starts(page: np.ndarray) -> int:
    """At how many places an attribute can begin: behind spaces and slashes, or behind a value."""
    count = 1
    for i in range(1, len(page)):
        follows_a_gap = parts_attributes(page[i - 1]) & (not parts_attributes(page[i]))
        count += follows_a_gap | (page[i] == EQUALS)
    return count


@kernel
def most_attributes(page: np.ndarray, enough: int) -> int:
    """The most attributes of a start tag, or those of the first tag with more than `enough`.

    Comments, scripts and the like are skipped as parsers skip them: a quote in there is no quote.
    """
    i, most, size = 0, 0, len(page)
    while i < size - 1 and most <= enough:
        if page[i] != LT:
            i += 1
        elif is_letter(page[i + 1]):
            name = i + 1
            i, attributes, is_closed = _after_tag(page, name)
            most = max(most, attributes)
            if not is_closed:
                i = _after_raw_text(page, name, i)
        elif page[i + 1] == SLASH and i + 2 < size and is_letter(page[i + 2]):
            i, _, _ = _after_tag(page, i + 2)
        elif page[i + 1] == BANG and i + 3 < size and page[i + 2] == page[i + 3] == DASH:
            i = _after_comment(page, i + 4)
        elif page[i + 1] == BANG or page[i + 1] == QUESTION or page[i + 1] == SLASH:
            i = _find(page, i + 2, GT) + 1
        else:
            i += 1
    return most


@kernel
def _find(page: np.ndarray, i: int, byte: int) -> int:
    """The first place of a byte from i on, the page's end if there is none."""
    while i < len(page) and page[i] != byte:
        i += 1
    return i


@kernel
def _after_spaces(page: np.ndarray, i: int) -> int:
    while i < len(page) and is_space(page[i]):
        i += 1
    return i


@kernel
def _after_tag(page: np.ndarray, i: int) -> tuple[int, int, bool]:
    """(the place behind a tag whose name stands at i, its attributes, whether it ends in />)."""
    attributes, size = 0, len(page)
    while i < size and not ends_name(page[i]):
        i += 1
    while True:
        while i < size and (page[i] == SLASH or is_space(page[i])):
            i += 1
        if i >= size:
            return size, attributes, True
        if page[i] == GT:
            return i + 1, attributes, page[i - 1] == SLASH
        attributes += 1
        i += 1  # a name may begin with =
        while i < size and page[i] != EQUALS and not ends_name(page[i]):
            i += 1
        value = _after_spaces(page, i)
        if value < size and page[value] == EQUALS:
            i = _after_value(page, _after_spaces(page, value + 1))


@kernel
def _after_value(page: np.ndarray, i: int) -> int:
    if i < len(page) and (page[i] == QUOTE or page[i] == APOSTROPHE):
        return _find(page, i + 1, page[i]) + 1
    while i < len(page) and page[i] != GT and not is_space(page[i]):
        i += 1
    return i


@kernel
def _after_comment(page: np.ndarray, i: int) -> int:
    """The place behind a comment whose text begins at i: `-->`, `--!>`, or > at once."""
    start, size = i, len(page)
    while True:
        i = _find(page, i, GT)
        if i >= size or i == start or (i == start + 1 and page[start] == DASH):
            return i + 1
        if i >= start + 2 and page[i - 1] == page[i - 2] == DASH:
            return i + 1
        if i >= start + 3 and page[i - 1] == BANG and page[i - 2] == page[i - 3] == DASH:
            return i + 1
        i += 1


@kernel
def _after_raw_text(page: np.ndarray, name: int, i: int) -> int:
    """The place of the end tag where an element's content is text, else i."""
    for row in range(len(RAW)):
        if is_one_of(page, name, RAW[row : row + 1]):
            if row == 0:
                return _after_script(page, i)
            while i < len(page) - 2:
                is_end = page[i] == LT and page[i + 1] == SLASH
                if is_end and is_one_of(page, i + 2, RAW[row : row + 1]):
                    return i
                i += 1
            return len(page)
    return i


@kernel
def _after_script(page: np.ndarray, i: int) -> int:
    """The same for a script: one inside `<!--` and `-->` does not end the one around it."""
    in_comment, in_script, size = False, False, len(page)
    while i < size - 2:
        if page[i] == LT:
            if page[i + 1] == SLASH and is_one_of(page, i + 2, SCRIPT):
                if not in_script:
                    return i
                in_script = False
            elif in_comment and is_one_of(page, i + 1, SCRIPT):
                in_script = True
            elif page[i + 1] == BANG and i + 3 < size and page[i + 2] == page[i + 3] == DASH:
                in_comment = True
                i += 1  # its own dashes may end it: <!-->
        elif in_comment and page[i] == page[i + 1] == DASH and page[i + 2] == GT:
            in_comment = in_script = False
        i += 1
    return size


TRIES = 8  # a `>` in a value is passed over, but markup made to mislead is counted instead
SPACES = 50  # looked through for the `=` before a quote; behind more of them stands one, perhaps
LEAST_ATTRIBUTES = 500  # with fewer the steps are so short that counting is cheaper


def has_few_attributes(page: bytes, most: int) -> bool:
    """Whether it is sure that no start tag has more than `most` attributes.

    Sure for 98 % of 3,016 real pages, at a fifth of the price of counting; time is linear.

    >>> has_few_attributes(b"<a b='c' d>" * 1_000, 500)
    True
    >>> has_few_attributes(b"<a" + b" b" * 501 + b">", 500)
    False
    """
    if most < LEAST_ATTRIBUTES:
        return False
    start, reach = 0, 2 * most
    while len(page) - start > reach:
        end = _last_sure_end(page, start, start + reach)
        if end < 0:  # a script or an image in a value; few of its bytes can begin an attribute
            end = _next_sure_end(page, start, start + reach)
            span = np.frombuffer(page, np.uint8, end - start, start)
            if attribute_starts(span) > most:
                return False
        start = end + 1
    return True


def _last_sure_end(page: bytes, start: int, stop: int) -> int:
    """The place of the last sure end between two places, -1 where none is found."""
    for _ in range(TRIES):
        end = page.rfind(b">", start, stop)
        if end < 0:
            break
        stop = _opening_quote(page, start, end)
        if stop < 0:
            return end
    return -1


def _next_sure_end(page: bytes, start: int, place: int) -> int:
    """The place of the first sure end from `place` on, or the page's end."""
    for _ in range(TRIES):
        place = page.find(b">", place)
        if place < 0:
            break
        if _opening_quote(page, start, place) < 0:
            return place
        place += 1
    return len(page)


def _opening_quote(page: bytes, start: int, end: int) -> int:
    """The place of a quote that may open a value in which `end` lies, -1 where there is none.

    Tags reach back to `start` at most, the place behind a sure end.
    """
    for quote in (b'"', b"'"):
        place = page.rfind(quote, start, end)
        if place >= 0:
            before = page[max(0, place - SPACES) : place].rstrip()
            if not before or before.endswith(b"="):
                return place
    return -1
