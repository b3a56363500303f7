"""Real pages to test on, where this machine has them; nothing of them is part of the project."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("DECANT_REAL_DATA", "../shared/data"))


def folder(*parts: str) -> Path:
    """A folder or file of the real data; skips the test, saying so, where it is missing."""
    path = FOLDER.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data at {path} (set DECANT_REAL_DATA)")
    return path


def rows(limit: int, *parts: str) -> Iterator[dict]:
    """The first `limit` rows of a gzipped JSON-lines file."""
    with gzip.open(folder(*parts), "rt", encoding="utf-8") as lines:
        for line, _ in zip(lines, range(limit), strict=False):
            yield json.loads(line)


def texts(limit: int = 500) -> list[str]:
    """Main texts of real pages in many languages."""
    return [row["text"] for row in rows(limit, "web", "gold.jsonl.gz")]


def urls(limit: int = 2_600) -> list[str]:
    """Addresses of real pages."""
    return [row["url"] for row in rows(limit, "web", "gold.jsonl.gz")]
