"""A study's shared files: written once by the driver, mapped by every worker."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash

from decant.ablations import hashing, scored
from decant.ablations.benchmarks import Question
from decant.ablations.effects import Contrast, Effect
from decant.ablations.finished_run import Documents
from decant.ablations.pool import Pool
from decant.ablations.references import ReferenceSet
from decant.ablations.scored import Scored
from decant.ablations.tokens import StudyTokenizer
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


def save(
    store: Store,
    pool: Pool,
    contrasts: Sequence[Contrast],
    tokenizer: StudyTokenizer,
    held: Sequence[ReferenceSet],
    questions: Sequence[Question],
) -> str:
    """Write what workers read; returns the address: a digest of every byte of it."""
    files = {f"pool/{name}.npy": _npy(getattr(pool, name)) for name in ARRAYS}
    masks = np.stack([np.stack([c.without, c.with_rule]) for c in contrasts])
    files["pool/arms.npy"] = _npy(np.packbits(masks, axis=2))
    about = {
        "pool": _digest({name: data for name, data in files.items() if name != "pool/arms.npy"}),
        "vocab_size": pool.vocab_size,
        "eos": pool.eos,
        "documents": len(pool),
        "contrasts": [[c.name, c.design, c.judged] for c in contrasts],
    }
    files["pool/about.json"] = json.dumps(about, sort_keys=True).encode()
    files[TOKENIZER] = tokenizer.to_bytes()
    texts = {
        "references": [[r.name, list(r.texts)] for r in held],
        "questions": [asdict(q) for q in questions],
    }
    files["scored.json"] = json.dumps(texts, ensure_ascii=False).encode("utf-8", "replace")
    for name, data in sorted(files.items()):
        store.write_bytes(name, data)
    return _digest(files)


def _digest(files: Mapping[str, bytes]) -> str:
    """Hex digest of files by name."""
    digest = xxhash.xxh3_128()
    for name, data in sorted(files.items()):
        digest.update(name.encode() + b"\0" + xxhash.xxh3_128_digest(data))
    return digest.hexdigest()


@dataclass(frozen=True)
class Prepared:
    """The shared files, read back. `pool_address` is a digest of the pool's own, without arms."""

    pool: Pool
    pool_address: str
    contrasts: list[Contrast]
    scored: Scored


@lru_cache(maxsize=1)
def load(url: str, _address: str) -> Prepared:
    """The shared files of a study, once per process; the address makes a changed study reload."""
    store = Store(url)
    pool, about = load_pool(store)
    packed = _load(store, "pool/arms.npy")
    masks = np.unpackbits(packed, axis=2, count=about["documents"]).astype(bool)
    contrasts = [
        Contrast(name, design, pair[0], pair[1], judged)
        for (name, design, judged), pair in zip(about["contrasts"], masks, strict=True)
    ]
    texts = json.loads(store.read_bytes("scored.json"))
    held = [ReferenceSet(name, tuple(found)) for name, found in texts["references"]]
    questions = [
        Question(**{**q, "contexts": tuple(q["contexts"]),
                    "continuations": tuple(q["continuations"])})
        for q in texts["questions"]
    ]  # fmt: skip
    tokenizer = StudyTokenizer.from_bytes(store.read_bytes(TOKENIZER))
    return Prepared(pool, about["pool"], contrasts, scored.encode(tokenizer, held, questions))


def load_pool(store: Store) -> tuple[Pool, dict[str, Any]]:
    """(the pool of a study directory, mapped where it is local; what is known about it)."""
    about = json.loads(store.read_bytes("pool/about.json"))
    arrays = {name: _load(store, f"pool/{name}.npy") for name in ARRAYS}
    pool = Pool(
        arrays["tokens"], arrays["first"], arrays["size_bytes"], arrays["identity"],
        arrays["domain"], about["vocab_size"], about["eos"],
    )  # fmt: skip
    return pool, about


def pool_address(store: Store) -> str:
    """The digest of a study's pool."""
    return json.loads(store.read_bytes("pool/about.json"))["pool"]


def effect_to_json(effect: Effect) -> dict[str, Any]:
    """The effect as plain lists; floats keep every bit."""
    plain = {**vars(effect)}
    plain["values"] = effect.values.tolist()
    plain["null"] = {kind: values.tolist() for kind, values in effect.null.items()}
    return plain


def effect_from_json(plain: dict[str, Any]) -> Effect:
    """The inverse of `effect_to_json`."""
    values = np.array(plain["values"], dtype=np.float64).reshape(len(plain["values"]), -1)
    null = {kind: np.array(found) for kind, found in plain["null"].items()}
    return Effect(**{**plain, "values": values, "null": null})


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _load(store: Store, name: str) -> np.ndarray:
    if store.is_local:
        return np.load(store.path(name), mmap_mode="r", allow_pickle=False)
    return np.load(io.BytesIO(store.read_bytes(name)), allow_pickle=False)
