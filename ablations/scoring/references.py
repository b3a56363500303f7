"""Held-out texts of several genres, in no arm: what a model's bits per byte are measured on.

A folder of reference sets: `NAME.txt` holds documents parted by lines of three dashes,
`NAME.jsonl[.gz]` one object with a `text` per line, `NAME/` a document per `.txt[.gz]` file. In
place of a folder, `generated` is fresh prose of the sample crawl's own grammar, one set per topic:
what a study of such a crawl can be measured on, since no real text resembles it.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from decant.ablations import hashing
from decant.pipeline.sample.english import TOPICS, Writer

BUNDLED = Path(__file__).parent / "data" / "heldout"
GENERATED = "generated"


class HeldoutError(Exception):
    """A reference set is missing or empty; says which."""


@dataclass(frozen=True)
class ReferenceSet:
    """One genre's documents."""

    name: str
    texts: tuple[str, ...]


def load_references(
    root: str | Path | None, names: list[str] | None, max_chars: int, seed: int
) -> list[ReferenceSet]:
    """The reference sets under `root` (the bundled ones for None), sorted by name.

    Each is cut to `max_chars`: documents in hash order, long ones to a tenth of the whole, so that
    one book does not stand for a genre.
    """
    if root == GENERATED:
        return _generated(names, max_chars, seed)
    folder = Path(root) if root is not None else BUNDLED
    by_name = {_name(path): path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
    chosen = names if names is not None else sorted(by_name)
    missing = [name for name in chosen if name not in by_name]
    if missing or not chosen:
        raise HeldoutError(
            f"no reference set {', '.join(missing) or 'at all'} under {folder}; "
            f"found: {', '.join(sorted(by_name)) or 'nothing'}"
        )
    sets = [ReferenceSet(name, _sample(_texts(by_name[name]), max_chars, seed)) for name in chosen]
    for one in sets:
        if not one.texts:
            raise HeldoutError(f"reference set {one.name} ({by_name[one.name]}) has no text")
    return sets


def _generated(names: list[str] | None, max_chars: int, seed: int) -> list[ReferenceSet]:
    """A reference set per topic of the sample crawl, from seeds that no crawl uses."""
    sets = []
    for topic in names if names is not None else sorted(TOPICS):
        if topic not in TOPICS:
            raise HeldoutError(f"no topic {topic!r} in the sample crawl; it has: {sorted(TOPICS)}")
        texts: list[str] = []
        while sum(map(len, texts)) < max_chars:
            writer = Writer(Random(f"held out {seed} {topic} {len(texts)}"), topic)
            texts.append("\n".join(writer.article(6)))
        sets.append(ReferenceSet(topic, tuple(texts)))
    return sets


def _name(path: Path) -> str:
    return path.name.split(".")[0]


def _sample(texts: list[str], max_chars: int, seed: int) -> tuple[str, ...]:
    longest = max(max_chars // 10, 1)
    left, chosen = max_chars, []
    for i in hashing.mix(hashing.hash_strings(texts), seed).argsort(kind="stable").tolist():
        # From the middle of a long document: title pages and licences stand at the ends.
        start = max((len(texts[i]) - longest) // 2, 0)
        part = texts[i][start : start + min(longest, left)]
        left -= len(part)
        chosen.append(part)
        if left <= 0:
            break
    return tuple(chosen)


def _texts(path: Path) -> list[str]:
    if path.is_dir():
        return [_read(one) for one in sorted(path.iterdir()) if ".txt" in one.name]
    if ".jsonl" in path.name:
        rows = [json.loads(line) for line in _read(path).splitlines() if line.strip()]
        return [row["text"] for row in rows if row.get("text")]
    parts = _read(path).split("\n---\n")
    return [part.strip() for part in parts if part.strip()]


def _read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
