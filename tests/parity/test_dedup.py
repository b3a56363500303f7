"""Clusters against datatrove's MinHash stages 1 to 3 and datasketch's LSH."""

import struct
from pathlib import Path

import numpy as np
import pytest

from decant.filters.doc import Doc
from decant.filters.minhash import MinHash, shingles, signature
from tests import real_data
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    deduplicated,
    planted_clusters,
    write_run_directory,
)

pytestmark = pytest.mark.parity

WORDS = ("amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty")


def edited(text: str, rng: np.random.Generator, share: float) -> str:
    """The text with about `share` of its words replaced."""
    words = text.split(" ")
    for place in np.flatnonzero(rng.random(len(words)) < share):
        words[place] = f"edit{int(rng.integers(10**6))}"
    return " ".join(words)


def with_near_copies(texts: list[str], rng: np.random.Generator) -> list[str]:
    copies = [edited(text, rng, share) for text in texts for share in (0.0, 0.02, 0.06)]
    together = [*texts, *copies, "two words", ""]
    return [together[place] for place in rng.permutation(len(together))]


def generated_texts(rng: np.random.Generator, count: int) -> list[str]:
    return [
        " ".join(f"{rng.choice(WORDS)}{int(rng.integers(40))}" for _ in range(120))
        for _ in range(count)
    ]


def our_clusters(folder: Path, texts: list[str]) -> set[frozenset[int]]:
    made = [signature(shingles(Doc(text), MinHash())) for text in texts]
    store = write_run_directory(folder, [Planted(one) for one in made], [len(texts) // 2])
    _, dropped = deduplicated(store)
    groups: dict[int, set[int]] = {}
    for doc, row in dropped.items():
        root = int(row["duplicate_of"][5:-1])
        groups.setdefault(root, {root}).add(doc)
    return {frozenset(group) for group in groups.values()}


def datatrove_clusters(folder: Path, texts: list[str]) -> set[frozenset[int]]:
    """Clusters of two and more by MinhashDedupSignature, Buckets and Cluster, over two tasks."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(hash_config=HashConfig(hash_fc="sha1", precision=64))
    half = len(texts) // 2
    for rank, part in enumerate((texts[:half], texts[half:])):
        documents = (Document(text=text, id=str(place)) for place, text in enumerate(part))
        list(_run(MinhashDedupSignature(str(folder / "sig"), config), documents, rank, 2))
    buckets = MinhashDedupBuckets(str(folder / "sig"), str(folder / "dups"), config=config)
    for rank in range(config.num_buckets):
        list(_run(buckets, None, rank, config.num_buckets))
    list(_run(MinhashDedupCluster(str(folder / "dups"), str(folder / "out"), config, True), None))
    groups: dict[int, set[int]] = {}
    for rank in (0, 1):
        path = folder / "out" / f"{rank:06d}.clusters"
        for doc, cluster in struct.iter_unpack("<II", path.read_bytes() if path.exists() else b""):
            groups.setdefault(cluster, set()).add(rank * half + doc)
    return {frozenset(group) for group in groups.values()}


def _run(block, documents, rank: int = 0, world_size: int = 1):
    return block.run(documents, rank, world_size) or ()


def test_generated_near_copies_cluster_as_datatroves(tmp_path):
    rng = np.random.default_rng(11)
    texts = with_near_copies(generated_texts(rng, 25), rng)
    ours = our_clusters(tmp_path / "ours", texts)
    assert ours == datatrove_clusters(tmp_path / "theirs", texts)
    assert len(ours) >= 20


def test_real_pages_cluster_as_datatroves(tmp_path):
    rng = np.random.default_rng(12)
    texts = [text[:4_000] for text in real_data.texts(150)]
    texts += [edited(text, rng, 0.02) for text in texts[:40]]
    ours = our_clusters(tmp_path / "ours", texts)
    assert ours == datatrove_clusters(tmp_path / "theirs", texts)
    assert len(ours) >= 10


def test_candidates_are_those_of_datasketchs_lsh(tmp_path):
    from datasketch import MinHashLSH

    from decant.pipeline.dedup.datasketch_objects import to_minhash

    rng = np.random.default_rng(13)
    documents = planted_clusters(rng, 400)
    lsh = MinHashLSH(num_perm=112, params=(14, 8))
    root = list(range(len(documents)))

    def top(node: int) -> int:
        while root[node] != node:
            node = root[node]
        return node

    for place, one in enumerate(documents):
        sketch = to_minhash(one.signature)
        for other in sorted(lsh.query(sketch)):
            low, high = sorted((top(place), top(other)))
            root[high] = low
        lsh.insert(place, sketch)
    _, dropped = deduplicated(write_run_directory(tmp_path, documents, [150]))
    assert {doc: row["duplicate_of"] for doc, row in dropped.items()} == {
        doc: f"<doc:{top(doc)}>" for doc in range(len(documents)) if top(doc) != doc
    }
