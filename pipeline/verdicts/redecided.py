"""Stored measures become rows again, under other bounds; what was not measured is measured now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decant.filters.recipe import Decisions, Recipe
from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import SIGNATURE_OPTIONS
from decant.pipeline.verdicts import writers
from decant.pipeline.verdicts.scores import ColumnScores, score_counts


@dataclass
class TextReading:
    """What deciding again takes from another run, and how many texts it has read in this process.

    `measured` are the rules whose stored values hold; the others are measured from the text.
    """

    source_url: str
    measured: tuple[str, ...]
    texts: Counter[int] = field(default_factory=Counter)  # by partition: a retry counts once


def redecide_partition(reading: TextReading, job: Job) -> dict[str, Any]:
    """Write kept, dropped and signature rows of one partition from the measures of another run."""
    source = Store(reading.source_url)
    number = job.task.args["partition"]
    recipe, _ = writers.loaded(job.config)
    every = job.config.filter.all_measures
    scores = ColumnScores(job.store, recipe, job.task.args.get("scores"))
    table = _Partition(source, number, recipe, reading.measured, every, scores)
    decided = table.decide()
    reading.texts[number] = table.texts_read
    is_kept = pc.is_null(decided.column("rule"))
    columns = [rule.name for rule in recipe.rules] if every else None
    kept, dropped = decided.filter(is_kept), decided.filter(pc.invert(is_kept))
    with job.store.table_writer(paths.kept(number), writers.kept_schema(columns)) as writer:
        writer.write(kept)
    with job.store.table_writer(paths.dropped(number), writers.dropped_schema(columns)) as writer:
        writer.write(with_addresses(dropped, source, number))
    write_signatures(job, source, number, is_kept)
    counts = Counter(dropped.column("rule").to_pylist())
    reasons = pc.is_valid(dropped.column("detail"))
    without_value = Counter(dropped.filter(reasons).column("rule").to_pylist())
    totals = {"in": decided.num_rows, "kept": kept.num_rows, "errors": 0}
    gaps = score_counts(job.store, recipe, number, job.task.args.get("scores"))
    return {**writers.stage_counts(totals, counts, without_value), **gaps}


class _Partition:
    """The documents of one partition of another run, in row-key order, under a recipe."""

    def __init__(
        self,
        source: Store,
        number: int,
        recipe: Recipe,
        measured: Sequence[str],
        every: bool,
        scores: ColumnScores,
    ) -> None:
        self.source, self.number, self.recipe, self.every = source, number, recipe, every
        self.scores = scores
        self.known = [rule.name in measured for rule in recipe.rules]
        columns = [rule.name for rule in recipe.rules if rule.name in measured]
        self.rows = measured_rows(source, number, columns)
        self.texts_read = 0
        self.values = np.full((self.rows.num_rows, len(self.known)), np.nan)
        for k, rule in enumerate(recipe.rules):
            if self.known[k]:
                self.values[:, k] = self.rows.column(rule.name).to_numpy()

    def decide(self) -> pa.Table:
        """The rows with stage, rule, value, bound, detail and failed_rules."""
        if not all(self.known):
            self._measure_missing()
        decisions = self.recipe.decide(self.values)
        details = self._judge_again(decisions)
        return self._table(decisions, details)

    def _measure_missing(self) -> None:
        """Fill in the rules without stored values, for the documents that a decision needs."""
        missing = [k for k, known in enumerate(self.known) if not known]
        needed = np.arange(len(self.values))
        if not self.every and all(self.recipe.rules[k].met_at is None for k in missing):
            # What fails a stored rule before the first missing one is decided already.
            first = self.recipe.decide(self.values[:, : missing[0]]).first
            needed = np.flatnonzero(first < 0)
        recipe, behind_edits = self.recipe.only(missing), self._are_behind_edits(missing)
        if behind_edits:
            recipe = Recipe(tuple(step for step in recipe.steps if step.rule is not None))
        for some in np.array_split(needed, max(1, -(-len(needed) // 1_000))):
            texts, records = self._documents(some)
            if behind_edits:
                edited = self.rows.column("text").take(pa.array(some)).to_pylist()
                texts = [
                    text if other is None else other
                    for text, other in zip(texts, edited, strict=True)
                ]
            verdicts = recipe.judge_all(texts, True, records)
            for row, verdict in zip(some, verdicts, strict=True):
                self.values[row, missing] = verdict.values

    def _are_behind_edits(self, missing: Sequence[int]) -> bool:
        """Whether these rules see the text that the run has stored, after its last edit.

        Applying C4's edit anew takes most of the time of measuring a rule; one that reads the notes
        of an edit needs it all the same.
        """
        edits = [at for at, step in enumerate(self.recipe.steps) if step.rule is None]
        behind = {
            id(step.rule)
            for step in self.recipe.steps[edits[-1] + 1 if edits else 0 :]
            if step.rule
        }
        rules = [self.recipe.rules[number] for number in missing]
        return all(id(rule) in behind and rule.needs is None for rule in rules)

    def _judge_again(self, decisions: Decisions) -> dict[int, str]:
        """Settle what values alone do not say; the reasons of rules that gave no number, by row.

        Two rules that share a place fail together in about one document of 10,000, and the text
        says which is met first. A user's rule that is NaN says in the text's verdict why.
        """
        rules = self.recipe.rules
        custom = np.array([rule.custom for rule in rules], np.bool_)
        first = decisions.first
        rows = np.arange(len(first))
        lost = first >= 0
        unsaid = lost & custom[first] & np.isnan(self.values[rows, first]) if len(rules) else lost
        again = np.flatnonzero(decisions.tied | unsaid)
        if not len(again):
            return {}
        numbers = {rule.name: k for k, rule in enumerate(rules)}
        texts, records = self._documents(again)
        details: dict[int, str] = {}
        for row, verdict in zip(again, self.recipe.judge_all(texts, False, records), strict=True):
            assert verdict.dropped_by is not None
            first[row] = numbers[verdict.dropped_by]
            if verdict.detail is not None:
                details[int(row)] = verdict.detail
        return details

    def _documents(self, rows: np.ndarray) -> tuple[list[str], list[dict] | None]:
        """The extracted texts of these rows, and the columns that rules read."""
        import_spacy()
        self.texts_read += len(rows)
        reads = self.recipe.reads
        columns = list(dict.fromkeys(("offset", "text", *self.scores.own)))
        table = self.source.read_table(paths.extracted(self.number), columns)
        offsets = self.rows.column("offset").to_numpy()[rows]
        places = np.searchsorted(table.column("offset").to_numpy(), offsets)
        chosen = table.take(pa.array(places))
        if not np.array_equal(chosen.column("offset").to_numpy(), offsets):
            raise ValueError(f"{paths.extracted(self.number)} lacks documents that were measured")
        records = None
        if reads:
            batches = map(self.scores.joined, chosen.combine_chunks().to_batches())
            records = [one for batch in batches for one in batch.select(list(reads)).to_pylist()]
        return chosen.column("text").to_pylist(), records

    def _table(self, decisions: Decisions, details: dict[int, str]) -> pa.Table:
        rules, size, first = self.recipe.rules, self.rows.num_rows, decisions.first
        lost = first >= 0
        met = self.values[np.arange(size), first] if rules else np.zeros(size)
        value = np.where(lost, met, 0.0)
        bound = [
            rules[k].keep.crossed(v) if k >= 0 else None for k, v in zip(first, value, strict=True)
        ]
        names = np.array([rule.name for rule in rules], object)
        columns = {
            "file": self.rows.column("file"),
            "offset": self.rows.column("offset"),
            "text": self.rows.column("text"),
            "stage": pa.array([writers.STAGE] * size, pa.string()),
            "rule": pa.array([names[k] if k >= 0 else None for k in first], pa.string()),
            "value": pa.array(value, mask=~lost),
            "bound": pa.array(bound, pa.float64()),
            "detail": pa.array([details.get(row) for row in range(size)], pa.string()),
            "failed_rules": pa.array(
                [names[row].tolist() for row in decisions.failed], pa.list_(pa.string())
            ),
            **{rule.name: pa.array(self.values[:, k]) for k, rule in enumerate(rules)},
        }
        return pa.table(columns)


def measured_rows(source: Store, number: int, measured: list[str]) -> pa.Table:
    """Key, edited text and measures of every document of a partition, in row-key order."""
    columns = ["file", "offset", "text", *measured]
    files = (paths.kept(number), paths.dropped(number))
    parts = [source.read_table(path, columns) for path in files]
    rows = pa.concat_tables([part.select(columns) for part in parts]).combine_chunks()
    return rows.sort_by([("file", "ascending"), ("offset", "ascending")])


def with_addresses(dropped: pa.Table, source: Store, number: int) -> pa.Table:
    """`dropped` with the id and URL of each document."""
    rows = source.read_table(paths.extracted(number), ["file", "offset", "id", "url"])
    offsets = dropped.column("offset").to_numpy()
    chosen = rows.take(pa.array(np.flatnonzero(np.isin(rows.column("offset").to_numpy(), offsets))))
    if not np.array_equal(chosen.column("offset").to_numpy(), offsets):
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
