"""WARC files as CommonCrawl writes them: every record its own gzip member, four records a page.

A page is a request, a response and a metadata record behind one warcinfo record per file; their
headers, their order and CLD2's language line are those of the public crawls.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from random import Random
from typing import BinaryIO
from uuid import UUID

from decant.pipeline.sample.languages import Tongue

DUMP = "CC-MAIN-2024-10"
SEGMENT = "1707947473347.0"
FIRST_FETCH = "20240220211055"
LAST_FETCH = "20240221001055"
SMALL_BYTES = 2_000  # for these, setting up zlib's full window costs more than compressing
WARCINFO = f"""isPartOf: {DUMP}\r
publisher: decant\r
description: Generated pages of known fate, in the form of a CommonCrawl segment\r
software: decant sample-crawl\r
robots: no page of this file was ever on the web\r
format: WARC File Format 1.1\r
conformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r
"""


@dataclass(frozen=True)
class Fetched:
    """One page as it came over the line."""

    url: str
    payload: bytes
    payload_type: str  # what CommonCrawl identified it as
    content_type: str  # what the server said
    date: str
    tongue: Tongue


def warc_path(number: int) -> str:
    """The path of a file below the crawl's folder, as in CommonCrawl's bucket."""
    name = f"CC-MAIN-{FIRST_FETCH}-{LAST_FETCH}-{number:05d}.warc.gz"
    return f"crawl-data/{DUMP}/segments/{SEGMENT}/warc/{name}"


class WarcWriter:
    """Writes records to a file; `random` gives the record ids."""

    def __init__(self, file: BinaryIO, name: str, random: Random, level: int = 6) -> None:
        self._file = file
        self._level = level  # of gzip; 0 writes members that are stored, not compressed
        self.raw_bytes = 0
        self._warcinfo = _record_id(random)
        self._write(
            [
                ("WARC-Type", "warcinfo"),
                ("WARC-Date", "2024-02-20T21:10:55Z"),
                ("WARC-Record-ID", self._warcinfo),
                ("WARC-Filename", name),
                ("Content-Type", "application/warc-fields"),
            ],
            WARCINFO.encode(),
        )

    def write_page(self, page: Fetched, random: Random, damaged: bool = False) -> str:
        """Write the three records of a page; returns the id of its response.

        A damaged response ends in the middle of its gzip member, as after a broken transfer.
        """
        request_id, response_id = _record_id(random), _record_id(random)
        address = f"203.0.113.{random.randrange(1, 255)}"  # TEST-NET-3: belongs to nobody
        host, _, path = page.url.partition("://")[2].partition("/")
        request = (
            f"GET /{path} HTTP/1.1\r\nUser-Agent: CCBot/2.0 (https://commoncrawl.org/faq/)\r\n"
            f"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
            f"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: br,gzip\r\nHost: {host}\r\n"
            f"Connection: Keep-Alive\r\n\r\n"
        ).encode()
        place = [("WARC-Warcinfo-ID", self._warcinfo), ("WARC-Target-URI", page.url)]
        self._write(
            [
                ("WARC-Type", "request"),
                ("WARC-Date", page.date),
                ("WARC-Record-ID", request_id),
                ("Content-Type", "application/http; msgtype=request"),
                *place,
                ("WARC-IP-Address", address),
            ],
            request,
        )
        response = _http(page)
        self._write(
            [
                ("WARC-Type", "response"),
                ("WARC-Date", page.date),
                ("WARC-Record-ID", response_id),
                ("Content-Type", "application/http; msgtype=response"),
                *place,
                ("WARC-Concurrent-To", request_id),
                ("WARC-IP-Address", address),
                ("WARC-Payload-Digest", _digest(page.payload)),
                ("WARC-Block-Digest", _digest(response)),
                ("WARC-Identified-Payload-Type", page.payload_type),
            ],
            response,
            damaged,
        )
        self._write(
            [
                ("WARC-Type", "metadata"),
                ("WARC-Date", page.date),
                ("WARC-Record-ID", _record_id(random)),
                ("Content-Type", "application/warc-fields"),
                *place,
                ("WARC-Concurrent-To", response_id),
            ],
            _metadata(page, random),
        )
        return response_id

    def _write(self, headers: list[tuple[str, str]], body: bytes, damaged: bool = False) -> None:
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        head = f"WARC/1.0\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n".encode()
        # Raw deflate with gzip's wrapper; Python's zlib writes no time and no name into it, so
        # that the same records give the same bytes.
        small = len(body) < SMALL_BYTES
        stream = zlib.compressobj(
            self._level, zlib.DEFLATED, 16 + (11 if small else 15), 4 if small else 8
        )
        member = stream.compress(head + body + b"\r\n\r\n") + stream.flush()
        self._file.write(member[: len(member) * 2 // 3] if damaged else member)
        self.raw_bytes += len(head) + len(body) + 4


def _record_id(random: Random) -> str:
    return f"<urn:uuid:{UUID(int=random.getrandbits(128), version=4)}>"


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def _http(page: Fetched) -> bytes:
    """The response as CommonCrawl stores it: decoded, the original encoding in X- headers."""
    head = (
        f"HTTP/1.1 200 OK\r\nDate: Tue, 20 Feb 2024 21:11:17 GMT\r\nServer: nginx\r\n"
        f"Content-Type: {page.content_type}\r\nX-Crawler-Content-Encoding: gzip\r\n"
        f"X-Crawler-Content-Length: {len(page.payload) // 3}\r\n"
        f"Content-Length: {len(page.payload)}\r\n\r\n"
    )
    return head.encode() + page.payload


def _metadata(page: Fetched, random: Random) -> bytes:
    languages = {
        "reliable": True,
        "text-bytes": len(page.payload),
        "languages": [
            {
                "code": page.tongue.code,
                "code-iso-639-3": page.tongue.iso3,
                "text-covered": 0.99,
                "score": 1200.0,
                "name": page.tongue.name,
            }
        ],
    }
    line = json.dumps(languages, separators=(",", ":"))
    return f"fetchTimeMs: {random.randrange(60, 900)}\r\nlanguages-cld2: {line}\r\n".encode()
