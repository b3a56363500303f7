"""Text that UTF-8 can hold: lone surrogates, halves of a character, become U+FFFD."""

from __future__ import annotations

import re

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> tuple[str, int]:
    """The text with U+FFFD for each lone surrogate, and how many there were.

    Hardly any text has one, so they are looked for only where encoding fails, which is cheaper.

    >>> without_surrogates("a\\ud800b")
    ('a\ufffdb', 1)
    """
    if text.isascii():
        return text, 0
    try:
        text.encode()
    except UnicodeEncodeError:
        return LONE_SURROGATE.subn("\ufffd", text)
    return text, 0


def utf8(text: str) -> bytes:
    """A text as UTF-8, with U+FFFD for lone surrogates."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return without_surrogates(text)[0].encode()
