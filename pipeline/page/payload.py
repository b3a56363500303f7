"""The page inside a record: HTTP heads off, transfer codings and content encodings undone.

Lenient where warcio, the reference's reader, is: a body that claims to be chunked or compressed and
is not passes as it stands, and one that breaks off gives what came before the break.
"""

import re
from dataclasses import dataclass

from decant.pipeline.page.encodings import DECODERS, TooLarge
from decant.pipeline.warc.headers import Headers, header_end, parse_fields, text_of

MAX_HTTP_HEADER_BYTES = 1 << 20
MAX_HEADS = 32  # interim ones; a server sends one or two
MAX_CODINGS = 16
# A page in one-byte chunks of 64 MB costs seconds of loop; real servers send kilobytes per chunk.
MAX_CHUNKS = 1_000_000
MAX_CHUNK_BYTES = 1 << 31
LISTS = ("transfer-encoding", "content-encoding")

STATUS_LINE = re.compile(rb"\s{0,8}(HTTP/\d(?:\.\d)? \d{3}[^\r\n]*\r?\n)", re.IGNORECASE)
# A head that only announces the response, by its status or by what proxies say.
INTERIM = re.compile(
    rb"HTTP/\d(?:\.\d)? (?:1\d\d\b|200 [^\r\n]{0,32}connection[ -]established)", re.IGNORECASE
)
# Blank lines before a chunk and a line feed alone are met on the web; extensions have no limit.
CHUNK_LINE = re.compile(
    rb"[\r\n]{0,4}[ \t]*(?:0x)?([0-9a-f]{1,16})[ \t]*(?:;[^\n]{0,65536})?\r?\n", re.IGNORECASE
)
CUT_CHUNK_LINE = re.compile(rb"\s*[0-9a-f]{1,16}\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Response:
    """An HTTP message: its header fields and its body as transferred."""

    headers: Headers
    body: bytes


def split_http(content: bytes) -> Response:
    """The parts of an HTTP response; content that does not start like one is all body.

    Heads that only announce the response are passed: those of status 1xx, and the one with which a
    proxy says that it has connected.
    """
    if content[:5].upper() != b"HTTP/":
        return Response({}, content)
    start = 0
    for _ in range(MAX_HEADS):
        end = header_end(content, start, start + MAX_HTTP_HEADER_BYTES)
        fields_end, body_start = end or (len(content), len(content))
        fields = content[content.find(b"\n", start) + 1 : fields_end]
        following = STATUS_LINE.match(content, body_start)
        if following is None or not (INTERIM.match(content, start) or _says_nothing(fields)):
            break
        start = following.start(1)
    return Response(_fields(fields), content[body_start:])


def _says_nothing(fields: bytes) -> bool:
    """Whether a head tells nothing of a body, as that of a proxy in front of the response's own."""
    return b"content-" not in fields.lower()


def _fields(block: bytes) -> Headers:
    """The fields of a head; a list of codings may be sent a field for each."""
    headers, lower = parse_fields(block), block.lower()
    for name in LISTS:
        if lower.count(name.encode()) > 1:
            lines = [line.partition(b":") for line in block.splitlines()]
            values = [text_of(value) for key, _, value in lines if text_of(key).lower() == name]
            headers[name] = ", ".join(values)
    return headers


def decoded_body(response: Response, limit_bytes: int) -> bytes:
    """The body without transfer and content encodings; TooLarge beyond `limit_bytes`."""
    body = response.body
    for name in LISTS:
        if name in response.headers:
            body = _undone(body, response.headers[name], limit_bytes)
    if len(body) > limit_bytes:
        raise TooLarge(len(body))
    return body


def transferred_body(response: Response, limit_bytes: int) -> bytes:
    """The body without its transfer codings: what a payload digest is of."""
    return _undone(response.body, response.headers.get(LISTS[0], ""), limit_bytes)


def _undone(body: bytes, codings: str, limit_bytes: int) -> bytes:
    """The body without these codings, the last of them first, as far as it has them.

    A coding that a body does not have is tried again after the others: servers list them in the
    wrong order, or twice.
    """
    names = [one.split(";")[0].strip(' \t"') for one in codings.lower().split(",")[:MAX_CODINGS]]
    waiting = [name for name in reversed(names) if name == "chunked" or name in DECODERS]
    while waiting:
        left = []
        for name in waiting:
            plain = dechunked(body) if name == "chunked" else DECODERS[name](body, limit_bytes)
            if plain == body:
                left.append(name)
            body = plain
        if len(left) == len(waiting):
            break
        waiting = left
    return body


def dechunked(body: bytes) -> bytes:
    """The body without its chunk headers; from the first that is none on, the rest as it stands.

    >>> dechunked(b"2\\r\\nab\\r\\n1\\r\\nc\\r\\n0\\r\\n\\r\\n"), dechunked(b"<html>")
    (b'abc', b'<html>')
    """
    parts: list[memoryview] = []
    view, at = memoryview(body), 0
    for _ in range(MAX_CHUNKS):
        line = CHUNK_LINE.match(body, at)
        size = int(line[1], 16) if line else MAX_CHUNK_BYTES + 1
        if size == 0:
            return b"".join(parts)
        start = line.end() if line else at
        end = _line_end(body, start + size)
        if size > MAX_CHUNK_BYTES or end is None:
            break
        parts.append(view[start : start + size])
        at = end
        if at >= len(body):
            return b"".join(parts)
    if parts and len(body) - at < 32 and CUT_CHUNK_LINE.fullmatch(body, at):
        return b"".join(parts)
    return b"".join([*parts, view[at:]])


def _line_end(body: bytes, at: int) -> int | None:
    """The place behind the line end at `at`, the body's end where it is cut there; else None."""
    after = body[at : at + 2]
    if after == b"\r\n":
        return at + 2
    return at + 1 if after[:1] == b"\n" or after in (b"\r", b"") else None
