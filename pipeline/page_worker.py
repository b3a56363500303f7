"""The child process that pages are extracted in: a page that kills its parser kills only this.

Started by `pipeline.isolate` as `python -m pipeline.page_worker ENGINE OPTIONS CPU_S MEMORY_BYTES`.
Reads pages from standard input, answers on standard output, each as a status byte or none, eight
bytes of length and that many bytes. It ends when its input ends.
"""

import contextlib
import json
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

from pipeline.main_text import Extractor, extractor

LENGTH = struct.Struct("<Q")
REPLY = struct.Struct("<cQ")
TEXT, NOTHING, FAILED, NO_MEMORY = b"t", b"n", b"e", b"m"


def main(engine: str, options: str, cpu_s: str, memory_bytes: str) -> None:
    extract = extractor(engine, json.loads(options))
    # Only the protocol may write to the pipe: whatever a library prints goes nowhere.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    guard(int(memory_bytes))
    serve(sys.stdin.buffer, replies, extract, float(cpu_s))


def guard(memory_bytes: int) -> None:
    """Bound this process's memory, and offer it first where a machine runs out of its own."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as adjust:
        adjust.write("1000")
    # The default action ends the process even inside C code, where a Python handler never runs.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def serve(pages: BinaryIO, replies: BinaryIO, extract: Extractor, cpu_s: float) -> None:
    while len(head := pages.read(LENGTH.size)) == LENGTH.size:
        page = pages.read(LENGTH.unpack(head)[0])
        signal.setitimer(signal.ITIMER_PROF, cpu_s)  # of CPU time: a busy machine changes nothing
        status, text = answer(page, extract)
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(REPLY.pack(status, len(text)))
        view = memoryview(text)
        while view:
            view = view[replies.write(view) :]


def answer(page: bytes, extract: Extractor) -> tuple[bytes, bytes]:
    """A status and what goes with it: the text, nothing, or the error's name and message."""
    try:
        text = extract(page.decode("utf-8", "surrogatepass"))
        if not text:
            return NOTHING, b""
        return TEXT, text.encode("utf-8", "surrogatepass")
    except MemoryError:
        return NO_MEMORY, b""
    except Exception as error:
        return FAILED, f"{type(error).__name__}: {error}"[:200].encode("utf-8", "replace")


if __name__ == "__main__":
    main(*sys.argv[1:])
