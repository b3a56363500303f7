"""Bodies as transferred become pages, whatever was done to them, and within bounds."""

import gzip
import tracemalloc
import zlib

import brotli
import pyarrow as pa
import pytest

from decant.pipeline.page.payload import Response, TooLarge, dechunked, decoded_body, split_http
from tests.faults.warc_files import http, page, raw_deflate

BODY = page(3, words=4_000)
LIMIT = 10_000_000


def decoded(body: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    return decoded_body(Response({"content-encoding": encoding}, body), limit)


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


ENCODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "br": brotli.compress(BODY),
    "zstd": zstd(BODY),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_content_encodings_are_undone(encoding):
    assert decoded(ENCODED[encoding], encoding) == BODY
    assert decoded(ENCODED[encoding], encoding.upper()) == BODY


def test_deflate_without_the_zlib_header_is_read_as_browsers_do():
    assert decoded(raw_deflate(BODY), "deflate") == BODY


def test_encodings_are_undone_in_reverse_order():
    assert decoded(gzip.compress(brotli.compress(BODY)), "br, gzip") == BODY


def test_two_gzip_members_are_one_body():
    assert decoded(gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]), "gzip") == BODY


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_body_that_only_claims_an_encoding_passes_as_it_stands(encoding):
    assert decoded(BODY, encoding) == BODY


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_body_cut_off_gives_what_came_before_the_cut(encoding):
    half = decoded(ENCODED[encoding][: len(ENCODED[encoding]) // 2], encoding)
    assert half
    assert BODY.startswith(half) or half == ENCODED[encoding][: len(half)]


def test_an_empty_page_that_was_compressed_is_empty():
    assert decoded(gzip.compress(b""), "gzip") == b""
    assert decoded(zlib.compress(b""), "deflate") == b""


def test_an_unknown_encoding_passes_as_it_stands():
    assert decoded(BODY, "snappy") == BODY


BOMB = b"\0" * 50_000_000


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(BOMB)),
        ("deflate", zlib.compress(BOMB)),
        ("br", brotli.compress(BOMB)),
        ("zstd", zstd(BOMB)),
        ("gzip, gzip", gzip.compress(gzip.compress(BOMB))),
    ],
)
def test_a_decompression_bomb_is_stopped_at_the_limit_in_little_memory(encoding, bomb):
    tracemalloc.start()
    with pytest.raises(TooLarge) as stopped:
        decoded(bomb, encoding, limit=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stopped.value.size_bytes < 4_000_000
    assert peak < 12_000_000


def test_a_plain_body_above_the_limit_is_refused_and_one_at_the_limit_is_not():
    assert decoded(b"x" * 1_000, "", limit=1_000) == b"x" * 1_000
    with pytest.raises(TooLarge):
        decoded(b"x" * 1_001, "", limit=1_000)


CHUNKED = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CHUNKED, b"hello world"),
        (b"<html>no chunks</html>", b"<html>no chunks</html>"),
        (b"", b""),
        (b"5\r\nhello\r\n", b"hello"),
        (b"5\r\nhel", b"hel"),
        (b"5\r\nhello\r\nzz\r\nrest", b"hellozz\r\nrest"),
        (b"5\r\nhelloXX6\r\n world\r\n", b"5\r\nhelloXX6\r\n world\r\n"),
        (b"-5\r\nhello\r\n", b"-5\r\nhello\r\n"),
        (b"ffffffffffffffffff\r\nhello", b"ffffffffffffffffff\r\nhello"),
    ],
)
def test_chunks_are_joined_and_what_is_none_stays(body, expected):
    assert dechunked(body) == expected


def test_a_page_in_millions_of_chunks_ends():
    assert len(dechunked(b"1\r\nx\r\n" * 1_200_000)) >= 1_000_000


def test_http_header_ends_at_the_first_blank_line_of_either_kind():
    for newline in (b"\r\n", b"\n"):
        head = newline.join([b"HTTP/1.1 200 OK", b"A: 1", b"a: 2", b" more", b"", b""])
        found = split_http(head + b"body\r\n\r\nrest")
        assert found.headers == {"a": "1"}
        assert found.body == b"body\r\n\r\nrest"


def test_content_without_a_status_line_is_all_body():
    assert split_http(b"<html>") == Response({}, b"<html>")
    assert split_http(b"") == Response({}, b"")


def test_http_header_without_an_end_has_no_body():
    assert split_http(b"HTTP/1.1 200 OK\r\nA: 1").body == b""


def test_headers_of_a_generated_response_are_read():
    found = split_http(http(BODY, "Content-Encoding: br"))
    assert found.headers == {"content-type": "text/html", "content-encoding": "br"}
    assert found.body == BODY
