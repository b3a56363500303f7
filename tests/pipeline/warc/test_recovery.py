"""Finding the way after damage has a budget, however many bytes pass for a member."""

import gzip
import io

import pytest
import xxhash

from decant.pipeline.warc.gzip_members import GZIP, gzip_header_bytes
from decant.pipeline.warc.lz4_frames import LZ4
from decant.pipeline.warc.members import Window
from decant.pipeline.warc.reader import Reader
from decant.pipeline.warc.recovery import FREE_WORK, WORK_PER_BYTE, members
from tests.faults.warc_files import record

LZ4_FLAGS = b"\x40\x40"
LZ4_HEAD = b"\x04\x22\x4d\x18" + LZ4_FLAGS + bytes([xxhash.xxh32_intdigest(LZ4_FLAGS) >> 8 & 0xFF])
CUT = gzip.compress(record(1, b"x"), mtime=0)[:-12]
BOMB = gzip.compress(bytes(1_000_000), mtime=0)[:300]
STORMS = {
    "gzip magics": (b"\x1f\x8b\x08", GZIP),
    "gzip headers": (b"\x1f\x8b\x08" + bytes(7), GZIP),
    "gzip headers with names that do not end": (b"\x1f\x8b\x08\x08" + b"n" * 6, GZIP),
    "members cut short, each running through the next": (CUT + bytes(8), GZIP),
    "bombs cut short": (BOMB, GZIP),
    "lz4 headers before blocks": (LZ4_HEAD + b"\1\0\0\0a", LZ4),
}


@pytest.mark.parametrize(("storm", "form"), STORMS.values(), ids=STORMS)
def test_a_storm_of_candidates_costs_no_more_than_its_budget(storm, form):
    data = (storm * (100_000 // len(storm) + 1))[:100_000]
    window = Window(io.BytesIO(data))
    given = sum(len(piece.data) for piece in members(window, 0, form, inside=False))
    # One trial may pass the budget, by as much as a candidate can cost.
    assert given + window.work < FREE_WORK + WORK_PER_BYTE * len(data) + (80 << 20)


def test_a_record_behind_a_storm_of_magics_is_found():
    first, last = gzip.compress(record(1)), gzip.compress(record(2))
    reader = Reader(io.BytesIO(first + b"\x1f\x8b\x08" * 100_000 + last))
    assert len(list(reader)) == 2
    assert reader.reading.losses.bytes == 300_000


def test_the_name_in_a_gzip_header_has_an_end_within_its_limit():
    head = b"\x1f\x8b\x08\x08" + bytes(6)
    for size, expected in ((4_095, len(head) + 4_096), (4_096, None)):
        named = head + b"n" * size + b"\0"
        assert gzip_header_bytes(memoryview(named)) == expected
