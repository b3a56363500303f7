"""Which errors of a task are worth another attempt."""

import errno


def is_transient(error: BaseException) -> bool:
    """Whether trying again elsewhere or later may help: networks, dead workers and nodes."""
    name = type(error).__name__
    if name in {
        "WorkerCrashedError",
        "NodeDiedError",
        "OutOfMemoryError",
        "RaySystemError",
        "ObjectLostError",
        "OwnerDiedError",
        "LocalRayletDiedError",
        "RayletDiedError",
        "ClientError",
        "ServerDisconnectedError",
        "FSTimeoutError",
        "EndpointConnectionError",
    }:
        return True
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in {
        errno.EIO,
        errno.ESTALE,
        errno.EAGAIN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
    }


def task_error(error: Exception) -> Exception:
    """The exception that the task raised, out of Ray's wrapping of it."""
    inner = getattr(error, "cause", None)
    return inner if isinstance(inner, Exception) else error
