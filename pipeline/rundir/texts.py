"""The text of a document at each point of a run, and its survivors as whole documents.

Text is stored once per edit: `1-extracted` holds it, `2-filtered/kept` holds it again only where an
edit changed it, `3-deduplicated` holds decisions. All three are sorted by row key, and a partition
lies in one file, so the join is one pass in bounded memory.
"""

from collections.abc import Container, Iterator
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decant.filters.repeated_lines import without_lines
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.paths import partition_name

TextAt = tuple[int, str | None]
JOIN_ROWS = 1_000


def texts_at(store: Store, path: str, offsets: Container[int] | None) -> Iterator[TextAt]:
    """(offset, text) of the rows of a table, in its order: all, or those at some offsets."""
    for batch in store.iter_batches(path, ["offset", "text"], batch_rows=JOIN_ROWS):
        places, texts = batch.column("offset").to_pylist(), batch.column("text")
        for row, offset in enumerate(places):
            if offsets is None or offset in offsets:
                yield offset, texts[row].as_py()


def extracted_texts(
    store: Store, number: int, offsets: Container[int] | None = None
) -> Iterator[tuple[int, str]]:
    """(offset, text as extraction left it) of a partition's documents, by offset."""
    for offset, text in texts_at(store, paths.extracted(number), offsets):
        yield offset, text or ""


def filtered_texts(
    store: Store, number: int, offsets: Container[int] | None = None
) -> Iterator[tuple[int, str]]:
    """(offset, text as the rules left it) of a partition's documents, by offset.

    Of a document that the rules dropped, the edited text is stored only where all were measured;
    elsewhere it is the text as extracted.
    """
    edited: dict[int, str] = {}
    for path in (paths.kept(number), paths.dropped(number)):
        if store.exists(path) and "text" in store.column_names(path):
            texts = texts_at(store, path, offsets)
            edited.update((offset, text) for offset, text in texts if text is not None)
    for offset, text in extracted_texts(store, number, offsets):
        yield offset, edited.get(offset, text)


def columns_at(
    store: Store, number: int, offsets: np.ndarray, columns: list[str]
) -> dict[str, list]:
    """Columns of `1-extracted` at ascending record offsets of one partition, as Python lists."""
    path = paths.extracted(number)
    values: dict[str, list] = {column: [] for column in columns}
    for batch in store.iter_batches(path, ["offset", *columns], batch_rows=8_192):
        rows = np.flatnonzero(np.isin(batch.column("offset").to_numpy(), offsets))
        for column in columns:
            values[column] += batch.column(column).take(rows).to_pylist()
    if len(values[columns[0]]) != len(offsets):
        raise StorageError(f"{path} lacks documents that have a signature")
    return values


def partitions(store: Store) -> list[int]:
    """The numbers of the run's partitions, ascending."""
    names = [PurePosixPath(path) for path in store.list(paths.SIGNATURES)]
    return sorted(int(name.stem) for name in names if name.suffix == ".parquet")


def read_texts(store: Store) -> Iterator[str]:
    """The text of every document as the rules left it, by partition and offset."""
    for number in partitions(store):
        for _, text in filtered_texts(store, number):
            yield text


class JoinError(Exception):
    """Two stages of a run do not belong together; the message names the partition."""


def kept_documents(store: Store, number: int) -> Iterator[pa.Table]:
    """The documents that the filters kept, with the text as the rules left it."""
    name = partition_name(number)
    extracted, kept = paths.extracted(number), paths.kept(number)
    offsets = store.read_table(kept, ["offset"]).column("offset").to_numpy()
    edits = RowReader(store, kept, ["offset", "text"])
    matched = 0
    for batch in store.iter_batches(extracted, batch_rows=JOIN_ROWS):
        is_kept = np.isin(batch.column("offset").to_numpy(), offsets, assume_unique=True)
        count = int(is_kept.sum())
        if not count:
            continue
        table = pa.Table.from_batches([batch]).filter(pa.array(is_kept))
        edited = edits.take(count)
        if not np.array_equal(
            edited.column("offset").to_numpy(), table.column("offset").to_numpy()
        ):
            raise JoinError(f"partition {name}: {kept} and {extracted} are in another order")
        matched += count
        yield _with_text(table, edited.column("text"))
    if matched != len(offsets):
        raise JoinError(f"partition {name}: {len(offsets) - matched} rows of {kept} have no text")


def surviving_documents(
    store: Store, number: int, lines_removed: bool = False
) -> Iterator[pa.Table]:
    """The documents to publish; `lines_removed` says whether the run has `dedup.lines`."""
    documents = unique_documents(store, number)
    if not lines_removed:
        yield from documents
        return
    path = paths.table(paths.REPEATED_LINES, number)
    offsets, removed = (
        store.read_table(path, [name]).column(name).to_pylist() for name in ("offset", "removed")
    )
    lines = dict(zip(offsets, removed, strict=True))
    for table in documents:
        rows = zip(
            table.column("offset").to_pylist(), table.column("text").to_pylist(), strict=True
        )
        texts = [without_lines(text, lines[at]) if at in lines else text for at, text in rows]
        at = table.schema.get_field_index("text")
        yield table.set_column(at, "text", pa.array(texts, pa.large_string()))


def unique_documents(
    store: Store, number: int, dropped_folder: str = paths.DUPLICATES
) -> Iterator[pa.Table]:
    """The kept documents that are no duplicates, each with the size of its duplicate cluster."""
    dropped = _offsets(store, paths.table(dropped_folder, number))
    clusters = paths.clusters(number)
    sizes: dict[int, int] = {}
    if store.exists(clusters):
        table = store.read_table(clusters, ["offset", "cluster_size"])
        keys, values = (table.column(name).to_pylist() for name in ("offset", "cluster_size"))
        sizes = dict(zip(keys, values, strict=True))
    for table in kept_documents(store, number):
        offsets = table.column("offset").to_numpy()
        if len(dropped):
            survives = ~np.isin(offsets, dropped, assume_unique=True)
            table, offsets = table.filter(pa.array(survives)), offsets[survives]
        if table.num_rows:
            cluster_sizes = [sizes.get(offset, 1) for offset in offsets.tolist()]
            column = pa.array(cluster_sizes, pa.int64())
            yield table.append_column("minhash_cluster_size", column)


class RowReader:
    """Reads the next n rows of a parquet file on request, holding one batch at a time."""

    def __init__(self, store: Store, path: str, columns: list[str]):
        self._batches = store.iter_batches(path, columns, JOIN_ROWS)
        self._rest: pa.Table | None = None

    def take(self, count: int) -> pa.Table:
        """The next `count` rows; fewer at the end of the file."""
        parts: list[pa.Table] = []
        while count > 0:
            rest = self._rest
            if rest is None or rest.num_rows == 0:
                batch = next(self._batches, None)
                if batch is None:
                    break
                rest = pa.Table.from_batches([batch])
            part = rest.slice(0, count)
            self._rest = rest.slice(part.num_rows)
            count -= part.num_rows
            parts.append(part)
        if not parts:
            raise JoinError("a table ended before its partner")
        return pa.concat_tables(parts)


def _offsets(store: Store, path: str) -> np.ndarray:
    if not store.exists(path):
        return np.empty(0, np.int64)
    return store.read_table(path, ["offset"]).column("offset").to_numpy()


def _with_text(table: pa.Table, edited: pa.ChunkedArray) -> pa.Table:
    """The table with the edited text where there is one, as extracted elsewhere."""
    extracted = table.column("text").cast(pa.large_string())
    text = pc.coalesce(edited.cast(pa.large_string()), extracted)
    return table.set_column(table.schema.get_field_index("text"), "text", text)
