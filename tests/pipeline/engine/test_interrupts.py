"""A signal ends the process with one line, wherever it stands. Each case would run for ever."""

import signal
import subprocess
import sys

import pytest

from decant.pipeline.engine import interrupts

PATIENCE_S = 120  # for a loaded machine; nothing is timed

BEGIN = """
import os, sys, threading, time
from decant.pipeline.engine import interrupts
interrupts.GRACE_S = {grace}
interrupts.install()

def hit(times=1):
    for _ in range(times):
        time.sleep(0.3)
        os.kill(os.getpid(), {number})

def later(times=1):
    threading.Thread(target=hit, args=(times,), daemon=True).start()
"""

PYTHON_LOOP = """
try:
    later()
    while True:
        pass
except KeyboardInterrupt:
    interrupts.say()
    sys.exit(interrupts.EXIT_CODE)
"""

DESTRUCTOR = """
class Writer:
    def __del__(self):
        hit()

writer = Writer()
del writer
while True:
    try:
        interrupts.check()
    except KeyboardInterrupt:
        interrupts.say()
        sys.exit(interrupts.EXIT_CODE)
"""

DEAF = """
later()
try:
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(600)
"""

KERNEL = """
import numpy as np
import numba

@numba.njit(nogil=True)
def spin(numbers):
    while numbers[0] == 0:
        numbers[1] += 1

spin(np.ones(2, np.int64))
later()
spin(np.zeros(2, np.int64))
"""

SECOND = """
later(times=2)
try:
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(600)
"""


def run(body: str, number: int, grace: float) -> tuple[int, str]:
    script = BEGIN.format(number=number, grace=grace) + body
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=PATIENCE_S, text=True
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("body", "grace"),
    [(PYTHON_LOOP, 600), (DESTRUCTOR, 600), (DEAF, 0.1), (KERNEL, 0.1), (SECOND, 600)],
    ids=["loop", "destructor", "deaf", "kernel", "second signal"],
)
def test_a_signal_ends_the_process_with_one_line(body, grace, number):
    assert run(body, int(number), grace) == (interrupts.EXIT_CODE, interrupts.LINE + "\n")


def test_the_time_to_end_is_below_five_seconds():
    assert 0 < interrupts.GRACE_S < 5
