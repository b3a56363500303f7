"""spaCy without torch, for workers that only split words.

`import spacy` imports torch through thinc wherever torch is installed: 1.3 s and 230 MB a worker.
"""

from __future__ import annotations

import contextlib
import importlib
import sys


def import_spacy() -> None:
    """Import spaCy; torch stays out of the process unless it is in it already."""
    if "spacy" in sys.modules or "torch" in sys.modules:
        importlib.import_module("spacy")
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # an import of it fails from here on
    try:
        importlib.import_module("spacy")
    finally:
        with contextlib.suppress(KeyError):
            del sys.modules["torch"]
