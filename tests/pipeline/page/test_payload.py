"""Bodies as transferred become pages, whatever was done to them, and within bounds."""

import gzip
import random
import tracemalloc
import zlib

import brotli
import pytest
import zstandard

from decant.pipeline.page.encodings import TooLarge
from decant.pipeline.page.payload import Response, dechunked, decoded_body, split_http
from tests.faults.warc_files import http, page, raw_deflate

BODY = page(3, words=4_000)
LIMIT = 10_000_000


def decoded(body: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    return decoded_body(Response({"content-encoding": encoding}, body), limit)


def zstd(data: bytes, block: int = 4_096) -> bytes:
    """A frame of small blocks: of a block that is cut off nothing decodes."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    parts = []
    for at in range(0, len(data), block):
        parts.append(packer.compress(data[at : at + block]))
        parts.append(packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    return b"".join([*parts, packer.flush()])


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
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_body_cut_off_gives_what_came_before_the_cut(encoding, quarters):
    part = decoded(ENCODED[encoding][: len(ENCODED[encoding]) * quarters // 4], encoding)
    assert BODY.startswith(part)
    assert len(part) > len(BODY) * (quarters - 1) // 4


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_body_gives_what_decodes_before_the_damage(encoding, seed):
    chosen = random.Random(seed)
    data = bytearray(ENCODED[encoding])
    place = chosen.randrange(len(data) // 4, len(data) * 3 // 4)
    data[place : place + 40] = chosen.randbytes(40)
    part = decoded(bytes(data), encoding)
    # The codes before the damage say what they said; those behind it may still be codes.
    least = decoded(ENCODED[encoding][: place - 1], encoding)
    assert least
    assert part.startswith(least[: len(least) - 4_096])
    assert not part.startswith(bytes(data[:8]))


@pytest.mark.parametrize(
    ("encoding", "checksum_bytes"), [("gzip", 8), ("x-gzip", 8), ("deflate", 4), ("zstd", 4)]
)
def test_a_wrong_checksum_costs_nothing_of_the_body(encoding, checksum_bytes):
    data = bytearray(ENCODED[encoding])
    data[-checksum_bytes] ^= 1
    assert decoded(bytes(data), encoding) == BODY


def test_a_body_of_which_nothing_decodes_is_empty_and_not_passed_on_raw():
    for damaged in (b"\x1f\x8b\x08" + bytes(99), b"\x1f\x8b\x08\xff" + bytes(99)):
        assert decoded(damaged, "gzip") == b""
    assert decoded(b"\x28\xb5\x2f\xfd" + bytes(99), "zstd") == b""


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
        ("zstd", zstandard.compress(BOMB)),
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
        (b"5\nhello\n6\n world\n0\n\n", b"hello world"),
        (b"\r\n5\r\nhello\r\n\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"5;" + b"e" * 60_000 + b"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b" 0005 \t\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n1f", b"hello"),
        (b"a\n\n<p>no chunks</p>", b"a\n\n<p>no chunks</p>"),
    ],
)
def test_chunks_are_joined_and_what_is_none_stays(body, expected):
    assert dechunked(body) == expected


def chunked(data: bytes, size: int = 700) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CODINGS = {
    "chunked": chunked(BODY),
    "Chunked;q=1": chunked(BODY),
    '"chunked"': chunked(BODY),
    "chunked, chunked": chunked(BODY),
    "chunked,chunked": chunked(chunked(BODY)),
    "identity, chunked": chunked(BODY),
    "gzip, chunked": chunked(gzip.compress(BODY)),
    "chunked, gzip": chunked(gzip.compress(BODY)),
    "deflate;a=b , chunked": chunked(zlib.compress(BODY)),
    "gzip": BODY,
    "unheard-of": BODY,
    "chunked" + ", gzip" * 5_000: chunked(BODY),
}


@pytest.mark.parametrize("codings", CODINGS, ids=lambda codings: codings[:20])
def test_transfer_codings_are_undone_by_their_list(codings):
    assert decoded_body(Response({"transfer-encoding": codings}, CODINGS[codings]), LIMIT) == BODY


def test_codings_sent_a_field_for_each_are_one_list():
    head = http(b"", "Transfer-Encoding: identity", "transfer-encoding : gzip, chunked")
    found = split_http(head + chunked(gzip.compress(BODY)))
    assert decoded_body(found, LIMIT) == BODY


INTERIM_HEADS = {
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 3,
    "a proxy's": b"HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n",
    "a proxy's, in its own words": b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n",
    "line feeds": b"HTTP/1.1 100 Continue\n\n\n",
}


@pytest.mark.parametrize("head", INTERIM_HEADS.values(), ids=INTERIM_HEADS)
def test_heads_that_only_announce_the_response_are_passed(head):
    found = split_http(head + http(BODY, "Content-Encoding: br"))
    assert (found.headers["content-encoding"], found.body) == ("br", BODY)


@pytest.mark.parametrize("body", [b"HTTP/1.1 is a protocol", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_a_page_about_http_is_no_second_head(body):
    found = split_http(http(body))
    assert (found.headers, found.body) == ({"content-type": "text/html"}, body)


def test_an_interim_head_with_nothing_behind_it_has_no_body():
    assert split_http(b"HTTP/1.1 100 Continue\r\n\r\n").body == b""


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
