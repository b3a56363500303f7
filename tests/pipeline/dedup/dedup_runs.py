"""Run directories with planted signatures, and a slow, obvious deduplication to compare with."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.deduplicate import run
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import EXTRACTED, signatures_schema

PRIME = (1 << 61) - 1


@dataclass(frozen=True)
class Planted:
    """One document: its record offset, its signature (None: too short), whether filters kept it."""

    signature: np.ndarray | None
    kept: bool = True
    chars: int = 1_000
    text_hash: bytes = b"\0" * 16
    payload: bytes = b"\0" * 16
    dump: str = "CC-MAIN-2024-10"
    name: str = ""  # the record id, else its row key
    text: str = ""


def random_signature(rng: np.random.Generator, permutations: int = 112) -> np.ndarray:
    return rng.integers(0, PRIME, permutations, dtype=np.uint64)


def near(signature: np.ndarray, jaccard: float, rng: np.random.Generator) -> np.ndarray:
    """A signature that agrees with the given one in each permutation with probability jaccard."""
    other = random_signature(rng, len(signature))
    return np.where(rng.random(len(signature)) < jaccard, signature, other)


def planted_clusters(
    rng: np.random.Generator, documents: int, duplicate_share: float = 0.5
) -> list[Planted]:
    """Documents of which a share are near copies of earlier ones, at Jaccard 0.5 to 1."""
    made: list[np.ndarray] = []
    for _ in range(documents):
        if made and rng.random() < duplicate_share:
            source = made[int(rng.integers(len(made)))]
            made.append(near(source, float(rng.uniform(0.5, 1.0)), rng))
        else:
            made.append(random_signature(rng))
    return [
        Planted(one, chars=int(rng.integers(200, 210)), text_hash=rng.bytes(16)) for one in made
    ]


def chain(rng: np.random.Generator, documents: int, changed: int = 4) -> list[Planted]:
    """Documents that each differ from the one before in `changed` of 112 permutations."""
    signature = random_signature(rng)
    made = []
    for _ in range(documents):
        made.append(Planted(signature.copy()))
        signature[rng.choice(len(signature), changed, replace=False)] = rng.integers(
            0, PRIME, changed, dtype=np.uint64
        )
    return made


def write_run_directory(
    folder: Path, documents: Sequence[Planted], bounds: Sequence[int] = (), permutations: int = 112
) -> Store:
    """A run directory after its filter stage; partition k ends before document bounds[k]."""
    store = Store(str(folder))
    edges = [0, *bounds, len(documents)]
    numbers = list(range(len(edges) - 1))
    store.write_bytes("inputs.parquet", b"")
    schema = pa.schema([("partition", pa.int32())])
    with store.table_writer("inputs.parquet", schema) as writer:
        writer.write(pa.table({"partition": pa.array(numbers, pa.int32())}))
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        rows = [(at, documents[at]) for at in range(low, high)]
        _write(store, f"1-extracted/{partition_name(number)}.parquet", EXTRACTED, [
            {
                "file": 0, "offset": 10 * at, "id": one.name or f"<doc:{at}>", "url": f"u{at}",
                "dump": one.dump, "payload_digest": one.payload, "text": one.text or f"text {at}",
            }
            for at, one in rows
        ])  # fmt: skip
        _write(
            store,
            f"2-filtered/signatures/{partition_name(number)}.parquet",
            signatures_schema(permutations),
            [
                {
                    "file": 0, "offset": 10 * at, "kept": one.kept, "chars": one.chars,
                    "signature": None if one.signature is None else one.signature.tobytes(),
                    "shingles": 0 if one.signature is None else 90, "text_hash": one.text_hash,
                }
                for at, one in rows
            ],
        )  # fmt: skip
    return store


def _write(store: Store, path: str, schema: pa.Schema, rows: list[dict]) -> None:
    with store.table_writer(path, schema) as writer:
        writer.write_rows(rows)


def deduplicated(store: Store, workers: int = 0, **dedup: Any) -> tuple[dict, dict[int, dict]]:
    """(ledger entry, dropped row by document) of a run with these `dedup` keys."""
    config = RunConfig.model_validate({"dedup": dedup})
    with Engine(store, config, workers=workers) as engine:
        entry = run(engine, store, config)
    return entry, dropped_rows(store)


def dropped_rows(store: Store) -> dict[int, dict]:
    tables = [store.read_table(path) for path in store.list("3-deduplicated/dropped")]
    return {row["offset"] // 10: row for table in tables for row in table.to_pylist()}


def cluster_sizes(store: Store) -> dict[int, int]:
    tables = [store.read_table(path) for path in store.list("3-deduplicated/clusters")]
    return {
        row["offset"] // 10: row["cluster_size"] for table in tables for row in table.to_pylist()
    }


def report(store: Store) -> dict:
    return json.loads(store.read_bytes("3-deduplicated/report.json"))


def decisions_bytes(store: Store) -> dict[str, bytes]:
    """Every lasting file of the stage with its content."""
    names = store.list("3-deduplicated/dropped") + store.list("3-deduplicated/clusters")
    return {name: store.read_bytes(name) for name in [*names, "3-deduplicated/report.json"]}


def meets(one: Planted, other: Planted, rows: int = 8) -> bool:
    """Whether two documents agree in a whole band."""
    if one.signature is None or other.signature is None or not (one.kept and other.kept):
        return False
    equal = (one.signature == other.signature).reshape(-1, rows)
    return bool(equal.all(axis=1).any())


def brute_clusters(documents: Sequence[Planted]) -> list[int]:
    """The smallest document of every document's component, by comparing all pairs."""
    root = list(range(len(documents)))

    def top(node: int) -> int:
        while root[node] != node:
            node = root[node]
        return node

    for one, other in itertools.combinations(range(len(documents)), 2):
        if meets(documents[one], documents[other]):
            low, high = sorted((top(one), top(other)))
            root[high] = low
    return [top(node) for node in range(len(documents))]


def layout_of(docs: int, width: int) -> Layout:
    """A layout of FineWeb's 14 bands of 8 rows, one bin per band."""
    return Layout(docs, 0, 14, 8, width, 0, 1 << 20)
