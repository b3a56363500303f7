"""A study's shared files: written once by the driver, mapped by every worker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Pool
from decant.ablations.arms.pool_files import (
    ARRAYS,
    TOKENIZER,
    load_array,
    load_pool,
    npy_bytes,
    write_array,
)
from decant.ablations.arms.tokens import StudyTokenizer
from decant.ablations.measuring.effects import Effect, Repeats
from decant.ablations.scoring import scored
from decant.ablations.scoring.questions import Question
from decant.ablations.scoring.references import ReferenceSet
from decant.ablations.scoring.scored import Scored
from decant.pipeline.engine.storage import Store


def save(
    store: Store,
    pool: Pool,
    contrasts: Sequence[Contrast],
    tokenizer: StudyTokenizer,
    references: Sequence[ReferenceSet],
    questions: Sequence[Question],
) -> str:
    """Write what workers read; returns the address: a digest of every byte of it."""
    arrays = {f"pool/{name}.npy": getattr(pool, name) for name in ARRAYS}
    digests = {name: write_array(store, name, array) for name, array in arrays.items()}
    masks = np.stack([np.stack([c.without, c.with_rule]) for c in contrasts])
    about = {
        "pool": _digest(digests),
        "vocab_size": pool.vocab_size,
        "eos": pool.eos,
        "documents": len(pool),
        "contrasts": [[c.name, c.design, c.judged] for c in contrasts],
    }
    texts = {
        "references": [[r.name, list(r.texts)] for r in references],
        "questions": [asdict(q) for q in questions],
    }
    files = {
        "pool/arms.npy": npy_bytes(np.packbits(masks, axis=2)),
        "pool/about.json": json.dumps(about, sort_keys=True).encode(),
        TOKENIZER: tokenizer.to_bytes(),
        "scored.json": json.dumps(texts, ensure_ascii=False).encode("utf-8", "replace"),
    }
    for name, data in sorted(files.items()):
        store.write_bytes(name, data)
        digests[name] = xxhash.xxh3_128_digest(data)
    return _digest(digests)


def _digest(files: Mapping[str, bytes]) -> str:
    """Hex digest of files by name, from the digest of each."""
    digest = xxhash.xxh3_128()
    for name, one in sorted(files.items()):
        digest.update(name.encode() + b"\0" + one)
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
    packed = load_array(store, "pool/arms.npy")
    masks = np.unpackbits(packed, axis=2, count=about["documents"]).astype(bool)
    contrasts = [
        Contrast(name, design, pair[0], pair[1], judged)
        for (name, design, judged), pair in zip(about["contrasts"], masks, strict=True)
    ]
    texts = json.loads(store.read_bytes("scored.json"))
    references = [ReferenceSet(name, tuple(documents)) for name, documents in texts["references"]]
    questions = [
        Question(**{**q, "contexts": tuple(q["contexts"]),
                    "continuations": tuple(q["continuations"])})
        for q in texts["questions"]
    ]  # fmt: skip
    tokenizer = StudyTokenizer.from_bytes(store.read_bytes(TOKENIZER))
    return Prepared(pool, about["pool"], contrasts, scored.encode(tokenizer, references, questions))


def effect_to_json(effect: Effect) -> dict[str, Any]:
    """The effect as plain lists; floats keep every bit."""
    plain = {**vars(effect)}
    plain["values"] = effect.values.tolist()
    plain["null"] = {kind: values.tolist() for kind, values in effect.null.items()}
    plain["weights"] = None if effect.weights is None else effect.weights.tolist()
    if effect.repeats:
        groups = [group.tolist() for group in effect.repeats.groups]
        plain["repeats"] = {**vars(effect.repeats), "groups": groups}
    return plain


def effect_from_json(plain: dict[str, Any]) -> Effect:
    """The inverse of `effect_to_json`."""
    values = np.array(plain["values"], dtype=np.float64).reshape(len(plain["values"]), -1)
    null = {kind: np.array(rows) for kind, rows in plain["null"].items()}
    weights = None if plain["weights"] is None else np.array(plain["weights"])
    repeats = plain["repeats"]
    if repeats:
        repeats = Repeats(**{**repeats, "groups": tuple(np.array(g) for g in repeats["groups"])})
    return Effect(
        **{**plain, "values": values, "null": null, "weights": weights, "repeats": repeats}
    )
