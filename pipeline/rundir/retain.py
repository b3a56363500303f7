"""What a finished run gives back: texts and signatures that nobody asked to keep.

A dump is three billion pages, and every copy of a text is terabytes. `retain` in the configuration
says what later questions will need; the rest goes once the shards are written. Decisions are always
kept: every dropped row keeps its key, rule, value and bound.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa

from decant.pipeline.config import RetainConfig, RunConfig
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import partition_numbers

TEXTS = rf"{paths.EXTRACTED}/\d+\.parquet"
SIGNATURES = rf"{paths.SIGNATURES}/.*"


def released_patterns(retain: RetainConfig) -> list[str]:
    """Regular expressions of the files that a finished run may lack or have shortened."""
    patterns = []
    if not retain.extracted or not retain.dropped_text:
        patterns.append(TEXTS)
    if not retain.signatures:
        patterns.append(SIGNATURES)
    return patterns


def release(engine: Engine, store: Store, config: RunConfig) -> None:
    """Delete or shorten what `retain` lets go; doing it again changes nothing."""
    retain = config.retain
    if not retain.signatures:
        store.remove(paths.SIGNATURES)
    if not retain.extracted:
        for name in store.list(paths.EXTRACTED):
            if re.fullmatch(TEXTS, name):
                store.remove(name)
    elif not retain.dropped_text:
        numbers = partition_numbers(store)
        tasks = [Task(partition_name(number), {"partition": number}) for number in numbers]
        engine.map("retain/texts", keep_filtered_texts, tasks, digest="retain")


def keep_filtered_texts(job: Job) -> dict[str, Any]:
    """Rewrite one partition's texts without the documents that the filters dropped."""
    number = job.task.args["partition"]
    kept = job.store.read_table(paths.kept(number), ["offset"]).column("offset").to_numpy()
    with job.store.parquet(paths.extracted(number)) as file:
        schema = file.schema_arrow  # EXTRACTED and what the run has besides
    with job.store.table_writer(paths.extracted(number), schema) as writer:
        for batch in job.store.iter_batches(paths.extracted(number)):
            is_kept = np.isin(batch.column("offset").to_numpy(), kept)
            writer.write(pa.Table.from_batches([batch]).filter(pa.array(is_kept)))
    return {"rows": writer.rows}
