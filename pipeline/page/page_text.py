"""All text of a page, menus and footers included, from one loop over its bytes.

That is what the cheap gates look at. No tree is built, so nothing on a page costs more than its
length. What browsers would show is met nearly, not exactly: a `>` inside a quoted attribute ends
the tag, and named characters other than the commonest become blanks.
"""

from __future__ import annotations

import numpy as np
from numba import types

from decant.filters.compile import kernel, leaf_kernel

SPACE, LESS, AMPERSAND, SEMICOLON = (np.uint8(ord(c)) for c in " <&;")
LONGEST_REFERENCE = 10  # "&#1114111;"
# The C library's: 32 bytes at a time, where a loop of ours takes one. Half of a page is tags, a
# quarter scripts and styles.
memchr = types.ExternalFunction("memchr", types.intp(types.intp, types.int32, types.intp))


def page_text(page: bytes) -> bytes:
    """The text of a page of UTF-8 bytes, one blank for each run of white space, tags, comments,
    scripts and styles.

    >>> page_text(b"<p>The <b>ship</b><script>if (a < b) {}</script> &amp; &#233;")
    b'The ship & \\xc3\\xa9'
    """
    codes = np.frombuffer(page, np.uint8)
    return _text(codes).tobytes()


@kernel
def _text(page: np.ndarray) -> np.ndarray:
    out = np.empty(len(page) + 1, np.uint8)  # no tag or reference is shorter than what it becomes
    size = place = 0
    while place < len(page):
        byte = page[place]
        if byte > SPACE and byte != LESS and byte != AMPERSAND:
            out[size] = byte
            size += 1
            place += 1
            continue
        after = place + 1
        if byte == LESS:
            after = markup_end(page, place)
        elif byte == AMPERSAND:
            code, after = reference(page, place)
            if code > 32 and code != 160:
                size += put(out, size, code)
                place = after
                continue
        elif byte > SPACE:
            after = place
        if after == place:  # a bracket that begins no tag
            out[size] = byte
            size += 1
            place += 1
            continue
        if size > 0 and out[size - 1] != SPACE:
            out[size] = SPACE
            size += 1
        place = after
    if size > 0 and out[size - 1] == SPACE:
        size -= 1
    return out[:size]


@leaf_kernel
def markup_end(page: np.ndarray, start: int) -> int:
    """Where the tag, comment, script or style that begins at `start` ends; `start` if none does."""
    if start + 1 >= len(page):
        return start
    second = page[start + 1]
    if not ord("a") <= second | 32 <= ord("z") and second not in (ord("/"), ord("!"), ord("?")):
        return start
    if second == ord("!") and begins(page, start + 2, b"--"):
        return find(page, start + 4, b"-->")
    end = behind(page, start + 1, ord(">"))
    if second | 32 == ord("s"):
        if begins(page, start + 1, b"script"):
            return behind(page, find(page, end, b"</script"), ord(">"))
        if begins(page, start + 1, b"style"):
            return behind(page, find(page, end, b"</style"), ord(">"))
    return end


@leaf_kernel
def begins(page: np.ndarray, start: int, word: bytes) -> bool:
    """Whether `word`, in small letters, stands at `start`."""
    if start + len(word) > len(page):
        return False
    for i in range(len(word)):
        byte = page[start + i]
        if ord("A") <= byte <= ord("Z"):
            byte |= 32
        if byte != word[i]:
            return False
    return True


@leaf_kernel
def behind(page: np.ndarray, start: int, byte: int) -> int:
    """Behind the next `byte`, or the end of the page."""
    first = page.ctypes.data
    place = memchr(first + start, byte, len(page) - start)
    return place - first + 1 if place else len(page)


@leaf_kernel
def find(page: np.ndarray, start: int, word: bytes) -> int:
    """Behind the next `word`, or the end of the page."""
    while start + len(word) <= len(page):
        start = behind(page, start, word[0])
        if begins(page, start, word[1:]):
            return start + len(word) - 1
    return len(page)


@leaf_kernel
def reference(page: np.ndarray, start: int) -> tuple[int, int]:
    """(code point, end) of the character reference at `start`: 32 for names that mean no letter
    here, the `&` itself where none stands."""
    end = start + 1
    while end < min(len(page), start + LONGEST_REFERENCE) and page[end] != SEMICOLON:
        end += 1
    if end >= len(page) or page[end] != SEMICOLON or end == start + 1:
        return ord("&"), start + 1
    if page[start + 1] != ord("#"):
        if begins(page, start + 1, b"amp;"):
            return ord("&"), end + 1
        if begins(page, start + 1, b"quot;"):
            return ord('"'), end + 1
        if begins(page, start + 1, b"apos;") or begins(page, start + 1, b"rsquo;"):
            return ord("'"), end + 1
        return 32, end + 1
    base, place = (16, start + 3) if page[start + 2] | 32 == ord("x") else (10, start + 2)
    code = 0
    for i in range(place, end):
        digit = page[i] - ord("0")
        if base == 16 and page[i] > ord("9"):
            digit = (page[i] | 32) - ord("a") + 10
        if digit < 0 or digit >= base:
            return ord("&"), start + 1
        code = code * base + digit
    surrogate = 0xD800 <= code < 0xE000
    return (32 if code > 0x10FFFF or surrogate else code), end + 1


@leaf_kernel
def put(out: np.ndarray, size: int, code: int) -> int:
    """Write a code point as UTF-8; the number of its bytes."""
    if code < 0x80:
        out[size] = code
        return 1
    if code < 0x800:
        out[size] = 0xC0 | code >> 6
        out[size + 1] = 0x80 | code & 63
        return 2
    if code < 0x10000:
        out[size] = 0xE0 | code >> 12
        out[size + 1] = 0x80 | code >> 6 & 63
        out[size + 2] = 0x80 | code & 63
        return 3
    out[size] = 0xF0 | code >> 18
    out[size + 1] = 0x80 | code >> 12 & 63
    out[size + 2] = 0x80 | code >> 6 & 63
    out[size + 3] = 0x80 | code & 63
    return 4
