"""A study's pool as files: arrays on disk, mapped by every worker."""

import io
import json
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import xxhash

from decant.ablations import hashing
from decant.ablations.arms.finished_run import Documents
from decant.ablations.arms.pool import Pool
from decant.ablations.arms.tokens import StudyTokenizer
from decant.pipeline.engine.storage import Store

ARRAYS = ("tokens", "first", "size_bytes", "identity", "domain")
TOKENIZER = "pool/tokenizer.json"


def make_pool(
    documents: Documents,
    ids: np.ndarray,
    first: np.ndarray,
    size: np.ndarray,
    tokenizer: StudyTokenizer,
) -> Pool:
    """The documents of a run with their tokens."""
    return Pool(
        ids, first, size, hashing.hash_strings(documents.ids), documents.domain,
        tokenizer.vocab_size, tokenizer.eos, documents.rules, documents.failed,
        documents.measures, documents.bands, documents.may_repeat,
    )  # fmt: skip


def join(pool: Pool, second: Pool) -> Pool:
    """Two pools end to end; documents of the second fail every rule of the first."""
    n = len(second)
    width = pool.bands.shape[1]
    return replace(
        pool,
        tokens=np.concatenate([pool.tokens, second.tokens]),
        first=np.concatenate([pool.first, second.first[1:] + pool.first[-1]]),
        size_bytes=np.concatenate([pool.size_bytes, second.size_bytes]),
        identity=np.concatenate([pool.identity, second.identity]),
        domain=np.concatenate([pool.domain, second.domain]),
        failed=np.concatenate([pool.failed, np.ones((n, len(pool.rules)), dtype=bool)]),
        measures=np.concatenate([pool.measures, np.full((n, len(pool.rules)), np.nan)]),
        bands=np.concatenate([pool.bands, np.zeros((n, width), dtype=np.uint64)]),
        may_repeat=np.concatenate([pool.may_repeat, np.zeros(n, dtype=bool)]),
    )


def load_pool(store: Store) -> tuple[Pool, dict[str, Any]]:
    """(the pool of a study directory, mapped where it is local; what is known about it)."""
    about = json.loads(store.read_bytes("pool/about.json"))
    arrays = {name: load_array(store, f"pool/{name}.npy") for name in ARRAYS}
    pool = Pool(
        arrays["tokens"], arrays["first"], arrays["size_bytes"], arrays["identity"],
        arrays["domain"], about["vocab_size"], about["eos"],
    )  # fmt: skip
    return pool, about


def pool_address(store: Store) -> str:
    """The digest of a study's pool."""
    return json.loads(store.read_bytes("pool/about.json"))["pool"]


class _Hashed:
    """A file that is hashed as it is written; what numpy writes to it comes in pieces of 16 MB."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.state = file, xxhash.xxh3_128()

    def write(self, data: bytes) -> int:
        self.state.update(data)
        return self._file.write(data)


def write_array(store: Store, name: str, array: np.ndarray) -> bytes:
    """Puts the array under its name and returns the xxh3_128 of its file.

    On a local store neither the array nor the file is ever whole in memory.
    """
    if not store.is_local:
        data = npy_bytes(array)
        store.write_bytes(name, data)
        return xxhash.xxh3_128_digest(data)
    with store.local_draft(name) as draft, open(draft, "wb") as file:
        hashed = _Hashed(file)
        np.lib.format.write_array(hashed, array, allow_pickle=False)
    return hashed.state.digest()


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_array(store: Store, name: str) -> np.ndarray:
    if store.is_local:
        return np.load(store.path(name), mmap_mode="r", allow_pickle=False)
    return np.load(io.BytesIO(store.read_bytes(name)), allow_pickle=False)
