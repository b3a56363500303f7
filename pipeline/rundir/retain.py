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
from decant.pipeline.rundir.records import EXTRACTED, partition_name, partition_numbers

TEXTS = r"1-extracted/\d+\.parquet"
SIGNATURES = r"2-filtered/signatures/.*"


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
        store.remove("2-filtered/signatures")
    if not retain.extracted:
        for name in store.list("1-extracted"):
            if re.fullmatch(TEXTS, name):
                store.remove(name)
    elif not retain.dropped_text:
        numbers = partition_numbers(store)
        tasks = [Task(partition_name(number), {"partition": number}) for number in numbers]
        engine.map("retain/texts", keep_filtered_texts, tasks, digest="retain")


def keep_filtered_texts(job: Job) -> dict[str, Any]:
    """Rewrite one partition's texts without the documents that the filters dropped."""
    name = f"{partition_name(job.task.args['partition'])}.parquet"
    wanted = job.store.read_table(f"2-filtered/kept/{name}", ["offset"]).column("offset").to_numpy()
    with job.store.table_writer(f"1-extracted/{name}", EXTRACTED) as writer:
        for batch in job.store.iter_batches(f"1-extracted/{name}"):
            kept = np.isin(batch.column("offset").to_numpy(), wanted)
            writer.write(pa.Table.from_batches([batch]).filter(pa.array(kept)))
    return {"rows": writer.rows}
