"""The numbers that `column` rules compare: of a document's own columns, or of a table beside it.

A column of the documents lies in `1-extracted`. A table of `input.scores` is read alongside where
it has the rows of the documents in their order, which the ids must show; else it is joined by id.
A document without a number has NaN, and the step's `missing` says whether that is kept; a table
that has an id twice gives none of the two, or the first (`duplicate: first`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decant.filters.recipe import Recipe
from decant.pipeline.config import RunConfig
from decant.pipeline.documents.columns import is_number
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.rundir import inputs, paths
from decant.pipeline.rundir.document_inputs import ROW
from decant.pipeline.rundir.records import EXTRACTED
from decant.pipeline.rundir.score_table import (
    ScoreFile,
    score_columns,
    score_files,
    wanted_columns,
)
from decant.pipeline.verdicts.score_join import (
    FOUND,
    MISSING,
    REPEATED,
    join,
    joined_scores,
    pieces_between,
    rows_between,
)

ID_ROWS = 50_000


def prepare(engine: Engine, store: Store, config: RunConfig, digest: str) -> dict[int, dict]:
    """What each partition's task has to know of the scores, by its number; {} where none are read.

    Raises ConfigError where a rule compares a column that nothing has.
    """
    columns = beside(config)
    _refuse_unknown(store, config, columns)
    if not columns:
        return {}
    files = score_files(config)
    shared = {"identity": config.input.scores_id, "columns": columns}
    extracted = {key: one.counts for key, one in engine.outputs("extract/pages").items()}
    numbers = [one.number for one in inputs.load(store)]
    counts = [extracted.get(paths.partition_name(number), {}) for number in numbers]
    tasks = [
        Task(paths.partition_name(number), {**shared, "partition": number, **span})
        for number, span in zip(numbers, _spans(store, counts, files), strict=False)
    ]
    checks = engine.map("filter/score_order", has_order, tasks, digest) if tasks else {}
    if tasks and all(one["agrees"] for one in checks.values()):
        return {task.args["partition"]: task.args for task in tasks}
    documents = sum(one.get("kept", 0) for one in counts)
    buckets = join(engine, numbers, files, shared, documents, config.dedup.memory_mb, digest)
    table = [[one.url, one.size, one.etag] for one in files]
    return {
        number: {**shared, "table": table, "buckets": buckets, "place": place}
        for place, number in enumerate(numbers)
    }


def beside(config: RunConfig) -> list[str]:
    """The columns of the table that the recipe compares."""
    there = set(score_columns(config))
    return [name for name in config.recipe().reads if name in there and name not in EXTRACTED.names]


def _refuse_unknown(store: Store, config: RunConfig, columns: Sequence[str]) -> None:
    reads = [name for name in config.recipe().reads if name not in columns]
    compared = wanted_columns(config)
    for one in inputs.load(store) if reads else ():
        with store.parquet(paths.extracted(one.number)) as file:
            schema = file.schema_arrow
        names = schema.names
        for name in reads:
            if name in names and name in compared and not is_number(schema.field(name).type):
                kind = schema.field(name).type
                raise ConfigError(f"column {name!r} has type {kind}; a rule needs a number")
            if name not in names:
                raise ConfigError(
                    f"a rule reads the column {name!r}, which {store.url} was begun without and "
                    "input.scores does not have; name it before the run begins, with another "
                    f"--output. Columns there: {', '.join(names)}"
                )


def _spans(store: Store, counts: Sequence[dict], files: Sequence[ScoreFile]) -> list[dict]:
    """Which rows of the table are each partition's, if it has the documents' order; else []."""
    documents = [one.source.offset_kind == ROW for one in inputs.load(store)]
    total = sum(one.get("in", 0) for one in counts)
    if not all(documents) or total != sum(one.rows for one in files):
        return []
    spans, row = [], 0
    for one in counts:
        stop = row + one["in"]
        pieces = pieces_between(files, row, stop)
        spans.append({"row": row, "stop": stop, "first": one["first_row"][0], "pieces": pieces})
        row = stop
    return spans


def has_order(job: Job) -> dict[str, Any]:
    """Whether the ids of a partition's documents stand in the table at their rows."""
    args = job.task.args
    ids = [one for found, _ in _rows(args, []) for one in found]
    for batch in job.store.iter_batches(
        paths.extracted(args["partition"]), ["offset", "id"], ID_ROWS
    ):
        rows = (batch.column("offset").to_numpy() - args["first"]).tolist()
        for row, one in zip(rows, batch.column("id").to_pylist(), strict=True):
            if not 0 <= row < len(ids) or ids[row] != one:
                return {"agrees": False}
    return {"agrees": True}


def _rows(args: dict[str, Any], columns: list[str]) -> Iterator[tuple[list[str], np.ndarray]]:
    return rows_between(args["pieces"], args["row"], args["stop"], args["identity"], columns)


class ColumnScores:
    """The score columns of a partition, batch by batch in row-key order, and what they lack."""

    def __init__(self, store: Store, recipe: Recipe, args: dict[str, Any] | None) -> None:
        self._names: list[str] = args["columns"] if args else []
        self.own = [name for name in recipe.reads if name not in self._names]
        self.rules = [rule for rule in recipe.rules if "column" in rule.options]
        self._counts = {rule.name: Counter[str]() for rule in self.rules}
        if args:
            self._offsets, self._states, self._values = _partition_scores(store, args)

    def joined(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the columns of the table, whose gaps are counted."""
        if self._names:
            at = np.searchsorted(self._offsets, batch.column("offset").to_numpy())
            states, values = self._states[at], self._values[at]
        else:
            states, values = np.zeros(batch.num_rows, np.uint8), np.empty((batch.num_rows, 0))
        for rule in self.rules:
            if rule.name not in self._names:
                self._count(rule.name, states, batch.column(rule.name))
                continue
            column = values[:, self._names.index(rule.name)]
            unclear = states == REPEATED
            if rule.options["duplicate"] == "missing":
                column = np.where(unclear, np.nan, column)
            self._counts[rule.name]["duplicate"] += int(unclear.sum())
            self._count(rule.name, states, pa.array(column), unclear)
            batch = batch.append_column(rule.name, pa.array(column))
        return batch

    def _count(
        self, name: str, states: np.ndarray, column: pa.Array, apart: np.ndarray | None = None
    ) -> None:
        missing = (states == MISSING) | column.is_null().to_numpy(zero_copy_only=False)
        is_nan = np.zeros(len(missing), np.bool_)
        if pa.types.is_floating(column.type):
            is_nan = (
                pc.fill_null(pc.is_nan(column), False).to_numpy(zero_copy_only=False) & ~missing
            )
        if apart is not None:
            is_nan &= ~apart
        self._counts[name].update(missing=int(missing.sum()), nan=int(is_nan.sum()))

    def counts(self) -> dict[str, Any]:
        """How many documents lack a clear number, by rule; {} for a recipe without such rules."""
        if not self.rules:
            return {}
        return {"scores": {name: dict(sorted(one.items())) for name, one in self._counts.items()}}


def score_counts(
    store: Store, recipe: Recipe, number: int, args: dict[str, Any] | None
) -> dict[str, Any]:
    """`ColumnScores.counts` of a partition whose texts are not judged again."""
    columns = ColumnScores(store, recipe, args)
    if columns.rules:
        names = ["offset", *columns.own]
        for batch in store.iter_batches(paths.extracted(number), names, ID_ROWS):
            columns.joined(batch)
    return columns.counts()


def _partition_scores(store: Store, args: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """(offset, state, values) of the documents of a partition."""
    if "buckets" in args:
        return joined_scores(store, args["buckets"], args["place"])
    parts = [values for _, values in _rows(args, args["columns"])]
    values = np.concatenate([np.empty((0, len(args["columns"]))), *parts])
    offsets = np.arange(len(values)) + args["first"]
    return offsets, np.full(len(values), FOUND, np.uint8), values
