"""Whether a record is a page at all, by its declared type or by its first bytes.

Reference: datatrove `pipeline/readers/warc.py`. Where a record carries no payload type, the
reference asks libmagic, a system library; here our own look at the first bytes decides.
"""

import re

PAGE_TYPES = ("text/html", "application/xhtml+xml")
SNIFF_BYTES = 4096

# The elements that a page may start with, after white space and comments.
_PAGE_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->|<\?xml[^>]{0,512}\?>)*"
    rb"<(?:!doctype\s+html|html|head|title|body|script|style|table|a\s+href|meta|link|div|h1|p\b|br)",
    re.IGNORECASE | re.DOTALL,
)
_PAGE_INSIDE = re.compile(rb"<(?:!doctype\s+html|html|head|title|body)[\s>]", re.IGNORECASE)


def accepts(payload_type: str, record_type: str) -> bool:
    """Whether a record of this declared payload type is a page to FineWeb's reader."""
    return payload_type in PAGE_TYPES or (
        record_type == "conversion" and payload_type == "text/plain"
    )


def looks_like_page(payload: bytes) -> bool:
    """Whether bytes without a declared type start like HTML.

    >>> looks_like_page(b"  <!DOCTYPE html><p>"), looks_like_page(b"%PDF-1.4 <html>")
    (True, False)
    """
    head = payload[:SNIFF_BYTES]
    if b"\0" in head:
        return False
    return _PAGE_START.match(head) is not None or _PAGE_INSIDE.search(head) is not None
