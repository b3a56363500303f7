"""`.warc.zst` files: the dictionary bounded, frames that lie refused, damage as in gzip."""

import io

import pytest
import zstandard

from decant.pipeline.warc import zstd_frames as zstd_frames_
from decant.pipeline.warc.reader import Reader
from tests.faults.warc_files import (
    crawl,
    dictionary_of,
    http,
    page,
    record,
    record_id,
    skippable,
    zstd_frames,
)

CRAWL = crawl(20)
WORDS = dictionary_of(CRAWL)
FILE = skippable(zstandard.compress(WORDS)) + zstd_frames(CRAWL, WORDS)


def read(data: bytes) -> tuple[list, Reader]:
    reader = Reader(io.BytesIO(data))
    return list(reader), reader


def test_the_offset_of_a_record_is_that_of_its_frame():
    dictionary = len(skippable(zstandard.compress(WORDS)))
    records, _ = read(FILE)
    sizes = [len(zstd_frames([one], WORDS)) for one in CRAWL]
    expected = [dictionary + sum(sizes[:number]) for number in range(len(sizes))]
    assert [one.offset for one in records] == expected


def test_other_skippable_frames_are_passed_wherever_they_stand():
    between = skippable(b"index", 3)
    data = between + between.join(zstd_frames([one]) for one in CRAWL) + between
    records, reader = read(data)
    assert len(records) == len(CRAWL)
    assert reader.reading.losses.ranges == 0


def test_a_skippable_frame_whose_size_lies_hides_no_record():
    lie = bytearray(skippable(b"index", 3))
    lie[4:8] = (70_000).to_bytes(4, "little")
    data = zstd_frames(CRAWL[:3]) + bytes(lie) + zstd_frames(CRAWL[3:])
    records, reader = read(data)
    assert len(records) == len(CRAWL)
    assert reader.reading.losses.bytes == len(lie)


def test_a_dictionary_above_the_limit_is_not_opened(monkeypatch):
    bomb = skippable(zstandard.compress(WORDS + bytes(1_000_000)))
    for limit, expected in ((len(WORDS) + 1_000_000, len(CRAWL)), (len(WORDS) + 999_999, 0)):
        monkeypatch.setattr(zstd_frames_, "MAX_DICTIONARY_BYTES", limit)
        packer = zstandard.ZstdCompressor(
            dict_data=zstandard.ZstdCompressionDict(WORDS + bytes(1_000_000))
        )
        data = bomb + b"".join(packer.compress(one) for one in CRAWL)
        records, reader = read(data)
        assert len(records) == expected
        assert reader.reading.losses.bytes == (0 if expected else len(data) - len(bomb))


@pytest.mark.parametrize("damage", [b"", b"\x28\xb5\x2f\xfd", b"\x37\xa4\x30\xec" + bytes(99)])
def test_a_damaged_dictionary_is_an_outcome(damage):
    records, reader = read(skippable(damage) + zstd_frames(CRAWL, WORDS))
    assert not [one for one in records if not one.damage]
    assert reader.reading.losses.bytes > 0


LARGE_WINDOW = b"\x28\xb5\x2f\xfd\x00" + bytes([18 << 3])  # a window of 2^28 bytes
FIRST_BLOCK = b"\x01\0\0"  # raw, empty, the last


def test_a_frame_that_asks_for_a_huge_window_is_refused_and_the_next_one_read():
    data = zstd_frames(CRAWL[:1]) + LARGE_WINDOW + FIRST_BLOCK + zstd_frames(CRAWL[1:])
    records, reader = read(data)
    assert len(records) == len(CRAWL)
    assert [one.reason for one in reader.reading.losses.largest()] == ["zstd_header"]


def test_a_frame_that_lies_about_its_content_is_refused_and_the_next_one_read():
    lie = b"\x28\xb5\x2f\xfd\xe0" + (1 << 62).to_bytes(8, "little") + FIRST_BLOCK
    records, reader = read(lie + zstd_frames(CRAWL))
    assert len(records) == len(CRAWL)
    assert reader.reading.losses.bytes == len(lie)


def test_a_wrong_checksum_marks_its_record_alone():
    data = bytearray(zstd_frames(CRAWL))
    data[len(zstd_frames(CRAWL[:3])) - 1] ^= 1
    records, _ = read(bytes(data))
    assert [one.damage for one in records] == [None, None, "checksum"] + [None] * (len(CRAWL) - 3)
    assert records[2].content == http(page(1))


def test_a_damaged_frame_of_many_records_gives_those_before_the_damaged_block():
    pages = [record(number, http(page(number, 3_000))) for number in range(1, 80)]
    data = bytearray(zstandard.compress(b"".join(pages)))
    cut = bytes(data[: len(data) * 3 // 4])
    records = list(Reader(io.BytesIO(cut), by_member=False))
    whole = [one for one in records if not one.damage]
    assert 30 < len(whole) < 75
    assert [one.headers["warc-record-id"] for one in whole] == [
        record_id(number) for number in range(1, len(whole) + 1)
    ]
