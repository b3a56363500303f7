"""The files of the filter stage: kept, dropped and signed rows of a partition."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from decant.filters import minhash
from decant.filters.minhash import MinHash
from decant.filters.recipe import Recipe, Verdict
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.tables import TableWriter
from decant.pipeline.rundir.records import (
    DROPPED,
    FILTERED,
    METADATA_KEY,
    TEXT,
    made_with,
    signatures_schema,
    with_measures,
)
from decant.pipeline.stage_keys import stage_digest

STAGE = "filter"

_LOADED: dict[str, tuple[Recipe, MinHash]] = {}


def loaded(config: RunConfig) -> tuple[Recipe, MinHash]:
    """The recipe and the signature of a configuration, built once per process."""
    key = stage_digest(config, STAGE)
    if key not in _LOADED:
        _LOADED.clear()
        dedup = config.dedup
        method = MinHash(dedup.ngram, dedup.bands, dedup.rows, dedup.hash, dedup.seed)
        _LOADED[key] = config.measuring_recipe(), method
    return _LOADED[key]


def kept_schema(measured: list[str] | None) -> pa.Schema:
    """The schema of `2-filtered/kept`, with a column per rule where all were measured."""
    return FILTERED if measured is None else with_measures(FILTERED, measured)


def dropped_schema(measured: list[str] | None) -> pa.Schema:
    """The schema of `2-filtered/dropped`; measured documents also leave their edited text."""
    if measured is None:
        return DROPPED
    return with_measures(DROPPED.append(pa.field("text", TEXT)), measured)


def signed_schema(config: RunConfig) -> pa.Schema:
    """The schema of `2-filtered/signatures`, which says how its signatures were made."""
    parameters = json.dumps(made_with(config), sort_keys=True).encode()
    schema = signatures_schema(config.dedup.bands * config.dedup.rows)
    return schema.with_metadata({METADATA_KEY: parameters})


class Writers:
    """Judges batches and sorts their rows into the three tables of a partition."""

    def __init__(
        self,
        kept: TableWriter,
        dropped: TableWriter,
        signed: TableWriter,
        recipe: Recipe,
        method: MinHash,
        measured: list[str] | None,
    ) -> None:
        self.kept, self.dropped, self.signed = kept, dropped, signed
        self.recipe, self.method, self.measured = recipe, method, measured

    def write(self, batch: pa.RecordBatch) -> list[Verdict]:
        """The verdicts of a batch, whose rows are written."""
        texts = batch.column("text").to_pylist()
        records = batch.select(list(self.recipe.reads)).to_pylist() if self.recipe.reads else None
        verdicts = self.recipe.judge_all(texts, self.measured is not None, records)
        is_kept = np.array([verdict.kept for verdict in verdicts], np.bool_)
        rows = np.arange(len(texts))
        edited = [
            verdict.text if verdict.text != text else None
            for verdict, text in zip(verdicts, texts, strict=True)
        ]
        self._write_kept(batch, rows[is_kept], verdicts, edited)
        self._write_dropped(batch, rows[~is_kept], verdicts, edited)
        signed = rows if self.measured is not None else rows[is_kept]
        self._write_signatures(batch, signed, verdicts)
        return verdicts

    def _write_kept(
        self, batch: pa.RecordBatch, rows: np.ndarray, verdicts: list[Verdict], edited: list
    ) -> None:
        columns = {name: batch.column(name).take(pa.array(rows)) for name in ("file", "offset")}
        columns["text"] = pa.array([edited[row] for row in rows], TEXT)
        columns |= self._measures([verdicts[row] for row in rows])
        self.kept.write(pa.table(columns))

    def _write_dropped(
        self, batch: pa.RecordBatch, rows: np.ndarray, verdicts: list[Verdict], edited: list
    ) -> None:
        names = ("id", "url", "file", "offset")
        chosen = [verdicts[row] for row in rows]
        columns = {name: batch.column(name).take(pa.array(rows)) for name in names}
        columns["stage"] = pa.array([STAGE] * len(rows), pa.string())
        columns["rule"] = pa.array([one.dropped_by for one in chosen], pa.string())
        columns["value"] = pa.array([one.value for one in chosen], pa.float64())
        columns["bound"] = pa.array([one.bound for one in chosen], pa.float64())
        columns["detail"] = pa.array([one.detail for one in chosen], pa.string())
        if self.measured is not None:
            columns["text"] = pa.array([edited[row] for row in rows], TEXT)
            columns |= self._measures(chosen)
        self.dropped.write(pa.table(columns))

    def _measures(self, verdicts: list[Verdict]) -> dict[str, pa.Array]:
        if self.measured is None:
            return {}
        values = np.array([verdict.values for verdict in verdicts], np.float64)
        values = values.reshape(len(verdicts), len(self.measured))
        columns = {name: pa.array(values[:, k]) for k, name in enumerate(self.measured)}
        failed = [list(verdict.failed) for verdict in verdicts]
        return {**columns, "failed_rules": pa.array(failed, pa.list_(pa.string()))}

    def _write_signatures(
        self, batch: pa.RecordBatch, rows: np.ndarray, verdicts: list[Verdict]
    ) -> None:
        signed = [Signed(verdicts[row], self.method) for row in rows]
        columns = {name: batch.column(name).take(pa.array(rows)) for name in ("file", "offset")}
        columns["kept"] = pa.array([verdicts[row].kept for row in rows], pa.bool_())
        columns["signature"] = signature_column([one.signature for one in signed], self.method)
        columns["shingles"] = pa.array([one.shingles for one in signed], pa.int32())
        columns["text_hash"] = pa.array([one.text_hash for one in signed], pa.binary(16))
        columns["chars"] = pa.array([one.chars for one in signed], pa.int64())
        self.signed.write(pa.table(columns))


def stage_counts(
    counts: Mapping[str, int], dropped: Mapping[str, int], without_value: Mapping[str, int]
) -> dict[str, Any]:
    """The counts of a partition; `without_value`: drops by a user's rule that gave no number."""
    entry = {**counts, "dropped": dict(sorted(dropped.items()))}
    return entry | ({"without_value": dict(sorted(without_value.items()))} if without_value else {})


class Signed:
    """What deduplication knows of a document."""

    __slots__ = ("chars", "shingles", "signature", "text_hash")

    def __init__(self, verdict: Verdict, method: MinHash) -> None:
        hashes = minhash.shingles(verdict.doc, method)
        self.signature = minhash.signature(hashes, method)
        self.shingles = len(hashes)
        self.text_hash = xxhash.xxh3_128_digest(verdict.text.encode())
        self.chars = len(verdict.text)


def signature_column(signatures: list[np.ndarray | None], method: MinHash) -> pa.Array:
    """Signatures as a column of their bytes; null where a text has too few words for one."""
    rows = [None if one is None else one.astype("<u8").tobytes() for one in signatures]
    return pa.array(rows, pa.binary(8 * method.permutations))
