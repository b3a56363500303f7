"""Deduplication beside datatrove's stages 2-3 and datasketch's MinHashLSH, and planted recall.

    python -m tests.bench.dedup --documents 200000

datatrove starts from its own files of sorted bands, datasketch from MinHash objects in memory; like
for like, ours starts from the files of band keys, and from an array of signatures in memory. Beyond
that, ours is timed from the parquet signatures of the filter stage, reading included, with and
without verification of every pair. What each starts from is made before its clock runs. All run in
one process, on the same documents, and must find the same clusters, else the bench fails. Ratios
are given of wall-clock and of processor seconds: on a machine that others use, too, only the second
says something about the programs. Ours is short, hence the median of several runs.
"""

import argparse
import json
import shutil
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from decant.filters.minhash import meeting_probability
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.bands import band_keys, band_path, band_records, write_bands
from decant.pipeline.dedup.layout import plan
from decant.pipeline.dedup.signatures import number_documents
from decant.pipeline.dedup.spill_file import SpillFile, write_spill
from decant.pipeline.dedup.spills import read_catalog, write_catalog
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.deduplicate import cluster_labels, run, sketch_folder, survivors_of
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.records import EXTRACTED, SIGNATURE_OPTIONS, SIGNATURES
from decant.pipeline.stage_keys import stage_digest

PRIME = (1 << 61) - 1
BANDS, ROWS = 14, 8
PART_ROWS = 50_000
REPEATS = 5


def planted_signatures(documents: int, duplicates: float, seed: int = 1) -> np.ndarray:
    """uint64 [documents, 112]: a share are near copies of earlier ones, at Jaccard 0.6 to 1."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, PRIME, (documents, BANDS * ROWS), dtype=np.uint64)
    for doc in np.flatnonzero(rng.random(documents) < duplicates).tolist():
        if doc:
            same = rng.random(BANDS * ROWS) < rng.uniform(0.6, 1.0)
            made[doc, same] = made[rng.integers(doc), same]
    return made


def write_parquet(folder: Path, signatures: np.ndarray) -> Store:
    """A run directory as the filter stage leaves it."""
    store = Store(str(folder))
    numbers = range(-(-len(signatures) // PART_ROWS))
    with store.table_writer("inputs.parquet", pa.schema([("partition", pa.int32())])) as writer:
        writer.write(pa.table({"partition": pa.array(numbers, pa.int32())}))
    for number in numbers:
        part = signatures[number * PART_ROWS : (number + 1) * PART_ROWS]
        count = len(part)
        offset = pa.array(np.arange(count) + number * PART_ROWS)
        width = 8 * part.shape[1]
        held = [None, pa.py_buffer(np.ascontiguousarray(part))]
        columns = {
            "file": pa.array(np.zeros(count, np.int32)),
            "offset": offset,
            "kept": pa.array(np.ones(count, np.bool_)),
            "signature": pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, held),
            "shingles": pa.array(np.full(count, 300, np.int32)),
            "text_hash": pa.array([b"\0" * 16] * count, pa.binary(16)),
            "chars": pa.array(np.full(count, 2_000)),
        }
        path = f"2-filtered/signatures/{number:05d}.parquet"
        with store.table_writer(path, SIGNATURES, options=SIGNATURE_OPTIONS) as out:
            out.write(pa.table(columns))
        names = pa.array([f"<urn:{place}>" for place in offset.to_pylist()])
        blank = pa.array([""] * count)
        extracted = {name: blank for name in EXTRACTED.names}
        extracted |= {"file": columns["file"], "offset": offset, "id": names}
        extracted |= {"language_score": pa.array(np.ones(count))}
        extracted |= {"payload_digest": columns["text_hash"]}
        with store.table_writer(f"1-extracted/{number:05d}.parquet", EXTRACTED) as out:
            out.write(pa.table(extracted))
    return store


class Clock:
    """Wall-clock and processor seconds (of all threads) since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}


def ratio(theirs: dict[str, float], ours: dict[str, float]) -> dict[str, float]:
    """How many times faster we are, by either clock."""
    return {name: round(theirs[name] / ours[name], 1) for name in theirs}


def steps_of(store: Store, engine: Engine, config: RunConfig, documents: int = 0) -> Steps:
    """The steps over signature files, looked through, or over so many documents in memory."""
    digest, parts = stage_digest(config, "deduplicate"), []
    if not documents:
        numbers = list(range(len(store.list("2-filtered/signatures"))))
        parts, totals = number_documents(engine, store, numbers, 0, digest)
        documents = totals["rows"]
    return Steps(engine, config, plan(documents, 0, config), parts, digest)


def keys_of_array(steps: Steps, signatures: np.ndarray) -> None:
    """Write the band keys of signatures in memory, a file per slot, as the bands step does."""
    layout, names = steps.layout, []
    for slot in range(layout.slots):
        low, high = layout.span(slot)
        salts = np.zeros(high - low, np.uint64)
        keys = band_keys(signatures[low:high], salts, layout.bands, layout.rows)
        shape = layout.prefix_bits, layout.doc_type
        records, counts = band_records(keys, np.arange(low, high), *shape)
        path = band_path(steps.folder("bands"), slot)
        names.append(write_spill(steps.engine.store, path, records, counts))
    write_catalog(steps.engine.store, steps.folder("bands"), names)


def ours(
    store: Store, compare: bool = False, signatures: np.ndarray | None = None
) -> tuple[dict, dict, dict[int, int]]:
    """(clock from signatures in files or memory, from band keys, root by dropped document)."""
    keys = {"compare": compare, "scope": "run", "recall_queries": 0}
    config = RunConfig.model_validate({"dedup": keys})
    whole = Clock()
    with Engine(store, config, workers=0) as engine:
        if signatures is None:
            steps = steps_of(store, engine, config)
            folder = sketch_folder(steps)
            steps.per_slot("bands", write_bands, with_parts=True, sketches=folder, exact="")
        else:
            steps = steps_of(store, engine, config, len(signatures))
            keys_of_array(steps, signatures)
        from_keys = Clock()
        labels, _ = cluster_labels(steps)
        choices, _ = survivors_of(steps, labels, "")
    times = whole.read(), from_keys.read()
    roots: dict[int, int] = {}
    for name in read_catalog(store, choices):
        rows = SpillFile(store, name.path).read(name.first, name.first + name.bins)
        rows = rows[rows["doc"] != rows["other"]]
        roots |= dict(zip(rows["doc"].tolist(), rows["other"].tolist(), strict=True))
    store.remove("3-deduplicated")
    store.remove("manifests")
    return *times, roots


def median_of(runs: list[tuple[dict, dict, dict[int, int]]]) -> tuple[dict, dict, dict[int, int]]:
    """The run of median processor time; all must have found the same."""
    assert all(one[2] == runs[0][2] for one in runs)
    return sorted(runs, key=lambda one: one[0]["cpu_s"])[len(runs) // 2]


def whole_stage(store: Store) -> dict[str, float]:
    """Seconds of the stage as `decant dedup` runs it, comparisons, names and tables included."""
    config = RunConfig.model_validate({"dedup": {"scope": "run"}})
    clock = Clock()
    with Engine(store, config, workers=0) as engine:
        run(engine, store, config)
    return clock.read()


def datatrove(folder: Path, signatures: np.ndarray) -> tuple[dict, dict[int, int]]:
    """(clock, root by dropped document) of MinhashDedupBuckets and MinhashDedupCluster."""
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger

    logger.remove()
    config = MinhashConfig(hash_config=HashConfig(hash_fc="sha1", precision=64))
    dtype = np.dtype([*((f"h{row}", "<u8") for row in range(ROWS)), ("doc", "<u4")])
    for band in range(BANDS):
        records = np.empty(len(signatures), dtype)
        for row in range(ROWS):
            records[f"h{row}"] = signatures[:, band * ROWS + row]
        records["doc"] = np.arange(len(signatures))
        records.sort(order=dtype.names)
        path = folder / "sig" / f"bucket_{band:03d}" / "00000.minhash.sig"
        path.parent.mkdir(parents=True)
        path.write_bytes(records.tobytes())
    clock = Clock()
    buckets = MinhashDedupBuckets(str(folder / "sig"), str(folder / "dups"), config=config)
    for band in range(BANDS):
        buckets.run(None, band, BANDS)
    MinhashDedupCluster(str(folder / "dups"), str(folder / "out"), config, True).run(None)
    times = clock.read()
    clusters: dict[int, list[int]] = {}
    found = (folder / "out" / "000000.clusters").read_bytes()
    for doc, cluster in struct.iter_unpack("<II", found):
        clusters.setdefault(cluster, []).append(doc)
    return times, {
        doc: min(group) for group in clusters.values() for doc in group if doc != min(group)
    }


def datasketch(signatures: np.ndarray) -> tuple[dict, dict[int, int]]:
    """(clock, root by dropped document) of querying and inserting every document."""
    from datasketch import MinHashLSH

    from decant.pipeline.dedup.datasketch_objects import to_minhash

    sketches = [to_minhash(one) for one in signatures]
    root = list(range(len(signatures)))

    def top(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    clock = Clock()
    lsh = MinHashLSH(num_perm=signatures.shape[1], params=(BANDS, ROWS))
    for doc, sketch in enumerate(sketches):
        for other in lsh.query(sketch):
            low, high = sorted((top(doc), top(int(other))))  # type: ignore[call-overload]
            root[high] = low
        lsh.insert(doc, sketch)
    return clock.read(), {doc: top(doc) for doc in range(len(root)) if top(doc) != doc}


def planted_recall(pairs: int, seed: int = 2) -> dict[str, list[float]]:
    """Per Jaccard similarity: share of planted pairs of shingle sets that meet, and the S-curve's.

    Pairs of random shingle sets of 300 with the exact overlap; signatures by the product's kernel.
    """
    from decant.filters.minhash import signature

    rng = np.random.default_rng(seed)
    found = {}
    for jaccard in (0.5, 0.6, 0.7, 0.8, 0.9):
        shared = round(300 * 2 * jaccard / (1 + jaccard))
        exact = shared / (600 - shared)
        met = 0
        for _ in range(pairs):
            hashes = rng.integers(0, 2**64, 600 - shared, dtype=np.uint64)
            one, other = signature(hashes[:300]), signature(hashes[300 - shared :])
            assert one is not None and other is not None
            met += bool((one == other).reshape(BANDS, ROWS).all(axis=1).any())
        found[str(jaccard)] = [met / pairs, round(meeting_probability(exact, BANDS, ROWS), 4)]
    return found


def measured(folder: Path, signatures: np.ndarray) -> dict:
    """Seconds of every side on the same documents, and the ratios; same clusters or no figures."""
    store = write_parquet(folder / "run", signatures)
    ours(store, compare=True)  # compiles or loads the kernels
    files, keys, roots = median_of([ours(store) for _ in range(REPEATS)])
    verified, _, verified_roots = median_of([ours(store, compare=True) for _ in range(REPEATS)])
    memory, _, memory_roots = median_of(
        [ours(store, signatures=signatures) for _ in range(REPEATS)]
    )
    stage = whole_stage(store)
    trove, trove_roots = datatrove(folder / "datatrove", signatures)
    sketch, sketch_roots = datasketch(signatures)
    for name, found in {"datatrove": trove_roots, "datasketch": sketch_roots}.items():
        assert roots == verified_roots == memory_roots == found, f"clusters differ from {name}'s"
    return {
        "documents": len(signatures),
        "dropped": len(roots),
        "ours": {
            "from_band_keys": keys,
            "from_signatures_in_memory": memory,
            "from_signature_files": files,
            "from_signature_files_every_pair_verified": verified,
            "whole_stage_with_names_tables_and_report": stage,
        },
        "datatrove_stages_2_3_from_sorted_files": trove,
        "datasketch_from_objects_in_memory": sketch,
        "times_datatrove": {
            "like_for_like_from_band_keys": ratio(trove, keys),
            "from_signature_files": ratio(trove, files),
            "from_signature_files_every_pair_verified": ratio(trove, verified),
        },
        "times_datasketch": {
            "like_for_like_from_signatures_in_memory": ratio(sketch, memory),
            "from_signature_files": ratio(sketch, files),
            "from_signature_files_every_pair_verified": ratio(sketch, verified),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--duplicates", type=float, default=0.4)
    parser.add_argument("--recall-pairs", type=int, default=4_000)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="decant-bench-"))
    try:
        report = measured(folder, planted_signatures(args.documents, args.duplicates))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report["recall_found_and_s_curve"] = planted_recall(args.recall_pairs)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
