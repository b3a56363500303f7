"""Near-duplicates among an arm's own survivors, from the signatures of the run.

Which document of a cluster stays depends on who else is there: a rule that drops the first copy
leaves the second. So each arm closes its own clusters, over the band keys that the pool shares,
with the pipeline's own kernels: transitive closure, the smallest row key survives.
"""

from __future__ import annotations

import numpy as np

from decant.ablations.pool import Pool
from decant.pipeline.dedup.closure import flatten, unite


def shared_bands(bands: np.ndarray, signed: np.ndarray) -> np.ndarray:
    """Documents that share a band key with another of the pool, bool [n]: all others are unique."""
    shared = np.zeros(len(bands), dtype=bool)
    rows = np.flatnonzero(signed)
    for band in range(bands.shape[1]):
        _, code, count = np.unique(bands[rows, band], return_inverse=True, return_counts=True)
        shared[rows[count[code] > 1]] = True
    return shared


def without_duplicates(pool: Pool, mask: np.ndarray) -> np.ndarray:
    """The documents of `mask` that survive deduplication among themselves, bool [n]."""
    rows = np.flatnonzero(mask & pool.may_repeat)
    parent = np.arange(len(rows), dtype=np.int64)
    for band in range(pool.bands.shape[1]):
        keys = pool.bands[rows, band]
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        unite(parent, order[same], order[same + 1])
    flatten(parent, 0, len(parent))
    survivors = mask.copy()
    survivors[rows[parent != np.arange(len(rows))]] = False
    return survivors
