"""`decant neighbours`: the documents of a run nearest to a text or to one of its documents.

Compares with every stored signature, not only with those that share a band: what LSH missed shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from decant.filters.doc import Doc
from decant.filters.minhash import MinHash, shingles, signature
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.decisions import band_list
from decant.pipeline.dedup.formats import SKETCH_TYPE
from decant.pipeline.dedup.signatures import check_schema, signature_rows
from decant.pipeline.dedup.sketches import compare_rows
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import partition_numbers


class NeighbourError(ValueError):
    """There is nothing to compare with; the message says why."""


@dataclass(frozen=True)
class Neighbour:
    """A stored document and its estimated Jaccard similarity with the query."""

    id: str
    url: str
    file: int
    offset: int
    jaccard: float
    kept: bool  # by the filters
    bands: str  # where it meets, as in the `detail` of dropped rows


def neighbours(
    store: Store, config: RunConfig, text_or_id: str, count: int = 10
) -> list[Neighbour]:
    """The nearest documents of a run, nearest first, ties by row key.

    `text_or_id` is the id or the URL of a document of the run (which is left out), else a text.
    """
    numbers = partition_numbers(store)
    query, query_key = signature_of(store, config, numbers, text_or_id)
    best: list[tuple] = []
    for number, batch, matches, met in scored(store, config, numbers, query):
        files, offsets = (batch.column(name).to_numpy() for name in ("file", "offset"))
        for row in np.lexsort((np.arange(len(matches)), -matches.astype(np.int64)))[: count + 1]:
            key = int(files[row]), int(offsets[row])
            if matches[row] and key != query_key:
                kept = batch.column("kept")[int(row)].as_py()
                best.append((-int(matches[row]), *key, number, kept, int(met[row])))
        best = sorted(best)[:count]
    return [_named(store, entry, len(query)) for entry in best]


def signature_of(
    store: Store, config: RunConfig, numbers: list[int], text_or_id: str
) -> tuple[np.ndarray, tuple[int, int] | None]:
    """(signature, row key if it is a document of the run)."""
    dedup = config.dedup
    permutations = dedup.bands * dedup.rows
    for number in numbers:
        row_key = find_document(store, number, text_or_id)
        if row_key is None:
            continue
        for batch in store.iter_batches(paths.signatures(number), ["offset", "signature"]):
            rows = np.flatnonzero(batch.column("offset").to_numpy() == row_key[1])
            _, values = signature_rows(batch.column("signature").take(rows), permutations)
            if len(values):
                return values[0], row_key
        raise NeighbourError(f"{text_or_id}: this document has no signature in the run")
    import_spacy()
    method = MinHash(dedup.ngram, dedup.bands, dedup.rows, dedup.hash, dedup.seed)
    query = signature(shingles(Doc(text_or_id), method), method)
    if query is None:
        raise NeighbourError(
            f"{text_or_id!r} is no id or URL of this run, and as a text it has fewer than "
            f"{dedup.ngram} words"
        )
    return query, None


def find_document(store: Store, number: int, name: str) -> tuple[int, int] | None:
    """The row key of the document of this id or URL in one partition."""
    columns = ["file", "offset", "id", "url"]
    for batch in store.iter_batches(paths.extracted(number), columns, batch_rows=8_192):
        same = (pc.equal(batch.column(column), name) for column in ("id", "url"))  # type: ignore[attr-defined]
        for hits in same:
            at = hits.index(True).as_py()
            if at >= 0:
                return batch.column("file")[at].as_py(), batch.column("offset")[at].as_py()
    return None


def scored(
    store: Store, config: RunConfig, numbers: list[int], query: np.ndarray
) -> Iterator[tuple]:
    """(partition, rows, equal permutations, bands that meet) of all stored signatures."""
    dedup = config.dedup
    columns = ["file", "offset", "kept", "signature"]
    for number in numbers:
        path = paths.signatures(number)
        check_schema(store.parquet(path).schema_arrow, config, path)
        for batch in store.iter_batches(path, columns, batch_rows=8_192):
            has, values = signature_rows(batch.column("signature"), len(query))
            matches = np.zeros(batch.num_rows, np.uint16)
            met = np.zeros(batch.num_rows, np.uint64)
            rows = np.arange(len(values))
            matches[has], met[has] = compare_rows(
                values.astype(SKETCH_TYPE),
                rows,
                query[None].astype(SKETCH_TYPE),
                rows * 0,
                dedup.bands,
                dedup.rows,
            )
            yield number, batch, matches, met


def _named(store: Store, entry: tuple, permutations: int) -> Neighbour:
    matches, file, offset, number, kept, met = entry
    for batch in store.iter_batches(paths.extracted(number), ["offset", "id", "url"]):
        rows = np.flatnonzero(batch.column("offset").to_numpy() == offset)
        if len(rows):
            row = int(rows[0])
            name, url = (batch.column(column)[row].as_py() for column in ("id", "url"))
            bands = band_list(met) if met else "no band in common"
            return Neighbour(name, url or "", file, offset, -matches / permutations, kept, bands)
    raise NeighbourError(f"partition {number}: the document at {offset} is no longer extracted")
