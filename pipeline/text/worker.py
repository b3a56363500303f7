"""The child process that pages are extracted in: a page that kills its parser kills only this.

`decant.pipeline.text.guard` starts it as `python -m decant.pipeline.text.worker ENGINE OPTIONS
CPU_S MEMORY_BYTES FILE CAPACITY`. Reads questions about the pages in shared memory (FILE, a
descriptor) from standard input and answers on standard output, until its input ends.
"""

import contextlib
import gc
import json
import mmap
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from decant.pipeline.text.engines import Extractor, extractor
from decant.pipeline.text.protocol import (
    COUNT,
    FAILED,
    HEAD,
    NO_MEMORY,
    NOTHING,
    PAGES_AT,
    READY,
    TEXT,
    Extraction,
    extraction,
)


class Unguarded:
    """What `PageGuard` does, without a child process: for debugging, and for tests of the rest."""

    def __init__(self, engine: str, options: Mapping[str, Any] | None = None):
        self._engine = extractor(engine, options, lineage=True)

    def extract(self, page: bytes) -> Extraction:
        return extraction(*answer(page, self._engine))

    def extract_all(self, pages: Sequence[bytes]) -> list[Extraction]:
        return [self.extract(page) for page in pages]


def main(
    engine: str, options: str, cpu_s: str, memory_bytes: str, file: str, capacity: str
) -> None:
    extract = extractor(engine, json.loads(options), lineage=True)
    # Only the protocol may write to the pipe: whatever a library prints goes nowhere.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    guard(int(memory_bytes))
    gc.freeze()  # what is loaded by now stays: no collection need look at it
    with (
        mmap.mmap(int(file), PAGES_AT) as mark,
        mmap.mmap(int(file), int(capacity), access=mmap.ACCESS_READ) as pages,
    ):
        serve(sys.stdin.buffer, replies, mark, pages, extract, float(cpu_s))


def guard(memory_bytes: int) -> None:
    """Bound this process's memory, and offer it first where a machine runs out of its own."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as adjust:
        adjust.write("1000")
    # The default action ends the process even inside C code, where a Python handler never runs.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def serve(
    questions: BinaryIO,
    replies: BinaryIO,
    mark: mmap.mmap,
    pages: mmap.mmap,
    extract: Extractor,
    cpu_s: float,
) -> None:
    """Answer until the questions end."""
    _reply(replies, [HEAD.pack(READY, 0)])
    while len(head := questions.read(COUNT.size)) == COUNT.size:
        (count,) = COUNT.unpack(head)
        sizes = struct.unpack(f"<{count}Q", questions.read(count * COUNT.size))
        parts, place = [], PAGES_AT
        for number, size in enumerate(sizes):
            COUNT.pack_into(mark, 0, number)
            # of CPU time: a busy machine changes nothing, and while a page is awaited none passes
            signal.setitimer(signal.ITIMER_PROF, cpu_s)
            with memoryview(pages) as view, view[place : place + size] as page:
                status, text = answer(page, extract)
            parts += [HEAD.pack(status, len(text)), text]
            place += size
            if status == NO_MEMORY:
                break
        _reply(replies, parts)


def _reply(replies: BinaryIO, parts: Sequence[bytes]) -> None:
    view = memoryview(b"".join([COUNT.pack(sum(map(len, parts))), *parts]))
    while view:
        view = view[replies.write(view) :]


def answer(page: bytes | memoryview, extract: Extractor) -> tuple[bytes, bytes]:
    """A status and what goes with it: the text, nothing, or the error's name and message."""
    try:
        text = extract(str(page, "utf-8", "surrogatepass"))
        if not text:
            return NOTHING, b""
        return TEXT, text.encode("utf-8", "surrogatepass")
    except MemoryError:
        return NO_MEMORY, b""
    except Exception as error:
        return FAILED, f"{type(error).__name__}: {error}"[:200].encode("utf-8", "replace")


if __name__ == "__main__":
    main(*sys.argv[1:])
