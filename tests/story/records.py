"""WARC records as a test wants them: any headers, any bytes, each in its own gzip member."""

import gzip
from dataclasses import dataclass

DATE = "2024-02-20T21:11:17Z"
PATH = "crawl-data/CC-MAIN-2024-10/segments/1/warc/CC-MAIN-story-00000.warc.gz"


@dataclass(frozen=True)
class Warc:
    """One record before it is written; a header of None is left out."""

    kind: str
    body: bytes
    url: str | None = None
    payload_type: str | None = "text/html"
    cut: bool = False  # the gzip member ends in its middle

    def to_bytes(self, number: int) -> bytes:
        headers = {
            "WARC-Type": self.kind,
            "WARC-Record-ID": record_id(number),
            "WARC-Date": DATE,
            "WARC-Target-URI": self.url,
            "WARC-Identified-Payload-Type": self.payload_type,
            "Content-Length": str(len(self.body)),
        }
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        record = b"WARC/1.0\r\n" + "".join(lines).encode() + b"\r\n" + self.body + b"\r\n\r\n"
        member = gzip.compress(record, mtime=0)
        return member[: len(member) // 2] if self.cut else member


def record_id(number: int) -> str:
    return f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"


def response(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP response; `Content_Type` gives the header `Content-Type`."""
    fields = {"Content_Type": "text/html", **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + body


def chunked(body: bytes, size: int = 1000) -> bytes:
    """The body in HTTP's chunked transfer encoding."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def page(*paragraphs: str) -> str:
    """An HTML page of paragraphs with a menu before and a footer after them."""
    body = "\n".join(f"<p>{text}</p>" for text in paragraphs)
    return (
        "<!DOCTYPE html>\n<html><head><title>The Evening Paper</title></head><body>"
        '<nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li></ul></nav>'
        f"<main><article>\n{body}\n</article></main><footer>Imprint</footer></body></html>"
    )
