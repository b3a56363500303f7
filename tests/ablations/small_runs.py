"""A small finished run with all measures, made by the pipeline's own filter stage."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import yaml

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.filter import filter_partition
from decant.pipeline.rundir.records import EXTRACTED
from decant.pipeline.sample.english import TOPICS, Writer

RULES = [
    {"gopher_duplicate_line_fraction": {"at_most": 0.30}},
    {"gopher_word_count_floor": {"at_least": 50}},
    {"fineweb_short_line_fraction": {"at_most": 0.67, "short_line_chars": 30}},
]


def make_texts(seed: int, good: int, repeated: int, short: int) -> list[str]:
    """Articles, pages of one line over and over, and pages of a few words; the last is a copy."""
    topics = sorted(TOPICS)
    writers = [Writer(Random(f"{seed} {k}"), topics[k % 10]) for k in range(good)]
    texts = ["\n".join(writer.article(4)) for writer in writers]
    texts += ["\n".join([Writer(Random(f"r{seed}{k}")).sentence()] * 40) for k in range(repeated)]
    texts += [Writer(Random(f"s{seed}{k}")).paragraph(2) for k in range(short)]
    return [*texts, texts[0]]


def write_run(folder, texts: list[str], all_measures: bool = True, rules=RULES) -> Store:
    """A run directory of one partition with stages 1 and 2."""
    store = Store(str(folder))
    config = RunConfig.model_validate(
        {"filter": {"all_measures": all_measures, "rules": rules}, "dedup": {"scope": "run"}}
    )
    store.write_bytes("config.yaml", yaml.safe_dump(config.model_dump(mode="json")).encode())
    n = len(texts)
    rows = {
        "file": [0] * n,
        "offset": [100 * k for k in range(n)],
        "id": [f"<urn:uuid:{k:04d}>" for k in range(n)],
        "url": [f"https://www.site-{k % 37}.com/page/{k}" for k in range(n)],
        "date": ["2024-02-20T00:00:00Z"] * n,
        "file_path": ["crawl-data/x.warc.gz"] * n,
        "dump": ["CC-MAIN-2024-10"] * n,
        "language": ["en"] * n,
        "language_score": [0.9] * n,
        "payload_digest": [bytes(16)] * n,
        "text": texts,
    }
    with store.table_writer("1-extracted/00000.parquet", EXTRACTED) as writer:
        writer.write(pa.table(rows, schema=EXTRACTED))
    filter_partition(Job(store, config, Task("00000", {"partition": 0})))
    return store
