"""Small WARC and ARC files for the tests of the reader: written here, then damaged there."""

import gzip
import random
import zlib

import pyarrow as pa
import zstandard

WORDS = ["river", "stone", "window", "garden", "letter", "market", "winter", "copper", "bridge"]


def page(number: int, words: int = 120) -> bytes:
    """The HTML of a page; the same for the same number."""
    chosen = random.Random(number)
    text = " ".join(chosen.choice(WORDS) for _ in range(words))
    return f"<html><head><title>{number}</title></head><body><p>{text}</p></body></html>".encode()


def http(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/html", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def record(
    number: int,
    content: bytes | None = None,
    kind: str = "response",
    length: object = None,
    newline: bytes = b"\r\n",
    extra: tuple[str, ...] = (),
) -> bytes:
    """One WARC record; `length` is what its header claims, where that is not the truth."""
    content = http(page(number)) if content is None else content
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: http://site{number}.example/page",
        "WARC-Date: 2024-02-21T10:00:00Z",
        f"WARC-Record-ID: {record_id(number)}",
        f"Content-Length: {len(content) if length is None else length}",
        *extra,
        "",
        "",
    ]
    return newline.join(line.encode() for line in lines) + content + newline * 2


def record_id(number: int) -> str:
    return f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"


def crawl(count: int) -> list[bytes]:
    """A warcinfo record, then a request and a response for each page."""
    records = [record(0, b"isPartOf: CC-MAIN-2024-10\r\n", "warcinfo")]
    for number in range(1, count + 1):
        records.append(record(number, b"GET /page HTTP/1.1\r\n\r\n", "request"))
        records.append(record(number))
    return records


def members(records: list[bytes]) -> bytes:
    """A gzip member for each record, as crawlers write them."""
    return b"".join(gzip.compress(one, 6, mtime=0) for one in records)


def one_member(records: list[bytes]) -> bytes:
    return gzip.compress(b"".join(records), 6, mtime=0)


def blocks(records: list[bytes], size: int = 3_000) -> bytes:
    """Gzip members of equal size, whatever the records: as parallel compressors write them."""
    data = b"".join(records)
    cuts = range(0, len(data), size)
    return b"".join(gzip.compress(data[at : at + size], mtime=0) for at in cuts)


def frames(records: list[bytes]) -> bytes:
    """An lz4 frame for each record."""
    return b"".join(pa.Codec("lz4").compress(one, asbytes=True) for one in records)


def zstd_frames(records: list[bytes], dictionary: bytes = b"", checksum: bool = True) -> bytes:
    """A zstd frame for each record, under a dictionary where one is given."""
    words = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    packer = zstandard.ZstdCompressor(dict_data=words, write_checksum=checksum)
    return b"".join(packer.compress(one) for one in records)


def skippable(data: bytes, number: int = 13) -> bytes:
    """A frame that zstd readers skip; number 13 is where .warc.zst files hold a dictionary."""
    return bytes([0x50 + number]) + b"\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def dictionary_of(records: list[bytes]) -> bytes:
    return zstandard.train_dictionary(8_000, records * 20).as_bytes()


def arc(count: int) -> bytes:
    """A version 1 ARC file of `count` pages, not compressed."""
    head = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
    parts = [arc_document(b"filedesc://test.arc", b"text/plain", head)]
    parts += [
        arc_document(f"http://site{n}.example/".encode(), b"text/html", http(page(n)))
        for n in range(1, count + 1)
    ]
    return b"".join(parts)


def arc_document(url: bytes, kind: bytes, content: bytes) -> bytes:
    return b"%s 192.0.2.1 20080430204825 %s %d\n%s\n" % (url, kind, len(content), content)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()
