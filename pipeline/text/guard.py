"""Main text extraction that no page can bring down: it runs in a child process that may die.

Pages are sent a batch at a time, and the child marks in shared memory which one it is at: so the
page that killed it is known. That page is tried once more in a fresh child, alone; if it kills that
one too it is given up, with how it died as the reason. The others of its batch are asked again, for
their answers died with the child.
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
from collections.abc import Mapping, Sequence
from typing import IO, Any

from decant.pipeline.text.protocol import (
    COUNT,
    HEAD,
    NO_MEMORY,
    PAGES_AT,
    READY,
    Extraction,
    extraction,
)

# At least 20 times the slowest page under the limits of pipeline/page/limits.py.
CPU_S = 1_000
MEMORY_BYTES = 3 << 30
# A child that neither works nor answers (its CPU clock stands still) is given up after this.
SILENCE_S = 10 * CPU_S
SHARED_BYTES = 16 << 20  # for pages; more of them start a child with more
READ_BYTES = 1 << 16  # what a pipe holds


class Lost(Exception):
    """The child died over a page of a batch; the message says how."""

    def __init__(self, how: str, page: int):
        super().__init__(how)
        self.page = page


class NoChild(RuntimeError):
    """The child does not even start: no page's fault, and no page may be counted as lost."""


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
        return self.extract_all([page])[0]

    def extract_all(self, pages: Sequence[bytes]) -> list[Extraction]:
        """The same for each of some pages: one by one they cost 0.06 ms of CPU a page more."""
        extractions: list[Extraction] = []
        while len(extractions) < len(pages):
            rest = pages[len(extractions) :]
            try:
                extractions += self._ask(rest)
            except Lost as death:
                self.close()
                extractions += self.extract_all(rest[: death.page])
                extractions.append(self._alone(rest[death.page]))
        return extractions

    def _alone(self, page: bytes) -> Extraction:
        """The second and last trial of a page."""
        self.close()
        try:
            return self._ask([page])[0]
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

    def _ask(self, pages: Sequence[bytes]) -> list[Extraction]:
        """The answers to a batch; Lost where its child dies or runs out of memory."""
        sizes = [len(page) for page in pages]
        child, shared = self._ready(PAGES_AT + sum(sizes))
        assert child.stdin is not None
        COUNT.pack_into(shared, 0, 0)
        place = PAGES_AT
        for page in pages:
            shared[place : place + len(page)] = page
            place += len(page)
        try:
            os.write(child.stdin.fileno(), struct.pack(f"<{len(sizes) + 1}Q", len(sizes), *sizes))
            answers = self._answers(child)
        except OSError as error:
            (at,) = COUNT.unpack_from(shared)
            raise Lost(self._death(child), min(at, len(pages) - 1)) from error
        if answers[-1][0] == NO_MEMORY:
            raise Lost("memory", len(answers) - 1)
        return [extraction(*answer) for answer in answers]

    def _ready(self, size: int) -> tuple[subprocess.Popen, mmap.mmap]:
        """A running child with this much shared memory, or more."""
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
        command = [sys.executable, "-P", "-m", "decant.pipeline.text.worker", *self._arguments]
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
            answers = self._answers(child)
        except OSError as error:
            raise NoChild(f"the extraction process does not start: {self._death(child)}") from error
        assert answers == [(READY, b"")]
        return child

    def _answers(self, child: subprocess.Popen) -> list[tuple[bytes, bytes]]:
        """The status of each answer and its text, most often one read."""
        data = self._read(child)
        while len(data) < COUNT.size:
            data += self._read(child)
        parts, missing = [data], COUNT.unpack_from(data)[0] + COUNT.size - len(data)
        while missing > 0:
            parts.append(self._read(child))
            missing -= len(parts[-1])
        data = b"".join(parts)
        answers, place = [], COUNT.size
        while place < len(data):
            status, size = HEAD.unpack_from(data, place)
            place += HEAD.size + size
            answers.append((status, data[place - size : place]))
        return answers

    def _read(self, child: subprocess.Popen) -> bytes:
        """What the child has written, once it has."""
        assert child.stdout is not None and self._shared is not None
        at = None
        while not self._replies.poll(SILENCE_S * 1000):
            before, at = at, self._shared[: COUNT.size]
            if at == before:
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
