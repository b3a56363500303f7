"""Our reader beside warcio (the reference's) and FastWARC, on files of many writers."""

import io

import pytest

from decant.pipeline.page.judge import response_of, url_of
from decant.pipeline.page.page_type import PAGE_TYPES, looks_like_page
from decant.pipeline.page.payload import decoded_body
from decant.pipeline.warc.reader import Reader, container, first_member
from tests.faults.warc_files import crawl, http, members, page, record
from tests.real_data import folder

warcio = pytest.importorskip("warcio.archiveiterator")
statusandheaders = pytest.importorskip("warcio.statusandheaders")
fastwarc = pytest.importorskip("fastwarc.warc")
pytestmark = pytest.mark.parity

NO_HEADERS = statusandheaders.StatusAndHeaders("", [])
# A gzip of three prose files: warcio takes its first line, a title, for an ARC header.
NO_ARCHIVE = "netarchivesuite+jwat__three-files.gz"


def counted(records) -> int:
    """How many records a library reads before it fails; they fail with any exception."""
    count = 0
    try:
        for _ in records:
            count += 1
    except Exception:
        return count
    return count


def ours(data: bytes) -> list:
    by_member, _ = first_member(io.BytesIO(data), container(data[:4]))
    return list(Reader(io.BytesIO(data), by_member=by_member))


def test_generated_crawl_has_the_payloads_that_warcio_gives():
    body = page(7)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    odd = [
        http(chunked + b"0\r\n\r\n", "Transfer-Encoding: chunked"),
        http(chunked, "Transfer-Encoding: chunked"),
        http(body, "Transfer-Encoding: chunked"),
        http(body[:50] + b"5\r\n" + body[50:], "Transfer-Encoding: chunked"),
        http(body, "Content-Encoding: gzip"),
        http(body, "Content-Encoding: unheard-of"),
    ]
    data = members(crawl(5) + [record(100 + at, one) for at, one in enumerate(odd)])
    assert payloads(data) == warcio_payloads(data)
    assert len(payloads(data)) == 5 + len(odd)


@pytest.mark.parametrize("name", ["warc_bad", "warc_wild"])
def test_no_file_gives_fewer_records_than_the_better_library(name):
    fewer = []
    for path in sorted(folder(name).iterdir()):
        data = path.read_bytes()
        theirs = max(
            counted(warcio.ArchiveIterator(io.BytesIO(data), arc2warc=False)),
            counted(fastwarc.ArchiveIterator(io.BytesIO(data), parse_http=False)),
        )
        if len(ours(data)) < theirs and path.name != NO_ARCHIVE:
            fewer.append((path.name, len(ours(data)), theirs))
    assert fewer == []


def test_real_payloads_are_those_that_warcio_gives():
    different, compared = [], 0
    for path in sorted(folder("warc_wild").iterdir()):
        data = path.read_bytes()
        expected, found = warcio_payloads(data), payloads(data)
        compared += len(expected)
        different += [(path.name, url) for url, body in expected.items() if found.get(url) != body]
    assert compared > 200
    assert different == []


def test_whatever_libmagic_calls_html_is_a_page_to_us():
    magic = pytest.importorskip("magic", reason="python-magic or libmagic is not installed")
    pages, missed = 0, []
    for name in ("warc_wild", "warc_bad"):
        for path in sorted(folder(name).iterdir()):
            for url, body in payloads(path.read_bytes()).items():
                if body and magic.from_buffer(body, mime=True) in PAGE_TYPES:
                    pages += 1
                    missed += [] if looks_like_page(body) else [url]
    assert pages > 50
    assert missed == []


def test_generated_pages_are_html_to_libmagic_too():
    magic = pytest.importorskip("magic", reason="python-magic or libmagic is not installed")
    for body in (page(1), b"<!DOCTYPE html>\n<p>hello there", b"%PDF-1.4 <html>", b"GIF89a<html>"):
        said = magic.from_buffer(body, mime=True) in PAGE_TYPES
        assert looks_like_page(body) is said, body


def payloads(data: bytes) -> dict[str, bytes]:
    return {
        url_of(one): decoded_body(response_of(one), 1 << 27)
        for one in ours(data)
        if one.type == "response"
    }


def warcio_payloads(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for one in warcio.ArchiveIterator(io.BytesIO(data), arc2warc=False):
        url = one.rec_headers.get_header("WARC-Target-URI") or ""
        # Under other addresses (file:///screenshot.png) warcio leaves the HTTP header on.
        if one.rec_type != "response" or not url.startswith("http"):
            continue
        # warcio 1.8 cannot open its brotli decoder with brotli 1.2
        if (one.http_headers or NO_HEADERS).get_header("content-encoding") != "br":
            found[url] = one.content_stream().read()
    return found
