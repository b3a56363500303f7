"""Stored measures become rows again, under other bounds."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decant.filters.recipe import Decisions, Recipe
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import SIGNATURE_OPTIONS
from decant.pipeline.rundir.texts import extracted_texts
from decant.pipeline.verdicts import writers


def redecide_partition(source_url: str, measured: list[str], job: Job) -> dict[str, Any]:
    """Write kept, dropped and signature rows of one partition from the measures of another run."""
    source = Store(source_url)
    number = job.task.args["partition"]
    recipe, _ = writers.loaded(job.config)
    rows = measured_rows(source, number, measured)
    decided = decide(recipe, rows, source, number)
    is_kept = pc.is_null(decided.column("rule"))
    columns = [rule.name for rule in recipe.rules] if job.config.filter.all_measures else None
    kept, dropped = decided.filter(is_kept), decided.filter(pc.invert(is_kept))
    with job.store.table_writer(paths.kept(number), writers.kept_schema(columns)) as writer:
        writer.write(kept)
    with job.store.table_writer(paths.dropped(number), writers.dropped_schema(columns)) as writer:
        writer.write(with_addresses(dropped, source, number))
    write_signatures(job, source, number, is_kept)
    counts = Counter(dropped.column("rule").to_pylist())
    totals = {"in": decided.num_rows, "kept": kept.num_rows, "errors": 0}
    return {**totals, "dropped": dict(sorted(counts.items()))}


def measured_rows(source: Store, number: int, measured: list[str]) -> pa.Table:
    """Key, edited text and measures of every document of a partition, in row-key order."""
    columns = ["file", "offset", "text", *measured]
    files = (paths.kept(number), paths.dropped(number))
    parts = [source.read_table(path, columns) for path in files]
    rows = pa.concat_tables([part.select(columns) for part in parts]).combine_chunks()
    return rows.sort_by([("file", "ascending"), ("offset", "ascending")])


def decide(recipe: Recipe, rows: pa.Table, source: Store, number: int) -> pa.Table:
    """`rows` with stage, rule, value, bound, detail and failed_rules under `recipe`'s bounds."""
    rules = recipe.rules
    size = rows.num_rows
    values = np.empty((size, len(rules)), np.float64)
    for k, rule in enumerate(rules):
        values[:, k] = rows.column(rule.name).to_numpy()
    decisions = recipe.decide(values)
    failed, first = decisions.failed, decisions.first
    settle_ties(recipe, rows, decisions, source, number)
    lost = first >= 0
    value = np.where(lost, values[np.arange(size), first], 0.0) if len(rules) else np.zeros(size)
    bound = [
        rules[k].keep.crossed(v) if k >= 0 else None for k, v in zip(first, value, strict=True)
    ]
    names = np.array([rule.name for rule in rules], object)
    columns = {
        "file": rows.column("file"),
        "offset": rows.column("offset"),
        "text": rows.column("text"),
        "stage": pa.array([writers.STAGE] * size, pa.string()),
        "rule": pa.array([names[k] if k >= 0 else None for k in first], pa.string()),
        "value": pa.array(value, mask=~lost),
        "bound": pa.array(bound, pa.float64()),
        "detail": pa.nulls(size, pa.string()),
        "failed_rules": pa.array([names[row].tolist() for row in failed], pa.list_(pa.string())),
        **{rule.name: rows.column(rule.name) for rule in rules},
    }
    return pa.table(columns)


def settle_ties(
    recipe: Recipe, rows: pa.Table, decisions: Decisions, source: Store, number: int
) -> None:
    """Name the rule that is met first in the text where rules that share a place fail together.

    Stored values do not say which came first; these documents, about one in 10,000, are read again.
    """
    tied = np.flatnonzero(decisions.tied)
    if not len(tied):
        return
    numbers = {rule.name: k for k, rule in enumerate(recipe.rules)}
    offsets = rows.column("offset").to_pylist()
    row_at = {offsets[row]: row for row in tied}
    for offset, text in extracted_texts(source, number, row_at):
        row, dropped_by = row_at[offset], recipe.judge(text).dropped_by
        assert dropped_by is not None
        decisions.first[row] = numbers[dropped_by]


def with_addresses(dropped: pa.Table, source: Store, number: int) -> pa.Table:
    """`dropped` with the id and URL of each document."""
    rows = source.read_table(paths.extracted(number), ["file", "offset", "id", "url"])
    wanted = dropped.column("offset").to_numpy()
    chosen = rows.take(pa.array(np.flatnonzero(np.isin(rows.column("offset").to_numpy(), wanted))))
    if not np.array_equal(chosen.column("offset").to_numpy(), wanted):
        raise ValueError(
            f"{paths.extracted(number)} and the measures do not hold the same documents"
        )
    return dropped.append_column("id", chosen.column("id")).append_column(
        "url", chosen.column("url")
    )


def write_signatures(job: Job, source: Store, number: int, is_kept: pa.ChunkedArray) -> None:
    """The signatures of every document where all are measured, else of the kept ones."""
    path = paths.signatures(number)
    rows = source.read_table(path)
    rows = rows.set_column(rows.schema.get_field_index("kept"), "kept", is_kept)
    if not job.config.filter.all_measures:
        rows = rows.filter(is_kept)
    schema = writers.signed_schema(job.config)
    with job.store.table_writer(path, schema, options=SIGNATURE_OPTIONS) as writer:
        writer.write(rows)
