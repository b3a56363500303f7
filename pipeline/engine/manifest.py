"""What is already done: one manifest per finished task, compacted per step, so that a run resumes.

A task's manifest is written after its data, and holds the digest of everything that decided it
(the configuration keys its stage reads, its arguments, its inputs and the code's version), what it
counted, and which files it left with which checksums. A task is done when a manifest with the same
digest exists and its files are there. Manifests hold no time, host or worker: they are part of
what must be identical between two runs.

Layout: `manifests/<step>/<key>.json` while a step runs, merged by the driver into
`manifests/<step>/_merged-NNNNN.json` every MERGE_EVERY tasks, and into one
`manifests/<step>.json` when the step is complete: 90,000 tasks cost 90 objects, then one.

Format 2: every line is one manifest as JSON with a checksum (checked_json.py). A line of format 1
has no checksum and calls its digest `asked`; it is read, and whatever it says is believed.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from decant.pipeline.engine import checked_json
from decant.pipeline.engine.damage import DamagedFile
from decant.pipeline.engine.storage import Store, Written

MERGE_EVERY = 1_000


@dataclass(frozen=True)
class Manifest:
    """What a finished task leaves on record."""

    key: str
    digest: str  # sha256, hex: of everything that decided what the task wrote
    counts: dict[str, Any]
    outputs: tuple[Written, ...]


def task_digest(stage_digest: str, version: int, args: dict, inputs: dict) -> str:
    """sha256 (hex) of everything that decides what a task writes."""
    causes = [stage_digest, version, args, inputs]
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()


def task_path(step: str, key: str) -> str:
    return f"manifests/{step}/{key}.json"


def write(store: Store, step: str, manifest: Manifest) -> None:
    store.write_bytes(task_path(step, manifest.key), _encode([manifest]))


def read(store: Store, step: str) -> tuple[dict[str, Manifest], list[DamagedFile]]:
    """(the manifests of a step by task key, merged or not; what is damaged among them).

    A damaged line counts as not there: its task is done again.
    """
    manifests: dict[str, Manifest] = {}
    damaged: list[DamagedFile] = []
    names = store.list(f"manifests/{step}")
    if store.exists(f"manifests/{step}.json"):
        names.insert(0, f"manifests/{step}.json")
    for name in names:
        for one in entries(store, name):
            if isinstance(one, DamagedFile):
                damaged.append(one)
            else:
                manifests[one.key] = one
    return manifests, damaged


def merge(store: Store, step: str, manifests: Iterable[Manifest], number: int) -> None:
    """Replace the single files of these manifests with one merged file."""
    batch = sorted(manifests, key=lambda manifest: manifest.key)
    store.write_bytes(f"manifests/{step}/_merged-{number:05d}.json", _encode(batch))
    for manifest in batch:
        store.remove(task_path(step, manifest.key))


def merged_count(store: Store, step: str) -> int:
    """How many merged files an interrupted run of the step has left."""
    return sum("/_merged-" in name for name in store.list(f"manifests/{step}"))


def finish(store: Store, step: str, manifests: Iterable[Manifest]) -> None:
    """Leave one file for the whole step, in key order."""
    batch = sorted(manifests, key=lambda manifest: manifest.key)
    data = _encode(batch)
    name = f"manifests/{step}.json"
    if not (store.exists(name) and store.read_bytes(name) == data):
        store.write_bytes(name, data)
    store.remove(f"manifests/{step}")


def missing_outputs(store: Store, manifests: Iterable[Manifest]) -> set[str]:
    """The keys of tasks whose files are gone or have another size."""
    expected = [(one.key, output) for one in manifests for output in one.outputs]
    folders = sorted({output.path.split("/", 1)[0] for _, output in expected})
    sizes = {path: size for folder in folders for path, size in store.sizes(folder).items()}
    return {key for key, output in expected if sizes.get(output.path) != output.bytes}


def entries(store: Store, name: str) -> Iterator[Manifest | DamagedFile]:
    """The manifests in one file, line by line; the error in the place of one that is damaged."""
    for line in store.read_bytes(name).split(b"\n"):
        if not line:
            continue
        try:
            yield _manifest(checked_json.decode(line, store.url, name))
        except DamagedFile as damage:
            yield damage
        except (TypeError, KeyError, AttributeError):
            yield DamagedFile(store.url, name, "a line of it is no manifest")


def _manifest(fields: dict[str, Any]) -> Manifest:
    outputs = tuple(Written(**output) for output in fields["outputs"])
    digest = fields["digest"] if "digest" in fields else fields["asked"]
    return Manifest(str(fields["key"]), str(digest), dict(fields["counts"]), outputs)


def _encode(manifests: list[Manifest]) -> bytes:
    return b"".join(checked_json.encode(dict(sorted(asdict(one).items()))) for one in manifests)
