"""A page's bytes as text: by FineWeb's rule, or by the charset that the page says it has.

FineWeb (datatrove `readers/warc.py`) asks neither the HTTP header nor <meta charset>: strict UTF-8,
else what cchardet guesses, strictly; a page where both fail is dropped. `declared` asks them; what
that gains stands in pipeline/README.md.
"""

import codecs
import re

import cchardet
from resiliparse.parse.encoding import map_encoding_to_html5

META_BYTES = 4096
# Browsers show a page with a few broken bytes; FineWeb drops it.
MAX_BROKEN_FRACTION = 0.001
MAX_BROKEN_UTF8 = 0.1  # of the characters beyond ASCII: in other charsets nearly all are broken

# Browsers read these names as the larger charsets that software really wrote.
_LARGER = {"shift_jis": "cp932", "gbk": "gb18030", "gb2312": "gb18030", "euc_kr": "cp949"}
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_META = re.compile(
    rb"<(?:meta[^>]{0,512}?charset|\?xml[^>]{0,128}?encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})",
    re.IGNORECASE,
)
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def utf8_text(payload: bytes) -> str | None:
    """The text of bytes that are UTF-8, as nearly all pages are; None for others."""
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def fineweb_text(payload: bytes) -> str | None:
    """The text by FineWeb's rule; None where it drops the page."""
    text = utf8_text(payload)
    return guessed_text(payload) if text is None else text


def guessed_text(payload: bytes) -> str | None:
    """The text of bytes that are not UTF-8, in the charset that cchardet takes them for."""
    charset = cchardet.detect(payload)["encoding"]
    if not charset or charset == "UTF-8":
        return None
    try:
        return payload.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return None


def declared_text(payload: bytes, content_type: str = "") -> str | None:
    """The text in the charset that the page declares, where that fits; else by FineWeb's rule.

    UTF-8 that decodes is believed before any declaration.
    """
    text = utf8_text(payload)
    return text_as_declared(payload, content_type) if text is None else text


def text_as_declared(payload: bytes, content_type: str) -> str | None:
    """The text of bytes that are not UTF-8, in the charset that the page says it has.

    The byte order mark, the HTTP header and <meta charset> are asked in turn, under the names that
    browsers give to charsets ("iso-8859-1" is windows-1252); the first that leaves at most one
    broken character in a thousand is taken. UTF-8 with a few broken bytes is read as such; a page
    that only says it is UTF-8, and has windows-1252 quotes in plain ASCII, is guessed, and read as
    windows-1252 last.
    """
    for charset in declarations(payload, content_type):
        text = _mostly(payload, charset) if charset != "utf-8" else None
        if text is not None:
            return text
    text = payload.decode("utf-8", "replace")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if text.count("\ufffd") <= MAX_BROKEN_UTF8 * beyond_ascii:
        return text
    return guessed_text(payload) or _mostly(payload, "cp1252")


def declarations(payload: bytes, content_type: str) -> list[str]:
    """The charsets that a page names, in the order of their weight.

    >>> declarations(b"<meta charset=latin1>", "text/html; charset=Shift_JIS")
    ['cp932', 'cp1252']
    """
    names = [name for mark, name in _MARKS if payload.startswith(mark)]
    header = _HEADER.search(content_type[:1_000])
    meta = _META.search(payload[:META_BYTES])
    labels = [header.group(1)] if header else []
    labels += [meta.group(1).decode("ascii")] if meta else []
    for label in labels:
        known = map_encoding_to_html5(label, fallback_utf8=False) or ""
        name = _LARGER.get(known, known)
        if name and name not in names:
            names.append(name)
    return names


def _mostly(payload: bytes, charset: str) -> str | None:
    """The text in this charset, U+FFFD for broken characters; None where there are too many."""
    try:
        text = payload.decode(charset, "replace")
    except (LookupError, UnicodeError):
        return None
    return text if text.count("\ufffd") <= MAX_BROKEN_FRACTION * len(text) else None
