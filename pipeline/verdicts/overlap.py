"""What each rule removes, what it alone removes, which rules agree, and where the bounds lie.

Needs the measures of documents that other rules drop, hence `filter.all_measures`; without it only
the alarms remain: a rule that never fires or fires on nearly everything is seldom what was meant.
The figures go to `2-filtered/overlap.json`, which the report shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from decant.filters.recipe import Recipe
from decant.filters.rule import Rule
from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import partition_numbers
from decant.pipeline.stage_keys import stage_digest

PATH = paths.OVERLAP
FEW_DOCUMENTS = 1_000  # a rule that fires on one page in 10,000 is silent among fewer, rightly
NEARLY_ALL = 0.9
FRACTION_EDGES = np.linspace(0, 1, 51)
# Counts span six powers of ten; half powers of two from 0 and 1 to 2^24.
COUNT_EDGES = np.concatenate([[0.0], 2.0 ** np.arange(0, 24.5, 0.5)])


def write(engine: Engine, store: Store, config: RunConfig, entry: Mapping[str, Any]) -> None:
    """Write `2-filtered/overlap.json` for a filter stage with this ledger entry."""
    recipe = config.recipe()
    if config.filter.all_measures:
        tasks = [
            Task(partition_name(number), {"partition": number}, {"ledger": entry})
            for number in partition_numbers(store)
        ]
        results = engine.map(
            "filter/overlap", count_partition, tasks, stage_digest(config, "filter")
        )
        figures = summary(recipe, results.values())
    else:
        figures = {"documents": entry["in"], "rules": {}}
    figures["warnings"] = warnings(recipe, entry)
    checked_json.write(store, PATH, figures)


def count_partition(job: Job) -> dict[str, Any]:
    """Documents, failures, lone failures, joint failures and histograms of one partition."""
    rules = job.config.recipe().rules
    number = job.task.args["partition"]
    columns = [rule.name for rule in rules]
    counts = Counts(rules)
    for path in (paths.kept(number), paths.dropped(number)):
        for batch in job.store.iter_batches(path, columns, 10_000):
            values = [batch.column(column).to_numpy() for column in columns]
            counts.add(np.stack(values, axis=1) if values else np.empty((batch.num_rows, 0)))
    return counts.as_lists()


class Counts:
    """Sums over measured documents, one row and column per rule of the recipe."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.documents = 0
        self.alone = np.zeros(len(rules), np.int64)
        self.both = np.zeros((len(rules), len(rules)), np.int64)  # diagonal: failures of each rule
        self.histograms = [np.zeros(len(edges_of(rule)), np.int64) for rule in rules]

    def add(self, values: np.ndarray) -> None:
        """Count documents with these measures, float64 [documents, rules]."""
        failed = np.zeros(values.shape, np.bool_)
        for k, rule in enumerate(self.rules):
            failed[:, k] = ~rule.keep.keeps_array(values[:, k])
            edges = edges_of(rule)
            known = values[:, k][~np.isnan(values[:, k])]
            bins = np.searchsorted(edges, known, side="right") - 1
            self.histograms[k] += np.bincount(np.maximum(bins, 0), minlength=len(edges))
        self.documents += len(values)
        self.alone += failed[failed.sum(axis=1) == 1].sum(axis=0)
        as_numbers = failed.astype(np.int64)
        self.both += as_numbers.T @ as_numbers

    def as_lists(self) -> dict[str, Any]:
        """The sums as plain lists."""
        return {
            "documents": self.documents,
            "alone": self.alone.tolist(),
            "both": self.both.tolist(),
            "histograms": [one.tolist() for one in self.histograms],
        }


def edges_of(rule: Rule) -> np.ndarray:
    """Lower edges of a rule's histogram; the last bin is open above."""
    bounds = (rule.keep.low, rule.keep.high)
    is_ratio = rule.unit.startswith("fraction") or any(0 < bound < 1 for bound in bounds)
    return FRACTION_EDGES if is_ratio else COUNT_EDGES


def summary(recipe: Recipe, parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a run from the sums of its partitions."""
    rules = recipe.rules
    total = Counts(rules)
    for part in parts:
        total.documents += part["documents"]
        total.alone += np.array(part["alone"], np.int64)
        total.both += np.array(part["both"], np.int64).reshape(total.both.shape)
        for mine, others in zip(total.histograms, part["histograms"], strict=True):
            mine += np.array(others, np.int64)
    return {
        "documents": total.documents,
        "rules": {
            rule.name: {
                "failed": int(total.both[k, k]),
                "solo": int(total.alone[k]),
                "keep": rule.keep.as_mapping(),
                "unit": rule.unit,
                "histogram": {
                    "edges": edges_of(rule).round(6).tolist(),
                    "counts": total.histograms[k].tolist(),
                },
            }
            for k, rule in enumerate(rules)
        },
        "overlap": {"rules": [rule.name for rule in rules], "both": total.both.tolist()},
    }


def warnings(recipe: Recipe, entry: Mapping[str, Any]) -> list[str]:
    """Rules that never were the first to fail, or nearly always were, of those they met."""
    warned = []
    reached = entry["in"]
    for name, count in entry.get("without_value", {}).items():
        warned.append(
            f"{name} raised, or gave no number, for {count:,} documents: all were dropped"
        )
    for rule in recipe.rules:
        dropped = entry["dropped"].get(rule.name, 0)
        if dropped == 0 and reached >= FEW_DOCUMENTS:
            warned.append(f"{rule.name} ({rule.keep}) dropped none of {reached:,} documents")
        elif reached and dropped / reached >= NEARLY_ALL and reached >= FEW_DOCUMENTS:
            share = dropped / reached
            warned.append(f"{rule.name} ({rule.keep}) dropped {share:.1%} of {reached:,} documents")
        reached -= dropped
    return warned
