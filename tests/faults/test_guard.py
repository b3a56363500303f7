"""A page that hangs, crashes or eats memory costs itself and nothing else."""

import os
import signal
import time

import pytest

from decant.pipeline.text.guard import Lost, NoChild, PageGuard
from decant.pipeline.text.protocol import COUNT, Extraction
from decant.pipeline.text.worker import Unguarded
from tests.faults.warc_files import page

GOOD = page(1, words=200)
SLOW = b"<body>" + b"<div>some words here</div>" * 40_000
HUGE = b"<p>" + b"word " * 4_000_000


@pytest.fixture(scope="module")
def guard():
    with PageGuard("resiliparse") as one:
        yield one


def text_of(extraction: Extraction) -> str:
    assert extraction.text is not None, extraction
    return extraction.text


def test_text_is_that_of_the_unguarded_engine(guard):
    unguarded = Unguarded("resiliparse")
    for html in (GOOD, page(2), b"", b"\0" * 50, b"<p>\xed\xa0\x80 lone surrogate", HUGE):
        assert guard.extract(html) == unguarded.extract(html)


def test_a_page_over_its_cpu_time_is_lost_and_the_next_one_is_not():
    with PageGuard("trafilatura", cpu_s=0.05) as guard:
        assert guard.extract(SLOW) == Extraction(lost="cpu_time")
        assert "bridge" in text_of(guard.extract(GOOD))


def test_a_page_over_its_memory_is_lost_and_the_next_one_is_not():
    with PageGuard("resiliparse", memory_bytes=60_000_000) as guard:
        lost = guard.extract(HUGE).lost
        assert lost is not None
        assert "bridge" in text_of(guard.extract(GOOD))


def test_every_page_of_a_batch_has_the_answer_it_has_alone(guard):
    batch = [
        GOOD,
        b"",
        page(2),
        b"<p>\xed\xa0\x80 lone surrogate",
        HUGE,
        page(3, words=9_000),
        GOOD,
    ]
    assert guard.extract_all(batch) == [guard.extract(html) for html in batch]
    assert guard.extract_all([]) == []


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_page_over_its_cpu_time_costs_no_other_page_of_its_batch(place):
    batch = [page(number) for number in range(4)]
    expected = Unguarded("trafilatura").extract_all(batch)
    batch.insert(place, SLOW)
    expected.insert(place, Extraction(lost="cpu_time"))
    with PageGuard("trafilatura", cpu_s=0.1) as guard:
        assert guard.extract_all(batch) == expected


def test_pages_over_their_memory_cost_no_other_page_of_their_batch():
    with PageGuard("resiliparse", memory_bytes=60_000_000) as guard:
        found = guard.extract_all([GOOD, HUGE, page(2), HUGE, GOOD])
        assert [one.lost is not None for one in found] == [False, True, False, True, False]
        assert found[0] == found[4] == Unguarded("resiliparse").extract(GOOD)


class Mortal(PageGuard):
    """A guard whose children die over given pages so many times, and which counts what it asks."""

    def __init__(self, **deaths: int):
        super().__init__("resiliparse")
        self.deaths = deaths
        self.asked: list[str] = []

    def _ask(self, pages):
        self.asked.append("".join(one.decode() for one in pages))
        for number, one in enumerate(pages):
            if self.deaths.get(one.decode(), 0) > 0:
                self.deaths[one.decode()] -= 1
                raise Lost("signal SIGSEGV", number)
        return [Extraction(text=one.decode().upper()) for one in pages]


def test_the_page_that_killed_its_child_is_tried_once_more_alone():
    guard = Mortal(c=1)
    found = guard.extract_all([b"a", b"b", b"c", b"d", b"e"])
    assert [one.text for one in found] == ["A", "B", "C", "D", "E"]
    assert guard.asked == ["abcde", "ab", "c", "de"]


def test_only_the_page_that_kills_a_second_child_is_lost():
    guard = Mortal(a=2, c=2)
    found = guard.extract_all([b"a", b"b", b"c", b"d"])
    assert [one.text for one in found] == [None, "B", None, "D"]
    assert found[0].lost == found[2].lost == "signal SIGSEGV"
    assert guard.asked == ["abcd", "a", "bcd", "b", "c", "d"]


def test_a_child_that_dies_before_a_batch_is_blamed_on_no_page_of_the_last_one(guard):
    guard.extract_all([GOOD, GOOD, GOOD])
    assert COUNT.unpack_from(guard._shared) == (2,)
    os.kill(guard._child.pid, signal.SIGKILL)
    guard._child.wait()
    with pytest.raises(Lost) as death:
        guard._ask([GOOD, GOOD, GOOD])
    assert death.value.page == 0
    guard.close()


def test_a_batch_may_take_its_time_as_long_as_its_pages_go_on(guard):
    guard.extract(GOOD)
    marks = [0, 1, 2, 2]  # the page that the child is at, at each look

    class Replies:
        def poll(self, _: int) -> list:
            COUNT.pack_into(guard._shared, 0, marks.pop(0))
            return []

    replies, guard._replies = guard._replies, Replies()
    with pytest.raises(TimeoutError):
        guard._read(guard._child)
    assert marks == []
    guard._replies = replies


def test_a_child_killed_between_pages_is_replaced_without_loss(guard):
    guard.extract(GOOD)
    os.kill(guard._child.pid, signal.SIGKILL)
    time.sleep(0.05)
    assert "bridge" in text_of(guard.extract(GOOD))


def test_the_child_is_no_fork_of_this_process(guard):
    guard.extract(GOOD)
    with open(f"/proc/{guard._child.pid}/cmdline", "rb") as command:
        assert b"decant.pipeline.text.worker" in command.read()


def test_the_child_ends_with_its_parent(guard):
    other = PageGuard("resiliparse")
    other.extract(GOOD)
    child = other._child
    child.stdin.close()  # as the kernel does when the parent dies
    assert child.wait(timeout=20) == 0
    child.stdout.close()


def test_a_child_that_cannot_start_is_no_pages_fault():
    with PageGuard("no such engine") as guard, pytest.raises(NoChild, match="does not start"):
        guard.extract(b"<p>A page that is not to blame.</p>")
