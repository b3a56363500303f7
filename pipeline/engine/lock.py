"""One owner per run directory: a lock that is taken over only once its holder is dead.

On a local file system the kernel holds the lock (flock on the run directory) and lets go of it
when the process dies, however it dies. Beside it lies a record for other hosts and for remote
storage: on the same host its holder is dead when the process is gone (its start time guards against
a reused process id), elsewhere when its lease has expired. The holder renews it from a thread.
"""

import contextlib
import errno
import fcntl
import json
import math
import os
import socket
import sys
import threading
import time
import uuid

from decant.pipeline.engine.storage import Store

LEASE_S = 60.0
RENEW_S = 15.0
# A lease that ends later than this from now was written by a clock in the future, or is damaged.
CLOCKS_APART_S = 60.0
WATCH_S = 2 * RENEW_S + 1  # a living holder writes its record anew in this time
LOCK = "owner.lock"


class LockError(Exception):
    """Another live process owns the run directory."""


class Lock:
    """Holds `RUN/owner.lock` from enter to exit."""

    def __init__(self, store: Store):
        self._store = store
        self._identity = {
            "owner": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process_started": process_started(os.getpid()),
        }
        self._directory: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Lock":
        try:
            return self._take()
        except BaseException:
            self._let_go()
            raise

    def _take(self) -> "Lock":
        self._hold_directory()
        holder = self._read()
        if holder is None and self._store.exists(LOCK):
            print(f"decant: {self._store.url}/{LOCK} is damaged and says no owner", file=sys.stderr)
            holder = {} if self._store.is_local else {"host": "?", "lease_until": math.inf}
        if holder is not None and self._is_held(holder):
            raise LockError(
                f"{self._store.url} is in use by process {holder.get('pid')} on "
                f"{holder.get('host')}; wait for it, or choose another --output"
            )
        self._renew()
        # Two that found the lock free at once: the later writer wins, the earlier one sees it here.
        if (self._read() or {}).get("owner") != self._identity["owner"]:
            raise LockError(f"{self._store.url} was taken by another process just now")
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if (self._read() or {}).get("owner") == self._identity["owner"]:
            self._store.remove(LOCK)
        self._let_go()

    def _is_held(self, holder: dict) -> bool:
        """Whether the holder lives; where its lease tells nothing, whether it is renewed."""
        if not is_alive(holder):
            return False
        if _is_local(holder) or lease_left_s(holder) <= LEASE_S + CLOCKS_APART_S:
            return True
        print(
            f"decant: the lease in {self._store.url}/{LOCK} cannot be believed; waiting "
            f"{WATCH_S:.0f} s to see whether anybody renews it",
            file=sys.stderr,
        )
        before = self._store.read_bytes(LOCK)
        time.sleep(WATCH_S)
        return self._store.exists(LOCK) and self._store.read_bytes(LOCK) != before

    def _hold_directory(self) -> None:
        if not self._store.is_local:
            return
        # Python's descriptors close on exec: Ray's processes do not inherit the lock.
        self._directory = os.open(self._store.path(""), os.O_RDONLY)
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = (self._read() or {}).get("pid", "?")
            raise LockError(
                f"{self._store.url} is in use by process {pid} on this host; wait for it, or "
                f"choose another --output"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.EINVAL):
                raise  # some network file systems have no flock: the record must do

    def _let_go(self) -> None:
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def _keep(self) -> None:
        while not self._stop.wait(RENEW_S):
            with contextlib.suppress(OSError):
                self._renew()

    def _renew(self) -> None:
        record = self._identity | {"lease_until": time.time() + LEASE_S}
        self._store.write_bytes(LOCK, json.dumps(record).encode())

    def _read(self) -> dict | None:
        try:
            record = json.loads(self._store.read_bytes(LOCK))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) else None


def is_alive(holder: dict) -> bool:
    """Whether the holder of a lock record still runs, as far as can be known from here."""
    if _is_local(holder):
        started = process_started(holder["pid"])
        return started is not None and started == holder.get("process_started")
    return lease_left_s(holder) > 0


def _is_local(holder: dict) -> bool:
    return holder.get("host") == socket.gethostname() and isinstance(holder.get("pid"), int)


def lease_left_s(holder: dict) -> float:
    """Seconds until a lease ends by this host's clock; of a lease that is no number, none."""
    until = holder.get("lease_until")
    return until - time.time() if isinstance(until, int | float) else 0.0


def process_started(pid: int) -> str | None:
    """An opaque mark of when a process started; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # Field 22, counted after the command's closing parenthesis, is the start in ticks.
            fields = stat.read().rpartition(b")")[2].split()
            return None if fields[0] == b"Z" else fields[19].decode()
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return None
    except (OSError, IndexError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "running"
    return "running"
