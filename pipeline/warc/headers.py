"""The header of a WARC record or ARC document, read from bytes that anyone may have written."""

import re

# A header longer than this is not one: 1 MB addresses exist on the web, and must have an outcome.
MAX_HEADER_BYTES = 4 << 20
MAX_LINE_BYTES = 66_000  # of an ARC line
MAX_VERSION_BYTES = 128  # of what WARC_INSIDE matches

WARC_VERSION = re.compile(rb"(?i:WARC/\d)[^\r\n]{0,16}\r?\n")

# The first bytes of a record: a WARC version line, or an ARC line of address, host, date and more.
# Blank lines before it belong to the record before. The rest of an ARC line passes for one, so that
# must begin its line.
RECORD_START = re.compile(
    rb"[\r\n]{0,16}(?:(?i:WARC/\d)"
    rb"|(?<![^\r\n])[A-Za-z][A-Za-z0-9+.-]{1,20}:\S[^\r\n]{0,65536}? \d{8,18} )"
)
# Records inside other bytes, for finding the way after damage: a version line with a named field
# after it, or an ARC line with nothing odd about it. A mention in a page's text matches neither.
WARC_INSIDE = re.compile(
    rb"(?<=\n)(?i:WARC/\d)\.\d{1,4}[ \t]{0,16}\r?\n[A-Za-z-]{1,64}[ \t]{0,16}:"
)
ARC_INSIDE = re.compile(
    rb"(?<=\n)(?:https?|ftp|dns)://?\S{0,65536} \d{1,3}(?:\.\d{1,3}){3}"
    rb" \d{14} \S{1,128} \d{1,12}\r?\n"
)

Headers = dict[str, str]


def text_of(value: bytes) -> str:
    """Header bytes as text: UTF-8, with U+FFFD for what is not."""
    return value.decode("utf-8", "replace").strip(" \t")


def parse_fields(block: bytes) -> Headers:
    """The named fields of a header block, names in lower case, the first value of each name.

    Lines that start with a blank continue the value before; lines without a colon say nothing.

    >>> parse_fields(b"A: 1\\r\\n  2\\r\\nbroken\\r\\na: 3\\r\\n")
    {'a': '1 2'}
    """
    fields: dict[str, str] = {}
    name, parts = "", [b""]
    for line in [*block.split(b"\n"), b""]:
        line = line.rstrip(b"\r")
        if line[:1] in (b" ", b"\t") and name:
            parts.append(line.strip(b" \t"))
            continue
        if name:
            fields.setdefault(name, text_of(b" ".join(parts)))
        raw, colon, value = line.partition(b":")
        name = text_of(raw).lower() if colon else ""
        parts = [value.strip(b" \t")]
    return fields


def header_end(data: bytes | bytearray, at: int, limit: int) -> tuple[int, int] | None:
    """(end of the fields, start of the content) of a header block; None where no blank line is.

    >>> header_end(b"A: 1\\n\\nrest", 0, 100)
    (5, 6)
    """
    crlf = data.find(b"\n\r\n", at, limit)
    lf = data.find(b"\n\n", at, limit if crlf < 0 else crlf + 1)
    if lf >= 0:
        return lf + 1, lf + 2
    return (crlf + 1, crlf + 3) if crlf >= 0 else None


def length_of(value: str | None) -> int | None:
    """A Content-Length; None where it is missing, negative or no number.

    >>> length_of("12"), length_of("-1"), length_of("9" * 5000)
    (12, None, None)
    """
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 18:
        return None
    return int(value)


def parse_arc_line(line: bytes) -> Headers | None:
    """The fields of an ARC document's line, under the names WARC gives them; None if it is none.

    Version 1 has five fields, version 2 ten; addresses with blanks are read from the right, and a
    date that stands before the host's address is accepted.
    """
    words = line.strip(b" \t\r\n").split(b" ")
    scheme, colon, rest = words[0].partition(b":")
    if len(words) < 4 or not (scheme and colon and rest):
        return None
    if scheme == b"filedesc":
        return {"warc-target-uri": text_of(words[0]), "content-length": text_of(words[-1])}
    at = _arc_date(words)
    if at is None or length_of(text_of(words[-1])) is None:
        return None
    transposed = at == 1 or words[at + 1].count(b".") == 3
    uri, host = (words[:at], words[at + 1]) if transposed else (words[: at - 1], words[at - 1])
    return {
        "warc-target-uri": text_of(b" ".join(uri)),
        "warc-ip-address": text_of(host),
        "warc-date": iso_date(text_of(words[at])),
        "content-length": text_of(words[-1]),
    }


def _arc_date(words: list[bytes]) -> int | None:
    """The place of the archive date: a number of 8 to 18 digits with the address before it."""
    for at in range(len(words) - 2, 0, -1):
        if words[at].isdigit() and 8 <= len(words[at]) <= 18:
            return at
    return None


def iso_date(digits: str) -> str:
    """An archive date of digits as WARC writes dates; cut off or filled with zeros to seconds.

    >>> iso_date("20080430204825")
    '2008-04-30T20:48:25Z'
    """
    d = (digits + "00000000000000")[:14] if len(digits) != 8 else digits + "000000"
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"
