"""A damaged file loses the damaged record, not its neighbours, and never the reader."""

import gzip
import io
import random

import pytest

from decant.pipeline.warc.reader import Reader, Record
from tests.faults.warc_files import (
    arc,
    crawl,
    dictionary_of,
    frames,
    members,
    one_member,
    record,
    record_id,
    zstd_frames,
)

CRAWL = crawl(60)
WORDS = dictionary_of(CRAWL)
FILES = {
    "members": (members(CRAWL), True),
    "frames": (frames(CRAWL), True),
    "zstd": (zstd_frames(CRAWL), True),
    "plain": (b"".join(CRAWL), False),
    "arc": (arc(60), False),
}


def read(data: bytes, by_member: bool = True) -> tuple[list[Record], Reader]:
    reader = Reader(io.BytesIO(data), by_member=by_member)
    return list(reader), reader


def whole(records: list[Record]) -> set[tuple]:
    """What can be trusted of some records: those without damage, by address, type and content."""
    return {
        (one.headers.get("warc-target-uri"), one.type, one.content)
        for one in records
        if not one.damage
    }


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_at_a_hundred_places_loses_two_records_at_most(name):
    data, by_member = FILES[name]
    before = whole(read(data, by_member)[0])
    chosen = random.Random(5)
    for _ in range(100):
        at, bit = chosen.randrange(len(data)), 1 << chosen.randrange(8)
        damaged = bytearray(data)
        damaged[at] ^= bit
        after, _ = read(bytes(damaged), by_member)
        assert len(before - whole(after)) <= 2, (at, bit)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_anywhere_gives_the_records_before_the_cut(name):
    data, by_member = FILES[name]
    full, _ = read(data, by_member)
    chosen = random.Random(6)
    for _ in range(30):
        cut = chosen.randrange(1, len(data))
        records, _ = read(data[:cut], by_member)
        good = [one for one in records if not one.damage]
        assert len(records) - len(good) <= 1
        # Trailing line ends may be cut off with no harm to the record before them.
        assert [one.content for one in good] == [one.content for one in full[: len(good)]]
        behind = full[len(good) + 1].offset if len(good) + 1 < len(full) else len(data)
        assert behind >= cut or len(good) == len(full)


def test_records_before_damage_in_a_single_member_are_kept():
    data = one_member(CRAWL)
    damaged = bytearray(data)
    damaged[len(data) * 2 // 3] ^= 0x10
    records, reader = read(bytes(damaged), by_member=False)
    intact, _ = read(b"".join(CRAWL), by_member=False)
    assert len(records) >= len(intact) // 2
    assert [one.content for one in records[:40]] == [one.content for one in intact[:40]]
    assert reader.reading.losses.bytes > 0


def test_a_checksum_that_fails_marks_its_record_alone():
    data = bytearray(members(CRAWL))
    end = len(gzip.compress(CRAWL[0], 6, mtime=0))
    data[end - 6] ^= 1  # in the first member's CRC
    records, reader = read(bytes(data))
    assert records[0].damage == "checksum"
    assert not any(one.damage for one in records[1:])
    assert reader.reading.losses.bytes == end


def test_garbage_between_members_is_counted_and_passed():
    data = members(CRAWL[:3]) + b"garbage" * 99 + members(CRAWL[3:])
    records, reader = read(data)
    assert len(records) == len(CRAWL)
    assert not any(one.damage for one in records)
    assert reader.reading.losses.bytes == 7 * 99


def test_a_length_too_small_leaves_its_rest_behind_and_loses_no_other_record():
    data = record(1) + record(2, b"0123456789" * 9, length=50) + record(3)
    records, reader = read(data)
    assert [one.headers["warc-record-id"] for one in records] == [record_id(n) for n in (1, 2, 3)]
    assert len(records[1].content) == 50
    assert reader.reading.wrong_lengths == 1
    assert reader.reading.losses.bytes == 40 + 4


def test_a_length_too_large_does_not_swallow_the_records_behind():
    data = record(1) + record(2, b"0123456789" * 9, length=5_000) + record(3) + record(4)
    records, reader = read(data)
    assert [one.headers["warc-record-id"] for one in records] == [
        record_id(number) for number in (1, 2, 3, 4)
    ]
    assert records[1].content == b"0123456789" * 9
    assert reader.reading.wrong_lengths == 1


@pytest.mark.parametrize("length", ["-5", "many", "", "9" * 400, "1e3"])
def test_a_length_that_is_no_number_is_settled_by_what_follows(length):
    data = record(1) + record(2, b"abc", length=length) + record(3)
    records, _ = read(data)
    assert [one.headers["warc-record-id"] for one in records] == [record_id(n) for n in (1, 2, 3)]
    assert records[1].content == b"abc"


def test_a_warc_file_inside_a_record_stays_inside_it():
    inner = b"".join(crawl(3))
    records, _ = read(record(1) + record(2, inner) + record(3))
    assert [one.headers["warc-record-id"] for one in records] == [record_id(n) for n in (1, 2, 3)]
    assert records[1].content == inner


def test_a_page_that_mentions_record_headers_is_not_cut_there():
    text = b"<p>write \r\n\r\nWARC/1.0\r\n\r\nand go on</p>"
    records, _ = read(record(1, text, length=9_999) + record(2))
    assert records[0].content == text


def test_an_address_of_a_megabyte_is_read():
    long = "http://site.example/" + "a" * 1_000_000
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {long}\r\nContent-Length: 2\r\n\r\n"
    )
    records, _ = read(members([record(1), head.encode() + b"hi\r\n\r\n", record(3)]))
    assert [len(one.headers["warc-target-uri"]) > 999_999 for one in records] == [
        False,
        True,
        False,
    ]


def test_a_member_that_inflates_a_thousandfold_costs_no_memory():
    bomb = record(2, b"\0" * 30_000_000)
    data = members([record(1)]) + gzip.compress(bomb, 9, mtime=0) + members([record(3)])
    records = list(Reader(io.BytesIO(data), max_content_bytes=1_000_000))
    assert [one.damage for one in records] == [None, "too_long", None]
    assert len(records[1].content) == 1_000_000


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_end_in_no_exception(seed):
    chosen = random.Random(seed)
    head = chosen.choice([b"", b"\x1f\x8b\x08\x00", b"\x04\x22\x4d\x18", b"WARC/1.0\r\n", CRAWL[2]])
    data = head + chosen.randbytes(chosen.randrange(20_000))
    for by_member in (True, False):
        records, reader = read(data, by_member)
        assert len(records) <= 2
        assert reader.reading.losses.bytes <= len(data) + 40_000
