"""What becomes of a run when a process of its Ray dies: one line that says what to do.

The driver looks at the processes of a local Ray while it waits. Some deaths are quicker: when an
agent dies, the raylet follows, and Ray's library ends the driver from C++. For these a child waits
whose only work is to speak where the driver could not.
"""

import subprocess
import sys
from typing import Any

RAY_DIED = (
    "Ray's {} died, often for lack of memory; what is finished is kept, and the same command "
    "continues (fewer --workers need less; Ray's own account lies in /tmp/ray/session_latest/logs)"
)
ENDED = (
    "decant: this process was ended from outside or by Ray, when a process of Ray's had died; "
    "what is finished is kept, and the same command continues"
)
WAIT_AND_SPEAK = "import sys\nif not sys.stdin.read(1): print(sys.argv[1], file=sys.stderr)"


def dead_parts(ray: Any) -> list[str]:
    """The processes of the local Ray that have ended: `raylet`, `gcs_server`; none of a cluster."""
    node = getattr(ray._private.worker, "_global_node", None)
    processes: dict[str, list] = getattr(node, "all_processes", None) or {}
    return sorted(
        kind
        for kind, started in processes.items()
        if any(one.process.poll() is not None for one in started)
    )


class LastWords:
    """A child that prints ENDED where this process ends before `close`, however it ends."""

    def __init__(self) -> None:
        # A session of its own: a signal from the keyboard is not meant for it.
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WAIT_AND_SPEAK, ENDED],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Nothing is left to say; a second call changes nothing."""
        if self._child.poll() is None:
            self._child.communicate(b".")
