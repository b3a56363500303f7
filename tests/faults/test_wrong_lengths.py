"""No declared length costs a neighbour, wherever it ends; and finding the way takes linear time."""

import io

import pytest

from decant.pipeline.warc import stream
from decant.pipeline.warc.reader import Reader
from tests.faults.warc_files import arc_document, crawl, http, one_member, page, record, record_id

NEIGHBOURS = (1, 2, 3, 4)


def ids(data: bytes) -> list[str]:
    return [one.headers["warc-record-id"] for one in Reader(io.BytesIO(data), by_member=False)]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_a_length_that_ends_inside_the_next_header_costs_no_record(newline):
    size = len(http(page(2)))
    header = len(record(3, newline=newline)) - size
    expected = [record_id(number) for number in NEIGHBOURS]
    for excess in range(-20, header + 20):
        records = [record(number, newline=newline) for number in NEIGHBOURS]
        records[1] = record(2, length=size + excess, newline=newline)
        assert ids(b"".join(records)) == expected, excess


@pytest.mark.parametrize("excess", [5, 7, 12, 23])
def test_the_same_in_a_file_of_one_gzip_member(excess):
    records = [record(number) for number in NEIGHBOURS]
    records[1] = record(2, length=len(http(page(2))) + excess)
    assert ids(one_member(records)) == [record_id(number) for number in NEIGHBOURS]


def test_a_record_is_cut_where_the_header_begins_that_its_length_ends_in():
    data = record(1, length=len(http(page(1))) + 9) + record(2)
    first, _ = Reader(io.BytesIO(data), by_member=False)
    assert first.content == http(page(1))


def test_a_page_of_records_is_not_cut_in_them_while_its_length_is_right():
    inner = http(b"".join(crawl(4)))
    data = record(1) + record(2, inner) + record(3)
    _, second, _ = Reader(io.BytesIO(data), by_member=False)
    assert second.content == inner


def test_no_length_of_an_arc_document_costs_the_next():
    content = http(page(2))
    heads = [f"http://site{number}.example/".encode() for number in (1, 2, 3)]
    good = [arc_document(head, b"text/html", content) for head in heads]
    for excess in range(-5, len(good[2]) - len(content) + 5):
        line = heads[1] + b" 192.0.2.1 20080430204825 text/html %d\n" % (len(content) + excess)
        data = good[0] + line + content + b"\n" + good[2]
        found = [one.headers["warc-target-uri"] for one in Reader(io.BytesIO(data))]
        assert found == [head.decode() for head in heads], excess


BROKEN = {
    "arc lines of absurd lengths": b"http://a/ 1.2.3.4 20200101000000 text/html 999999999\n",
    "records of absurd lengths": b"WARC/1.0\nContent-Length: 999999999\n\n",
    "headers without an end": b"WARC/1.0\nContent-Length: 3\n",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_every_record_is_read_and_no_byte_looked_at_for_each_of_them(line, monkeypatch):
    looked = 0

    class Counting(stream.HeaderSearch):
        def _search(self, data, start, stop):
            nonlocal looked
            found = super()._search(data, start, stop)
            looked += (found.end() if found else stop) - start
            return found

    monkeypatch.setattr(stream, "HeaderSearch", Counting)
    data = line * 20_000
    assert sum(1 for _ in Reader(io.BytesIO(data), by_member=False)) == 20_000
    assert looked < 4 * len(data)
