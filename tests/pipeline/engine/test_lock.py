import json
import os
import socket
import subprocess
import sys
import time

import pytest

from decant.pipeline.engine import lock
from decant.pipeline.engine.lock import LOCK, Lock, LockError, process_started
from decant.pipeline.engine.storage import Store


def write_lock(store: Store, **fields) -> None:
    record = {"owner": "someone", "host": socket.gethostname(), "lease_until": 0.0, **fields}
    store.write_bytes(LOCK, json.dumps(record).encode())


def test_a_run_directory_has_one_owner(tmp_path):
    store = Store(str(tmp_path))
    with Lock(store):
        with pytest.raises(LockError, match="in use by process"), Lock(store):
            pass
        assert store.exists(LOCK)
    assert not store.exists(LOCK)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_started(child.pid)
    store = Store(str(tmp_path))
    write_lock(store, pid=child.pid, process_started=started)
    with pytest.raises(LockError), Lock(store):
        pass
    child.communicate(b"\n")
    with Lock(store):
        assert json.loads(store.read_bytes(LOCK))["pid"] == os.getpid()


def test_the_kernel_keeps_a_second_process_out_even_without_a_record(tmp_path):
    store = Store(str(tmp_path))
    script = "import sys; from decant.pipeline.engine.lock import Lock\n"
    script += "from decant.pipeline.engine.storage import Store\n"
    script += "with Lock(Store(sys.argv[1])): print('held', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    store.remove(LOCK)
    with pytest.raises(LockError, match="in use by process"), Lock(store):
        pass
    child.kill()
    child.communicate()
    with Lock(store):
        assert store.exists(LOCK)


def test_a_reused_process_id_is_not_the_owner(tmp_path):
    store = Store(str(tmp_path))
    write_lock(store, pid=os.getpid(), process_started="another time")
    with Lock(store):
        assert store.exists(LOCK)


@pytest.mark.parametrize(("lease", "held"), [(60.0, True), (-1.0, False)])
def test_the_lock_of_another_host_holds_until_its_lease_ends(tmp_path, lease, held):
    store = Store(str(tmp_path))
    write_lock(store, host="elsewhere", pid=1, lease_until=time.time() + lease)
    if held:
        with pytest.raises(LockError, match="elsewhere"), Lock(store):
            pass
    else:
        with Lock(store):
            assert store.exists(LOCK)


@pytest.mark.parametrize("data", [b"{torn", b"[]", b"\xff", b'{"lease_until": "soon"}'])
def test_a_damaged_lock_is_nobodys(tmp_path, data, capsys):
    store = Store(str(tmp_path))
    store.write_bytes(LOCK, data)
    with Lock(store):
        assert json.loads(store.read_bytes(LOCK))["pid"] == os.getpid()
    said = "owner.lock is damaged and says no owner" in capsys.readouterr().err
    assert said is (b"lease" not in data)


YEAR_S = 365 * 86_400.0


@pytest.mark.parametrize("renewed", [True, False])
def test_a_lease_from_a_clock_in_the_future_holds_only_while_it_is_renewed(
    tmp_path, monkeypatch, renewed
):
    store = Store(str(tmp_path))
    write_lock(store, host="elsewhere", pid=1, lease_until=time.time() + YEAR_S)

    def watch(seconds: float) -> None:
        assert lock.RENEW_S < seconds < lock.LEASE_S
        if renewed:
            write_lock(store, host="elsewhere", pid=1, lease_until=time.time() + YEAR_S + 15)

    monkeypatch.setattr(lock.time, "sleep", watch)
    if renewed:
        with pytest.raises(LockError, match="elsewhere"), Lock(store):
            pass
    else:
        with Lock(store):
            assert json.loads(store.read_bytes(LOCK))["pid"] == os.getpid()
