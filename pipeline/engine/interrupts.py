"""SIGINT and SIGTERM end the program with one line, wherever it stands.

The first signal raises KeyboardInterrupt in the main thread. That alone is not enough: Python drops
an exception raised in a destructor (pyarrow's writers have one), a compiled kernel returns before
it looks, a library may take long to let go. So the signal is remembered, `check` raises it again
between batches and tasks, and a thread that only waits for signals ends the process when GRACE_S
have passed, or at once at a second one. Kernels run without the interpreter's lock, so that it can.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

LINE = "decant: interrupted; the same command continues"
EXIT_CODE = 1  # as for anything else that did not finish
GRACE_S = 4.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it

before_exit: list[Callable[[], None]] = []  # what must hear that this process ends on purpose


class _State:
    """What the process has been told so far."""

    installed = False
    interrupted = False
    said = False


def install() -> None:
    """From now on the two signals end this process so; again after a library took them over."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    if _State.installed:
        return
    _State.installed = True
    heard, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=(heard, wakeup), daemon=True).start()
    sys.unraisablehook = _without_interrupts(sys.unraisablehook)


def reinstall() -> None:
    """Take the signals back from a library that took them over, if they were ours."""
    if _State.installed:
        install()


def check() -> None:
    """Raise KeyboardInterrupt once more where the first one was dropped on its way."""
    if _State.interrupted:
        raise KeyboardInterrupt


def say() -> None:
    """The line for the person at the terminal, once."""
    if not _State.said:
        _State.said = True
        print(LINE, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _State.interrupted:
        _State.interrupted = True
        raise KeyboardInterrupt


def _end_in_time(heard: socket.socket, wakeup: socket.socket) -> None:
    """End the process at the second signal, or when GRACE_S have passed since the first.

    Bytes come from the C level, whatever the main thread does; `wakeup` is held open here.
    """
    if not _next_signal(heard):
        return
    heard.settimeout(GRACE_S)
    with contextlib.suppress(TimeoutError):
        _next_signal(heard)
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)
    say()
    for close in before_exit:
        with contextlib.suppress(Exception):
            close()
    os._exit(EXIT_CODE)


def _next_signal(heard: socket.socket) -> bool:
    """Wait for one of the two signals; False where the other end is closed."""
    while received := heard.recv(1):
        if received[0] in SIGNALS:
            return True
    return False


def _without_interrupts(report: Any) -> Any:
    """A hook that keeps quiet about our own exception where Python drops it."""

    def hook(unraisable: Any) -> None:
        if not (_State.interrupted and issubclass(unraisable.exc_type, KeyboardInterrupt)):
            report(unraisable)

    return hook
