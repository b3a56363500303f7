"""The records of whole files, in every container, and the same records however a file is cut."""

import io
import random

import pytest
import zstandard

from decant.pipeline.warc.reader import Reader, Record, container, first_member
from tests.faults.warc_files import (
    arc,
    blocks,
    crawl,
    dictionary_of,
    frames,
    http,
    members,
    one_member,
    page,
    record,
    record_id,
    skippable,
    zstd_frames,
)

CRAWL = crawl(40)
PLAIN = b"".join(CRAWL)
WORDS = dictionary_of(CRAWL)
FILES = {
    "members": (members(CRAWL), True),
    "frames": (frames(CRAWL), True),
    "zstd": (zstd_frames(CRAWL), True),
    "zstd without checksums": (zstd_frames(CRAWL, checksum=False), True),
    "zstd, dictionary": (skippable(WORDS) + zstd_frames(CRAWL, WORDS), True),
    "zstd, compressed dictionary": (
        skippable(zstandard.compress(WORDS)) + zstd_frames(CRAWL, WORDS),
        True,
    ),
    "zstd in one frame": (zstandard.compress(PLAIN), False),
    "plain": (PLAIN, False),
    "one_member": (one_member(CRAWL), False),
    "blocks": (blocks(CRAWL), False),
}


def read(
    data: bytes, start: int = 0, end: int | None = None, by_member: bool = True
) -> list[Record]:
    return list(Reader(io.BytesIO(data), start, end, by_member))


def contents(records: list[Record]) -> list[tuple[str, str | None, bytes]]:
    return [(one.type, one.headers.get("warc-record-id"), one.content) for one in records]


@pytest.mark.parametrize("name", FILES)
def test_every_container_gives_the_same_records(name):
    data, by_member = FILES[name]
    records = read(data, by_member=by_member)
    assert contents(records) == contents(read(PLAIN))
    assert len(records) == 1 + 2 * 40
    assert not any(one.damage for one in records)


@pytest.mark.parametrize("name", FILES)
def test_offsets_rise_and_kinds_of_offset_are_told_from_the_first_members(name):
    data, by_member = FILES[name]
    offsets = [one.offset for one in read(data, by_member=by_member)]
    assert offsets == sorted(set(offsets))
    assert first_member(io.BytesIO(data), container(data[:4]))[0] is by_member


def test_offset_of_a_record_is_that_of_its_compressed_member():
    data, _ = FILES["members"]
    for one in read(data):
        assert contents(read(data[one.offset :]))[0] == contents([one])[0]


def test_warcinfo_tells_its_fields():
    data, _ = FILES["members"]
    _, fields = first_member(io.BytesIO(data), "gzip")
    assert fields == {"ispartof": "CC-MAIN-2024-10"}


@pytest.mark.parametrize("name", ["members", "frames", "plain", "zstd, compressed dictionary"])
@pytest.mark.parametrize("seed", range(6))
def test_byte_ranges_give_each_record_once_wherever_the_file_is_cut(name, seed):
    data, by_member = FILES[name]
    chosen = random.Random(seed)
    cuts = sorted(chosen.sample(range(1, len(data)), 5))
    edges = [0, *cuts, None]
    parts = [read(data, edges[i], edges[i + 1], by_member) for i in range(len(edges) - 1)]
    joined = [one for part in parts for one in part]
    whole = read(data, by_member=by_member)
    assert [one.offset for one in joined] == [one.offset for one in whole]
    assert contents(joined) == contents(whole)


def test_each_range_names_the_record_that_the_next_one_begins_with():
    data, _ = FILES["members"]
    first = Reader(io.BytesIO(data), 0, len(data) // 2)
    second = Reader(io.BytesIO(data), len(data) // 2, None)
    assert list(first) and list(second)
    assert first.reading.following == second.reading.first
    assert second.reading.following is None


def test_arc_documents_are_responses_and_their_header_is_skipped_by_type():
    records = read(arc(5), by_member=False)
    assert [one.type for one in records] == ["filedesc"] + ["response"] * 5
    assert records[1].headers["warc-target-uri"] == "http://site1.example/"
    assert records[1].headers["warc-date"] == "2008-04-30T20:48:25Z"
    assert records[1].content == http(page(1))


def test_lines_may_end_with_a_line_feed_alone():
    data = b"".join(record(number, newline=b"\n") for number in (1, 2, 3))
    assert [one.headers["warc-record-id"] for one in read(data)] == [
        record_id(number) for number in (1, 2, 3)
    ]


def test_revisit_records_are_read_as_their_own_type():
    assert [one.type for one in read(record(1, b"", "revisit") + record(2))] == [
        "revisit",
        "response",
    ]


def test_two_records_in_one_member_have_keys_of_their_own():
    data = members([record(1)]) + members([record(2) + record(3)]) + members([record(4)])
    offsets = [one.offset for one in read(data)]
    second = len(members([record(1)]))
    assert offsets == [0, second, second + 1, len(data) - len(members([record(4)]))]


def test_empty_file_and_file_without_records_give_none():
    for data in (b"", b"\r\n\r\n", b"hello world\n" * 100, b"\x1f\x8b\x08", b"\x04\x22\x4d\x18"):
        assert read(data) == []


def test_content_above_the_limit_is_let_go_and_its_size_told():
    data = members([record(1), record(2, b"x" * 300_000), record(3)])
    records = list(Reader(io.BytesIO(data), max_content_bytes=100_000))
    assert [one.damage for one in records] == [None, "too_long", None]
    assert len(records[1].content) == 100_000
    assert 300_000 <= records[1].content_bytes <= 300_004
