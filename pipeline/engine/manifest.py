"""What is already done: one manifest per finished task, compacted per step, so that a run resumes.

A task's manifest is written after its data, and says what it was asked (`asked`: a digest of the
configuration keys its stage reads, its arguments, its inputs and the code's version), what it
counted, and which files it left with which checksums. A task is done when a manifest with the same
`asked` exists and its files are there. Manifests hold no time, host or worker: they are part of
what must be identical between two runs.

Layout: `manifests/<step>/<key>.json` while a step runs, merged by the driver into
`manifests/<step>/_merged-NNNNN.json` every MERGE_EVERY tasks, and into one
`manifests/<step>.json` when the step is complete: 90,000 tasks cost 90 objects, then one.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from decant.pipeline.engine.storage import Store, Written

MERGE_EVERY = 1_000


@dataclass(frozen=True)
class Manifest:
    key: str
    asked: str  # sha256, hex
    counts: dict[str, Any]
    outputs: tuple[Written, ...]


def asked_digest(stage_digest: str, version: int, args: dict, inputs: dict) -> str:
    """sha256 (hex) of everything that decides what a task writes."""
    question = [stage_digest, version, args, inputs]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def task_path(step: str, key: str) -> str:
    return f"manifests/{step}/{key}.json"


def write(store: Store, step: str, manifest: Manifest) -> None:
    store.write_bytes(task_path(step, manifest.key), _encode([manifest]))


def read(store: Store, step: str) -> dict[str, Manifest]:
    """The manifests of a step by task key, merged or not; damaged ones count as not there."""
    found: dict[str, Manifest] = {}
    names = store.list(f"manifests/{step}")
    if store.exists(f"manifests/{step}.json"):
        names.insert(0, f"manifests/{step}.json")
    for name in names:
        found.update({manifest.key: manifest for manifest in decode(store.read_bytes(name))})
    return found


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


def _encode(manifests: list[Manifest]) -> bytes:
    lines = [json.dumps(asdict(one), sort_keys=True, ensure_ascii=False) for one in manifests]
    return ("\n".join(lines) + "\n").encode()


def decode(data: bytes) -> list[Manifest]:
    """The manifests in a file's bytes; lines torn by a crash are left out."""
    manifests = []
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            fields = json.loads(line)
            outputs = tuple(Written(**output) for output in fields.pop("outputs"))
            manifests.append(Manifest(outputs=outputs, **fields))
        except (ValueError, TypeError, KeyError):
            continue  # torn by a crash: the task is simply done again
    return manifests
