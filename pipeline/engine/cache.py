"""The folder for things built once per machine: `$DECANT_CACHE`, else the user's cache folder."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from decant.filters.compile import cache_folder


def cache_dir() -> Path:
    """The folder, made if it is missing; OSError says what to set where it cannot be."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cache folder {folder} cannot be made ({error.strerror}); "
            f"set DECANT_CACHE to a folder that can be written"
        ) from error
    return folder


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears as `path` when the block ends well, and not at all otherwise."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(partial, 0o644)  # mkstemp's files are the owner's alone; a cache may be shared
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
