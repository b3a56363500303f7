"""A page that hangs, crashes or eats memory costs itself and nothing else."""

import os
import signal
import time

import pytest

from pipeline.isolate import Extraction, NoChild, PageGuard, Unguarded
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


def test_a_child_killed_between_pages_is_replaced_without_loss(guard):
    guard.extract(GOOD)
    os.kill(guard._child.pid, signal.SIGKILL)
    time.sleep(0.05)
    assert "bridge" in text_of(guard.extract(GOOD))


def test_the_child_is_no_fork_of_this_process(guard):
    guard.extract(GOOD)
    with open(f"/proc/{guard._child.pid}/cmdline", "rb") as command:
        assert b"pipeline.page_worker" in command.read()


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
