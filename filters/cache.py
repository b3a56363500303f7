"""Where things built once per machine lie."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$DECANT_CACHE`, else `decant` in the user's cache folder; it may not exist yet."""
    folder = os.environ.get("DECANT_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "decant"
