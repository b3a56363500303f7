"""Band keys: the 64-bit name of what a document's signature says in one band of rows.

# 14 bands x 8 rows: P(two documents share a key) = 1-(1-s^8)^14 = 0.50 at Jaccard s = 0.68,
# 0.92 at 0.80. Different bands of rows meet in one key with 2^-64: 3 pairs per band at 10^10
# documents, which verification finds and undoes.

A salt of the keys says which documents may meet at all (`dedup.scope`): under `dump` it is that of
the document's dump, so that documents of two dumps share a key only by a 64-bit chance; under `run`
every document has the same.
"""

import numpy as np
import xxhash

from decant.filters.compile import kernel
from decant.filters.words.ngrams import GOLDEN
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.formats import SKETCH_TYPE, band_type, choice_type
from decant.pipeline.dedup.layout import Part
from decant.pipeline.dedup.signatures import rows_between, signature_rows
from decant.pipeline.dedup.sketches import write_sketches
from decant.pipeline.dedup.spill_file import write_spill
from decant.pipeline.dedup.tasks import SlotTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.rundir import paths


def dump_salt(dump: str | None) -> int:
    """The salt of a dump's documents."""
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
            self._path = paths.extracted(part.number)
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
        places = np.minimum(places, max(len(self._offsets) - 1, 0))
        if len(offsets) and not np.array_equal(self._offsets[places], offsets):
            raise StorageError(f"{self._path} lacks documents that have a signature")
        return self._salts[places] if len(offsets) else np.empty(0, np.uint64)


SIGNATURE_COLUMNS = ["offset", "kept", "signature"]


@kernel
def mixed(state):
    """The finaliser of splitmix64: every bit of the number counts in every bit of the result."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@kernel
def band_keys(signatures, salts, bands, rows):
    """uint64 [bands, documents]: keys of uint64 signatures [documents, bands x rows].

    A key is the sum of a band's rows, each times an odd number of its own, mixed once. Bands that
    differ in one row never meet, others as numbers drawn at random would.
    """
    documents = len(signatures)
    keys = np.empty((bands, documents), np.uint64)
    factors = np.empty(rows, np.uint64)
    for row in range(rows):
        factors[row] = mixed(np.uint64(row + 1) * GOLDEN) | np.uint64(1)
    for document in range(documents):
        for band in range(bands):
            state = salts[document] ^ (np.uint64(band + 1) * GOLDEN)
            for row in range(rows):
                state += signatures[document, band * rows + row] * factors[row]
            keys[band, document] = mixed(state)
    return keys


@kernel
def bin_counts(keys, prefix_bits):
    """int64 [bands x 2^prefix_bits]: how many keys [bands, documents] fall into each bin."""
    bands, documents = keys.shape
    counts = np.zeros(bands << prefix_bits, np.int64)
    shift = np.uint64(64 - prefix_bits)
    for band in range(bands):
        first = band << prefix_bits
        for document in range(documents):
            counts[first + np.int64(keys[band, document] >> shift if prefix_bits else 0)] += 1
    return counts


@kernel
def fill_bins(keys, docs, prefix_bits, counts, out_keys, out_docs):
    """Put keys and the documents they belong to in the order of their bins, stably."""
    bands, documents = keys.shape
    places = np.zeros(len(counts), np.int64)
    for number in range(1, len(counts)):
        places[number] = places[number - 1] + counts[number - 1]
    shift = np.uint64(64 - prefix_bits)
    for band in range(bands):
        first = band << prefix_bits
        for document in range(documents):
            number = first + np.int64(keys[band, document] >> shift if prefix_bits else 0)
            out_keys[places[number]] = keys[band, document]
            out_docs[places[number]] = docs[document]
            places[number] += 1


def band_records(
    keys: np.ndarray, docs: np.ndarray, prefix_bits: int, doc_type: str
) -> tuple[np.ndarray, np.ndarray]:
    """(records in bin order, count of each bin) for keys [bands, documents]."""
    counts = bin_counts(keys, prefix_bits)
    records = np.empty(keys.size, band_type(doc_type))
    fill_bins(keys, docs, prefix_bits, counts, records["key"], records["doc"])
    return records, counts


def write_bands(job: Job) -> dict:
    """Write the band keys of one slot of documents and, where asked, its signatures in 32 bits."""
    task = SlotTask(job)
    layout, low, high = task.layout, task.low, task.high
    keys, docs = [], []
    sketched = task.args["sketches"]
    sketches = np.zeros((high - low if sketched else 0, layout.permutations), SKETCH_TYPE)
    free = ~exact_duplicates(task)
    for part in task.parts:
        salts = Salts(task.store, task.config, part)
        for first, batch in rows_between(task.store, [part], low, high, SIGNATURE_COLUMNS):
            has, values = signature_rows(batch.column("signature"), layout.permutations)
            here = slice(first - low, first - low + batch.num_rows)
            compared = has & np.asarray(batch.column("kept")) & free[here]
            if not compared.all():
                values = values[compared[has]]
            rows = np.flatnonzero(compared)
            salt = salts.of(batch.column("offset").to_numpy()[rows])
            keys.append(band_keys(values, salt, layout.bands, layout.rows))
            docs.append(first + rows)
            if sketched:
                sketches[first + rows - low] = values.astype(SKETCH_TYPE)
    all_docs = np.concatenate(docs) if docs else np.empty(0, np.int64)
    all_keys = np.concatenate(keys, axis=1) if keys else np.empty((layout.bands, 0), np.uint64)
    records, counts = band_records(all_keys, all_docs, layout.prefix_bits, layout.doc_type)
    path = band_path(task.args["folder"], task.slot)
    if sketched:
        write_sketches(task.store, sketched, task.slot, sketches)
    return {"spills": [write_spill(task.store, path, records, counts)], "documents": len(all_docs)}


def band_path(folder: str, slot: int) -> str:
    """Where the band keys of a slot lie, in bins of all bands."""
    return f"{folder}/{slot:08d}.spill"


def exact_duplicates(task: SlotTask) -> np.ndarray:
    """bool per document of the slot: exact duplicates, for whom another stands."""
    excluded = np.zeros(task.high - task.low, np.bool_)
    if task.args["exact"]:
        for choices in task.read("exact", choice_type(task.doc_type)):
            follows = choices["doc"] != choices["other"]
            excluded[task.places(choices["doc"][follows])] = True
    return excluded
