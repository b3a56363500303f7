"""Main text extraction that no page can bring down: it runs in a child process that may die.

Pages are sent one at a time and answered before the next, so the page that killed the child is
known. It is tried once more in a fresh child, alone; a page that kills that one too is given up,
with how it died as the reason. The cost is two copies of the page through a pipe.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The protocol: one byte of what is asked or answered, eight of length, the bytes.
HEAD = struct.Struct("<cQ")
MAIN_TEXT, PLAIN_TEXT, MAIN_TEXT_OF_LAST = b"x", b"p", b"l"
TEXT, NOTHING, FAILED, NO_MEMORY = b"t", b"n", b"e", b"m"

# At least 20 times the slowest page under the limits of pipeline/page_work.py.
CPU_S = 300
MEMORY_BYTES = 3 << 30
# A child that neither works nor answers (its CPU clock stands still) is given up after this.
SILENCE_S = 10 * CPU_S
PIPE_BYTES = 1 << 20  # a page passes without a switch between the processes for every 64 KB


class Lost(Exception):
    """The child died over a page; the message says how."""


@dataclass(frozen=True)
class Extraction:
    """What became of a page: its text, or an error of the extractor, or a death of the child."""

    text: str | None = None
    error: str | None = None
    lost: str | None = None


class PageGuard:
    """Extracts main text in a child process, started when first needed and after every death."""

    def __init__(
        self,
        engine: str,
        options: Mapping[str, Any] | None = None,
        cpu_s: float = CPU_S,
        memory_bytes: int = MEMORY_BYTES,
    ):
        self._arguments = [engine, json.dumps(dict(options or {})), str(cpu_s), str(memory_bytes)]
        self._child: subprocess.Popen | None = None
        self._last: bytes | None = None  # the page that the child has in memory

    def extract(self, page: bytes) -> Extraction:
        """The main text of a page of UTF-8 bytes, or what went wrong."""
        return self._twice(MAIN_TEXT, page)

    def plain(self, page: bytes) -> Extraction:
        """All text of the page, from a parser many times faster than main text."""
        return self._twice(PLAIN_TEXT, page)

    def _twice(self, question: bytes, page: bytes) -> Extraction:
        try:
            return self._ask(question, page)
        except Lost:
            self.close()
        try:
            return self._ask(question, page)
        except Lost as death:
            self.close()
            return Extraction(lost=str(death))

    def close(self) -> None:
        """End the child; the next page starts another."""
        child, self._child, self._last = self._child, None, None
        if child is None:
            return
        with contextlib.suppress(OSError):
            child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "PageGuard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: bytes, page: bytes) -> Extraction:
        child = self._child = self._child or self._start()
        assert child.stdin is not None and child.stdout is not None
        try:
            if question == MAIN_TEXT and page is self._last:
                _write(child.stdin.fileno(), HEAD.pack(MAIN_TEXT_OF_LAST, 0))
            else:
                _write(child.stdin.fileno(), HEAD.pack(question, len(page)) + page)
                self._last = page
            status, size = HEAD.unpack(self._read(child, HEAD.size))
            body = self._read(child, size).decode("utf-8", "surrogatepass")
        except OSError as error:
            raise Lost(self._death(child)) from error
        if status == NO_MEMORY:
            raise Lost("memory")
        return _EXTRACTIONS[status](body)

    def _start(self) -> subprocess.Popen:
        # A fresh interpreter, not a fork: the parent may be a Ray worker with threads and sockets.
        command = [sys.executable, "-P", "-m", "pipeline.page_worker", *self._arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        assert child.stdin is not None and child.stdout is not None
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on Linux
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return child

    def _read(self, child: subprocess.Popen, size: int) -> bytes:
        assert child.stdout is not None
        descriptor, parts = child.stdout.fileno(), []
        while size:
            if not select.select([descriptor], [], [], SILENCE_S)[0]:
                raise TimeoutError
            data = os.read(descriptor, min(size, PIPE_BYTES))
            if not data:
                raise BrokenPipeError
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def _death(self, child: subprocess.Popen) -> str:
        """Why a child that stopped answering did so, in words that are the same everywhere."""
        try:
            code = child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "silence"
        if code == -signal.SIGPROF:
            return "cpu_time"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


class Unguarded:
    """The same without a child process, for debugging and for tests of everything else."""

    def __init__(self, engine: str, options: Mapping[str, Any] | None = None):
        from pipeline import page_worker  # 50 MB that a guarded worker leaves to its child

        self._answer = page_worker.answer
        self._main, self._plain = page_worker.engines(engine, options or {})

    def extract(self, page: bytes) -> Extraction:
        return self._extraction(*self._answer(page, self._main))

    def plain(self, page: bytes) -> Extraction:
        return self._extraction(*self._answer(page, self._plain))

    def _extraction(self, status: bytes, body: bytes) -> Extraction:
        if status == NO_MEMORY:
            return Extraction(lost="memory")
        return _EXTRACTIONS[status](body.decode("utf-8", "surrogatepass"))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:PIPE_BYTES]) :]


_EXTRACTIONS = {
    TEXT: lambda body: Extraction(text=body),
    NOTHING: lambda body: Extraction(),
    FAILED: lambda body: Extraction(error=body),
}
