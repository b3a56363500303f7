"""The folder for things built once per machine: `$DECANT_CACHE`, else the user's cache folder."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """The folder, made if it is missing."""
    chosen = os.environ.get("DECANT_CACHE")
    if chosen:
        folder = Path(chosen)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "decant"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
