"""Any parquet dataset as an index entry: `dedup.against` removes what is near one of its texts."""

from collections.abc import Iterator

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from decant.filters.doc import Doc
from decant.filters.minhash import MinHash, shingles, signature
from decant.pipeline.dedup.bands import band_keys, bin_counts, fill_bins
from decant.pipeline.dedup.formats import SKETCH_TYPE
from decant.pipeline.dedup.index import Entry
from decant.pipeline.dedup.index_entry import EntryFiles, gathered
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.dedup.tasks import StepTask
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.light_spacy import import_spacy

TEXT_COLUMNS = ("text", "content", "raw_content")
ID_COLUMNS = ("id", "doc_id", "url")


class DatasetError(ValueError):
    """A dataset cannot be compared against; the message names the file."""


def dataset_files(url: str) -> list[str]:
    """The parquet files at a path, folder or glob, sorted."""
    fs, path = url_to_fs(url)
    if any(letter in path for letter in "*?["):
        names = fs.glob(path)
    else:
        names = fs.find(path) if fs.isdir(path) else [path]
    files = sorted(fs.unstrip_protocol(name) for name in names if str(name).endswith(".parquet"))
    if not files:
        raise DatasetError(f"{url}: no parquet files there to compare against")
    return files


def dataset_entries(steps: Steps, urls: tuple[str, ...]) -> list[Entry]:
    """One entry per parquet file, made in the stage's scratch."""
    files = [file for url in urls for file in dataset_files(url)]
    tasks = [
        steps.task("against", f"{number:08d}", file=file, number=number)
        for number, file in enumerate(files)
    ]
    counts = steps.run("against", write_dataset_entry, tasks)
    layout = steps.layout
    return [
        Entry(
            steps.engine.store.url,
            f"{steps.folder('against')}/{task.key}",
            counts[task.key]["documents"],
            layout.prefix_bits,
            layout.width,
            counts[task.key]["entry_spills"],
        )
        for task in tasks
    ]


def write_dataset_entry(job: Job) -> dict:
    """Write the band keys, sketches and ids of one parquet file's texts."""
    import_spacy()
    task = StepTask(job)
    layout = task.layout
    folder = f"{task.args['folder']}/{task.args['number']:08d}"
    tables, documents = [], 0
    texts = dataset_texts(task.args["file"])
    for slot, (ids, signatures) in enumerate(signed_slots(texts, layout.width, job)):
        files = EntryFiles(task.store, folder, slot, layout)
        docs = documents + np.array([at for at, one in enumerate(signatures) if one is not None])
        docs = docs.astype(np.uint64)
        signed = [one for one in signatures if one is not None]
        values = np.array(signed, np.uint64).reshape(len(signed), layout.permutations)
        salts = np.zeros(len(values), np.uint64)
        keys = band_keys(values, salts, layout.bands, layout.rows)
        counts = bin_counts(keys, layout.prefix_bits)
        out_keys, out_docs = np.empty(keys.size, np.uint64), np.empty(keys.size, np.uint64)
        fill_bins(keys, docs, layout.prefix_bits, counts, out_keys, out_docs)
        files.write_keys(out_keys, out_docs, np.repeat(np.arange(layout.bins), counts))
        files.write_sketches(docs, values.astype(SKETCH_TYPE))
        names = [name for name, one in zip(ids, signatures, strict=True) if one is not None]
        files.write_ids(docs, names)
        tables.append(files.spills)
        documents += len(ids)
    return {"documents": documents, "entry_spills": gathered(tables)}


def signed_slots(texts: Iterator[tuple[str, str]], width: int, job: Job) -> Iterator[tuple]:
    """(ids, signatures) of at most `width` texts at a time."""
    dedup = job.config.dedup
    method = MinHash(dedup.ngram, dedup.bands, dedup.rows, dedup.hash, dedup.seed)
    ids: list[str] = []
    signatures: list[np.ndarray | None] = []
    for name, text in texts:
        ids.append(name)
        signatures.append(signature(shingles(Doc(text), method), method))
        if len(ids) == width:
            yield ids, signatures
            ids, signatures = [], []
    if ids:
        yield ids, signatures


def dataset_texts(file: str) -> Iterator[tuple[str, str]]:
    """(id, text) of every row of a parquet file; a row number stands in for a missing id."""
    with fsspec.open(file, "rb") as handle:
        try:
            parquet = pq.ParquetFile(handle)
        except pa.ArrowInvalid as error:
            raise DatasetError(f"{file} is not a parquet file: {error}") from error
        names = parquet.schema_arrow.names
        text = next((name for name in TEXT_COLUMNS if name in names), None)
        if text is None:
            raise DatasetError(f"{file} has no column {' or '.join(TEXT_COLUMNS)}; it has {names}")
        identity = next((name for name in ID_COLUMNS if name in names), None)
        row = 0
        for batch in parquet.iter_batches(1_000, columns=[text, *([identity] if identity else [])]):
            ids = batch.column(identity).to_pylist() if identity else [None] * batch.num_rows
            for name, value in zip(ids, batch.column(text).to_pylist(), strict=True):
                yield str(name) if name is not None else f"{file}#{row}", value or ""
                row += 1
