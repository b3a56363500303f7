"""What reading documents costs beside judging them: a generated parquet through all stages.

    python -m tests.bench.documents [DOCUMENTS] [--jsonl] [--language]

The stages behind extraction are the same for documents and for extracted rows, so the share of the
CPU time that they take is the speed in proportion. One process; its peak memory is a worker's.
"""

import json
import resource
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from decant.pipeline.command import RunRequest, resolve
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.light_spacy import import_spacy
from decant.pipeline.engine.storage import Store
from decant.pipeline.run import STAGES, run_stages
from decant.pipeline.rundir.inputs import freeze
from decant.pipeline.sample.english import Writer

PARAGRAPHS = 4_000
BATCH = 10_000
SETTINGS = ("filter.all_measures=false", "tokens.path=null", "dedup.scope=run")


def paragraphs(seed: int = 1) -> list[str]:
    """Different paragraphs to put texts together from."""
    found: list[str] = []
    while len(found) < PARAGRAPHS:
        found += Writer(Random(f"{seed} {len(found)}"), "gardens").article(8)
    return found


def generate(path: Path, count: int, as_jsonl: bool) -> int:
    """Write `count` documents in FineWeb's columns; returns the bytes of their texts."""
    pool, random, size = paragraphs(), Random(2), 0
    rows = ({
        "text": "\n".join(random.choices(pool, k=6)), "id": f"<urn:uuid:{n:036d}>",
        "dump": "CC-MAIN-2024-10", "url": f"https://site{n % 9973}.example.org/{n}",
        "date": "2024-02-21T10:00:00Z", "file_path": "a.warc.gz", "language": "en",
        "language_score": 0.9, "token_count": 500,
    } for n in range(count))  # fmt: skip
    if as_jsonl:
        with open(path, "w", encoding="utf-8") as out:
            for row in rows:
                size += len(row["text"])
                out.write(json.dumps(row) + "\n")
        return size
    writer = None
    while batch := list(islice(rows, BATCH)):
        table = pa.Table.from_pylist(batch)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=1_000)
        size += sum(len(row["text"]) for row in batch)
    assert writer is not None
    writer.close()
    return size


def main(arguments: list[str]) -> None:
    count = next((int(one) for one in arguments if one.isdigit()), 100_000)
    as_jsonl, language = "--jsonl" in arguments, "--language" in arguments
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl" if as_jsonl else "a.parquet")
        size = generate(path, count, as_jsonl)
        off = () if language else ("language.enabled=false", "url.enabled=false")
        config = resolve(
            RunRequest("configs/quickstart.yaml", "", (str(path),), settings=(*SETTINGS, *off))
        )
        store = Store(f"{folder}/run")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{count:,} documents, {size / 1e6:,.0f} MB of text; {before // 1024} MB before")
        import_spacy()
        config.recipe().judge("A text that compiles the kernels. " * 50)
        seconds = {}
        freeze(store, config)
        for stage in STAGES:
            began = time.process_time()
            with Engine(store, config) as engine:
                result = run_stages(engine, store, config, (stage.name,))
            seconds[stage.name] = time.process_time() - began
            entry, peak = result.stages[stage.name], resource.getrusage(resource.RUSAGE_SELF)
            print(f"{stage.name:<12}{seconds[stage.name]:9.1f} s CPU {entry['in']:>11,} in"
                  f"{entry['kept']:>11,} kept  peak {peak.ru_maxrss // 1024:,} MB")  # fmt: skip
        rest = sum(value for name, value in seconds.items() if name != "extract")
        share = rest / (rest + seconds["extract"])
        print(f"{share:.1%} of the speed that the same texts have as extracted rows")


if __name__ == "__main__":
    main(sys.argv[1:])
