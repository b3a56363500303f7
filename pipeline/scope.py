"""Which documents may meet at all: `dedup.scope` as a salt of the band keys.

Under `dump`, the key of a document is salted with its dump, so that documents of two dumps share a
key only by a 64-bit chance; under `run` every document has the same salt.
"""

import numpy as np
import xxhash

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.layout import Part
from decant.pipeline.rundir.records import extracted_path


def dump_salt(dump: str | None) -> int:
    return xxhash.xxh3_64_intdigest((dump or "unknown").encode("utf-8", "surrogatepass"))


class Salts:
    """The salts of one partition's documents, by the offset of their records.

    `constant` is the salt of all of them where they have the same, else None.
    """

    def __init__(self, store: Store, config: RunConfig, part: Part):
        self.constant: np.uint64 | None = None
        if config.dedup.scope == "run":
            self.constant = np.uint64(0)
        elif part.dump is not None:
            self.constant = np.uint64(dump_salt(part.dump))
        else:
            self._path = extracted_path(part.number)
            table = store.read_table(self._path, ["offset", "dump"])
            names = table.column("dump").to_pylist()
            salts = {name: dump_salt(name) for name in set(names)}
            self._salts = np.array([salts[name] for name in names], np.uint64)
            self._offsets = table.column("offset").to_numpy()

    def of(self, offsets: np.ndarray) -> np.ndarray:
        """uint64 [len(offsets)]."""
        if self.constant is not None:
            return np.full(len(offsets), self.constant, np.uint64)
        places = np.searchsorted(self._offsets, offsets)
        found = np.minimum(places, max(len(self._offsets) - 1, 0))
        if len(offsets) and not np.array_equal(self._offsets[found], offsets):
            raise StorageError(f"{self._path} lacks documents that have a signature")
        return self._salts[found] if len(offsets) else np.empty(0, np.uint64)
