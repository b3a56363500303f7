"""Signatures of a run as datasketch's MinHash objects and back, for notebooks and other tools.

No step of decant needs them (`pipeline/DEDUP.md` has an example). A signature of ours is made with
the permutations of datatrove (61-bit minima of SHA-1 shingles), so a MinHash made from it compares
and merges with its like, but not with one that datasketch computed from tokens: the hashes differ.
LSH, LeanMinHash and storage work as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datasketch import LeanMinHash, MinHash

PRIME = (1 << 61) - 1


class ForeignSignature(ValueError):
    """The datasketch object does not hold a signature of ours."""


def to_minhash(signature: np.ndarray, seed: int = 1) -> MinHash:
    """A datasketch MinHash with the signature's values."""
    from datasketch import MinHash

    return MinHash(
        num_perm=len(signature),
        seed=seed,
        scheme="affine64",
        hashvalues=signature.astype(np.uint64),
    )


def to_lean_minhash(signature: np.ndarray, seed: int = 1) -> LeanMinHash:
    """A datasketch LeanMinHash with the signature's values: smaller, immutable, serialisable."""
    from datasketch import LeanMinHash

    return LeanMinHash(to_minhash(signature, seed))


def from_datasketch(sketch: MinHash | LeanMinHash, permutations: int) -> np.ndarray:
    """The signature in a MinHash or LeanMinHash, uint64 [permutations]."""
    values = np.asarray(sketch.hashvalues).astype(np.uint64)
    if len(values) != permutations:
        raise ForeignSignature(f"{len(values)} permutations, expected {permutations}")
    if len(values) and int(values.max()) >= PRIME:
        raise ForeignSignature("a value of 2^61 - 1 or more: this is not a signature of ours")
    return values
