"""Second stage: extracted texts in, verdicts, edited texts and signatures out.

Each text meets the recipe once. What is kept is written again only where an edit changed it; what
is dropped leaves its rule, value and bound. With `filter.all_measures` every document, kept or not,
leaves the value of every rule and its signature, so that other bounds are a look at columns.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Engine, Job, Step, Task
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import inputs, ledger, paths
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import SIGNATURE_OPTIONS
from decant.pipeline.stage_keys import stage_digest
from decant.pipeline.verdicts import overlap, scores
from decant.pipeline.verdicts.scores import ColumnScores
from decant.pipeline.verdicts.writers import (
    STAGE,
    Writers,
    dropped_schema,
    kept_schema,
    loaded,
    signed_schema,
    stage_counts,
)

VERSION = 2  # 2: signatures are stored as bytes
BATCH_ROWS = 1_000
COLUMNS = ("file", "offset", "id", "url", "text")


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The ledger entry of judging every extracted document."""
    results = judge_partitions(engine, store, config, filter_partition)
    entry = {"in": 0, "kept": 0, "errors": 0, "dropped": {}} | ledger.add(results.values())
    overlap.write(engine, store, config, entry)
    return entry


def judge_partitions(
    engine: Engine, store: Store, config: RunConfig, step: Step
) -> dict[str, dict[str, Any]]:
    """The counts of every partition, by name, from `step`: filtering, or deciding again."""
    before = engine.outputs("extract/pages")
    beside = scores.prepare(engine, store, config, stage_digest(config, STAGE))
    tasks = []
    for one in inputs.load(store):
        name = partition_name(one.number)
        outputs = before[name].outputs if name in before else ()
        checksums = {output.path: output.checksum for output in outputs}
        args = {"scores": beside[one.number]} if beside else {}
        tasks.append(Task(name, {"partition": one.number, **args}, checksums))
    batches = loaded(config)[0].batches
    return engine.map(
        "filter/verdicts",
        step,
        tasks,
        stage_digest(config, STAGE),
        VERSION,
        gpus=sum(batch.gpus for batch in batches),
        memory_mb=sum(batch.memory_mb for batch in batches),
    )


def filter_partition(job: Job) -> dict[str, Any]:
    """Write kept, dropped and signature rows of one partition; returns its counts."""
    import_spacy()
    config = job.config
    number = job.task.args["partition"]
    recipe, method = loaded(config)
    measured = [rule.name for rule in recipe.rules] if config.filter.all_measures else None
    counts: Counter[str] = Counter({"in": 0, "kept": 0, "errors": 0})
    dropped: Counter[str] = Counter()
    without_value: Counter[str] = Counter()
    with (
        job.store.table_writer(paths.kept(number), kept_schema(measured)) as kept_rows,
        job.store.table_writer(paths.dropped(number), dropped_schema(measured)) as dropped_rows,
        job.store.table_writer(
            paths.signatures(number), signed_schema(config), options=SIGNATURE_OPTIONS
        ) as signed_rows,
    ):
        writers = Writers(kept_rows, dropped_rows, signed_rows, recipe, method, measured)
        columns = ColumnScores(job.store, recipe, job.task.args.get("scores"))
        names = list(dict.fromkeys((*COLUMNS, *columns.own)))
        for batch in job.store.iter_batches(paths.extracted(number), names, BATCH_ROWS):
            verdicts = writers.write(columns.joined(batch))
            counts["in"] += len(verdicts)
            counts["kept"] += sum(verdict.kept for verdict in verdicts)
            dropped.update(one.dropped_by for one in verdicts if one.dropped_by is not None)
            without_value.update(one.dropped_by or "" for one in verdicts if one.detail is not None)
    return {**stage_counts(counts, dropped, without_value), **columns.counts()}
