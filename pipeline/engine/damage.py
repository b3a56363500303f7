"""What is wrong with a run's own files: an error that names the file and says what to do."""


class StorageError(Exception):
    """A run directory cannot be read or written; the message says which file and why."""


class DamagedFile(StorageError):
    """A file is not as it was written: `path` in the store at `url`, and `what` is wrong with it.

    `decant run` makes a file again that a task of the same run wrote; others are only named.
    """

    def __init__(self, url: str, path: str, what: str):
        super().__init__(url, path, what)  # all of them: it crosses processes by its arguments
        self.url, self.path, self.what = url, path, what

    def __str__(self) -> str:
        return (
            f"{self.url}/{self.path} is damaged: {self.what}; delete it and run its stage again "
            "(`decant run` does both by itself)"
        )


def damage_behind(error: BaseException) -> DamagedFile | None:
    """The damaged file that an error speaks of, itself or through what caused it; else None."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DamagedFile):
        cause = cause.__cause__
    return cause
