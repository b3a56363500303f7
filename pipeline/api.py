"""decant from Python: runs and their tables, verdicts on texts, duplicates among texts.

    import decant
    run = decant.run("fineweb", input="crawl/", output="RUN", workers=0)
    run.funnel()["filter"]["kept"]

Tables are Arrow's, which pandas and polars take as they are: `run.kept().to_pandas()`,
`polars.from_arrow(run.kept())`. What a command would say in one line and an exit code is raised.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet

from decant.filters.recipe import Verdict
from decant.filters.steps import RecipeError, build
from decant.pipeline import config as configuration
from decant.pipeline.command import RunRequest, perform, resolve
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.report import funnel
from decant.pipeline.run import stored_config
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import DROPPED, partition_numbers
from decant.pipeline.rundir.texts import kept_documents

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
Settings = Mapping[str, Any]


class Run:
    """A run directory, a path or fsspec URL; ConfigError or RunError where it is none."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = str(path)
        self._store = Store(self.path)
        self.config = stored_config(self._store)

    def __repr__(self) -> str:
        return f"decant.Run({self.path!r})"

    def funnel(self) -> dict[str, dict[str, Any]]:
        """`in`, `kept`, `errors` and `dropped` by rule, for each stage that is finished."""
        return funnel.read_ledger(self._store)["stages"]

    def kept_batches(self) -> Iterator[pa.Table]:
        """`kept`, some hundred documents at a time: memory does not grow with the run."""
        for number in partition_numbers(self._store):
            yield from kept_documents(self._store, number)

    def kept(self) -> pa.Table:
        """The documents that the rules kept, before deduplication, their text as the rules left it.

        Columns are those of `1-extracted`: id, url, date, language, text and others.
        """
        return pa.concat_tables([*self.kept_batches(), _nothing(self._store)])

    def dropped(self, rule: str | None = None) -> pa.Table:
        """What every stage dropped, or what this rule did: id, url, stage, rule, value, bound.

        A duplicate has the document that stays in `duplicate_of`, `jaccard` and `cluster_size`.
        """
        tables = []
        for number in partition_numbers(self._store):
            for path in (
                paths.not_extracted(number),
                paths.dropped(number),
                paths.table(paths.DUPLICATES, number),
            ):
                if self._store.exists(path):
                    columns = set(self._store.column_names(path))
                    names = [*DROPPED.names, "duplicate_of", "jaccard", "cluster_size"]
                    table = self._store.read_table(path, [n for n in names if n in columns])
                    if rule is not None:
                        table = table.filter(pc.equal(table.column("rule"), rule))
                    tables.append(table)
        return pa.concat_tables([*tables, DROPPED.empty_table()], promote_options="default")

    def shards(self) -> pyarrow.dataset.Dataset:
        """The published files as a dataset, which reads what is asked of it and no more."""
        files = [name for name in self._store.list(paths.SHARD_DATA) if name.endswith(".parquet")]
        if not files:
            raise ConfigError(f"{self.path}: stage shard has not run yet; run it first")
        location = [self._store.path(name) for name in files]
        if self._store.is_local:
            return pyarrow.dataset.dataset(location)
        return pyarrow.dataset.dataset(location, filesystem=self._store.fs)


def _nothing(store: Store) -> pa.Table:
    """No row of a kept document, for a run that keeps none."""
    numbers = partition_numbers(store)
    schema = store.read_table(paths.extracted(numbers[0])).schema if numbers else pa.schema([])
    return schema.empty_table()


def run(
    config: str | PathLike[str],
    *,
    input: Paths = (),
    output: str | PathLike[str] = "RUN",
    workers: int | None = 0,
    settings: Settings | None = None,
    rules_from: Paths = (),
    stages: Sequence[str] | None = None,
    source: str | PathLike[str] | None = None,
) -> Run:
    """The run that `decant run CONFIG` would have made, resumed where one was begun.

    `settings` are configuration keys by dotted name, as `--set` has them; `workers=0` stays in this
    process; `stages` are some of extract, filter, deduplicate, shard; `source` is `--from`.
    """
    request = RunRequest(
        config=str(config),
        output=str(output),
        inputs=_listed(input),
        workers=workers,
        settings=tuple(f"{key}={json.dumps(value)}" for key, value in (settings or {}).items()),
        stages=("filter",) if source is not None else None if stages is None else tuple(stages),
        source=None if source is None else str(source),
        rules_from=_listed(rules_from),
    )
    perform(request, resolve(request))
    return Run(output)


def judge(
    texts: Sequence[str],
    recipe: str | PathLike[str] | Sequence[Any] = "fineweb",
    *,
    rules_from: Paths = (),
    all_measures: bool = False,
) -> list[Verdict]:
    """What a recipe says of each text: `kept`, `dropped_by`, `value`, `bound`, `text` after edits.

    `recipe` is a name, a path, or a list of steps as they stand under `filter.rules`.
    """
    import_spacy()
    if isinstance(recipe, str | PathLike):
        rules = configuration.load(str(recipe), (), _listed(rules_from)).measuring_recipe()
    else:
        try:
            rules = build(recipe)
        except RecipeError as error:
            raise ConfigError(f"recipe: {error}") from None
    if rules.reads:
        raise ConfigError(
            f"judge has texts only; rules of the recipe read {', '.join(rules.reads)}"
        )
    return rules.judge_all(texts, all_measures)


def dedup(texts: Sequence[str], *, settings: Settings | None = None) -> list[int | None]:
    """For each text the number of the text that it repeats and that stays; None where it stays.

    MinHash as in `fineweb.yaml`; `settings` are keys of `dedup` (`{"min_jaccard": 0.8}`). The run
    behind it lies in a temporary folder and is gone afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="decant-") as folder:
        numbers = [str(number) for number in range(len(texts))]
        rows = pa.table({"id": numbers, "text": pa.array(texts, pa.large_string())})
        pyarrow.parquet.write_table(rows, Path(folder) / "texts.parquet")
        config = Path(folder) / "config.yaml"
        config.write_text(_DEDUP_ALONE, encoding="utf-8")
        finished = run(
            config,
            input=Path(folder) / "texts.parquet",
            output=Path(folder) / "run",
            settings={f"dedup.{key}": value for key, value in (settings or {}).items()},
            stages=("extract", "filter", "deduplicate"),
        )
        dropped = finished.dropped()
        repeats = dropped.filter(pc.equal(dropped.column("stage"), "deduplicate"))
        columns = (repeats.column(name).to_pylist() for name in ("id", "duplicate_of"))
        stays = {int(one): int(other) for one, other in zip(*columns, strict=True)}
    return [stays.get(number) for number in range(len(texts))]


_DEDUP_ALONE = """
input: {format: documents}
url: {enabled: false}
language: {keep: null, threshold: 0}
filter: {rules: []}
dedup: {scope: run, recall_queries: 0, exact_sample: 0}
"""


def _listed(value: Paths) -> tuple[str, ...]:
    return (str(value),) if isinstance(value, str | PathLike) else tuple(map(str, value))
