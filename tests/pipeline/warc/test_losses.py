"""Losses are counted in full, and the largest are named."""

import io
import random

from decant.pipeline.warc import losses as losses_
from decant.pipeline.warc.losses import Loss, Losses
from decant.pipeline.warc.reader import Reader
from tests.faults.warc_files import crawl, members, one_member, page, record


def test_the_largest_ranges_are_named_in_the_order_of_the_file(monkeypatch):
    monkeypatch.setattr(losses_, "LARGEST", 3)
    losses = Losses()
    sizes = [5, 9, 1, 9, 7]
    for place, size in enumerate(sizes):
        losses.add(100 * place, size, "deflate" if size == 9 else "no_header")
    losses.add(900, 0, "deflate")
    assert losses.largest() == [
        Loss(100, 9, "deflate"),
        Loss(300, 9, "deflate"),
        Loss(400, 7, "no_header"),
    ]
    assert (losses.bytes, losses.ranges) == (sum(sizes), 5)
    assert losses.bytes_by_reason == {"deflate": 9 + 9, "no_header": 5 + 1 + 7}


def read(data: bytes, start: int = 0, end: int | None = None, by_member: bool = True) -> Losses:
    reader = Reader(io.BytesIO(data), start, end, by_member)
    for _ in reader:
        pass
    return reader.reading.losses


def test_a_hole_is_one_range_from_its_first_member_to_the_next_whole_one():
    records = [members([one]) for one in crawl(20)]
    data = bytearray(b"".join(records))
    first, last = len(b"".join(records[:10])), len(b"".join(records[:30]))
    data[first:last] = bytes(last - first)
    assert read(bytes(data)).largest() == [Loss(first, last - first, "not_a_member")]


def test_a_hole_is_counted_by_one_of_the_ranges_a_file_is_read_in():
    records = [members([one]) for one in crawl(20)]
    data = bytearray(b"".join(records))
    chosen = random.Random(3)
    for first, last in ((10, 30), (30, len(records))):
        hole = bytearray(data)
        begin, end = len(b"".join(records[:first])), len(b"".join(records[:last]))
        hole[begin:end] = bytes(end - begin)
        for _ in range(5):
            cuts = sorted(chosen.sample(range(1, len(data)), 3))
            edges = [0, *cuts, None]
            parts = [read(bytes(hole), *edges[at : at + 2]) for at in range(len(edges) - 1)]
            assert sum(part.bytes for part in parts) == end - begin


def test_records_before_the_end_of_a_cut_single_member_are_no_loss():
    pages = [page(number, 2_000) for number in range(100)]
    data = one_member([record(number, one) for number, one in enumerate(pages)])
    cut = len(data) * 3 // 4
    (loss,) = read(data[:cut], by_member=False).largest()
    assert cut - (64 << 10) <= loss.offset < cut  # zlib's output is taken 64 kB at a time
    assert (loss.offset + loss.bytes, loss.reason) == (cut, "truncated")


def test_a_wrong_checksum_over_many_records_loses_its_own_eight_bytes():
    data = bytearray(one_member(crawl(9)))
    data[-6] ^= 1
    assert read(bytes(data), by_member=False).largest() == [Loss(len(data) - 8, 8, "checksum")]


def test_bytes_without_a_header_are_placed_as_row_keys_are():
    good, junk = record(1), b"no record at all\r\n" * 9
    (loss,) = read(good + junk + record(2), by_member=False).largest()
    assert (loss.offset, loss.reason) == (len(good), "no_header")
    data = members([good, record(2) + junk, record(3)])
    (loss,) = read(data).largest()
    assert (loss.offset, loss.bytes) == (len(members([good])), len(junk))
