"""Main text extraction that no page can bring down: it runs in a child process that may die.

Pages are sent one at a time and answered before the next, so the page that killed the child is
known. It is tried once more in a fresh child, alone; a page that kills that one too is given up,
with how it died as the reason. Pages go through shared memory, 0.1 ms cheaper than through a pipe.
"""

import contextlib
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

# The protocol: one byte of what is asked or answered, eight of length. The bytes of a page lie in
# shared memory, those of an answer follow.
HEAD = struct.Struct("<cQ")
MAIN_TEXT = b"x"
TEXT, NOTHING, FAILED, NO_MEMORY = b"t", b"n", b"e", b"m"
READY = b"r"  # said once, before the first question

# At least 20 times the slowest page under the limits of pipeline/page_work.py.
CPU_S = 1_000
MEMORY_BYTES = 3 << 30
# A child that neither works nor answers (its CPU clock stands still) is given up after this.
SILENCE_S = 10 * CPU_S
SHARED_BYTES = 16 << 20  # for a page; a larger one starts a child with more
READ_BYTES = 1 << 16  # what a pipe holds


class Lost(Exception):
    """The child died over a page; the message says how."""


class NoChild(RuntimeError):
    """The child does not even start: no page's fault, and no page may be counted as lost."""


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
        self._shared: mmap.mmap | None = None
        self._replies = select.poll()

    def extract(self, page: bytes) -> Extraction:
        """The main text of a page of UTF-8 bytes, or what went wrong."""
        try:
            return self._ask(page)
        except Lost:
            self.close()
        try:
            return self._ask(page)
        except Lost as death:
            self.close()
            return Extraction(lost=str(death))

    def close(self) -> None:
        """End the child; the next page starts another."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(OSError):
            child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, self._shared):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "PageGuard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, page: bytes) -> Extraction:
        child, shared = self._ready(len(page))
        assert child.stdin is not None
        shared[: len(page)] = page
        try:
            os.write(child.stdin.fileno(), HEAD.pack(MAIN_TEXT, len(page)))
            status, body = self._answer(child)
        except OSError as error:
            raise Lost(self._death(child)) from error
        if status == NO_MEMORY:
            raise Lost("memory")
        return _EXTRACTIONS[status](body.decode("utf-8", "surrogatepass"))

    def _ready(self, size: int) -> tuple[subprocess.Popen, mmap.mmap]:
        """A running child with shared memory for a page of this size."""
        if self._child is not None and self._shared is not None and size <= len(self._shared):
            return self._child, self._shared
        self.close()
        capacity = max(SHARED_BYTES, size)
        with _memory_file() as file:
            os.ftruncate(file.fileno(), capacity)
            self._shared = mmap.mmap(file.fileno(), capacity)
            self._child = self._start(file.fileno(), capacity)
        return self._child, self._shared

    def _start(self, memory: int, capacity: int) -> subprocess.Popen:
        # A fresh interpreter, not a fork: the parent may be a Ray worker with threads and sockets.
        command = [sys.executable, "-P", "-m", "pipeline.page_worker", *self._arguments]
        command += [str(memory), str(capacity)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
            pass_fds=(memory,),
        )
        assert child.stdout is not None
        self._replies = select.poll()
        self._replies.register(child.stdout, select.POLLIN)
        try:
            said, _ = self._answer(child)
        except OSError as error:
            raise NoChild(f"the extraction process does not start: {self._death(child)}") from error
        assert said == READY
        return child

    def _answer(self, child: subprocess.Popen) -> tuple[bytes, bytes]:
        """The status of an answer and its bytes, most often one read."""
        data = self._read(child)
        while len(data) < HEAD.size:
            data += self._read(child)
        status, size = HEAD.unpack_from(data)
        if len(data) == HEAD.size + size:
            return status, data[HEAD.size :]
        parts, missing = [data[HEAD.size :]], HEAD.size + size - len(data)
        while missing > 0:
            parts.append(self._read(child))
            missing -= len(parts[-1])
        return status, b"".join(parts)

    def _read(self, child: subprocess.Popen) -> bytes:
        """What the child has written, once it has."""
        assert child.stdout is not None
        if not self._replies.poll(SILENCE_S * 1000):
            raise TimeoutError
        data = os.read(child.stdout.fileno(), READ_BYTES)
        if not data:
            raise BrokenPipeError
        return data

    def _death(self, child: subprocess.Popen) -> str:
        """Why a child that stopped answering did so, in words that are the same everywhere."""
        try:
            code = child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "silence"
        if code == -signal.SIGPROF:
            return "cpu_time"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


def _memory_file() -> IO[bytes]:
    """A file without a name: in memory on Linux, else on disk."""
    if sys.platform == "linux":
        return open(os.memfd_create("decant-page"), "r+b")
    return tempfile.TemporaryFile()


class Unguarded:
    """The same without a child process, for debugging and for tests of everything else."""

    def __init__(self, engine: str, options: Mapping[str, Any] | None = None):
        # 50 MB that a guarded worker leaves to its child
        from pipeline import main_text, page_worker

        self._answer = page_worker.answer
        self._engine = main_text.extractor(engine, options, lineage=True)

    def extract(self, page: bytes) -> Extraction:
        status, body = self._answer(page, self._engine)
        if status == NO_MEMORY:
            return Extraction(lost="memory")
        return _EXTRACTIONS[status](body.decode("utf-8", "surrogatepass"))


_EXTRACTIONS = {
    TEXT: lambda body: Extraction(text=body),
    NOTHING: lambda body: Extraction(),
    FAILED: lambda body: Extraction(error=body),
}
