"""The order of steps of the greedy mode: buckets, then rounds of leads and judgements."""

from dataclasses import asdict
from typing import Any

from pipeline import greedy_memory
from pipeline.buckets import find_buckets
from pipeline.dedup_stage import Stage
from pipeline.execute import Task
from pipeline.greedy import enter, judge, spill_leads
from pipeline.runs import read_catalog, write_catalog


def greedy_labels(stage: Stage) -> tuple[str, dict[str, dict]]:
    """(folder of labels, findings): every document of a bucket with the kept one it follows."""
    bands = stage.settled("bands", stage.layout.bins)
    found = stage.per_bin("bucket-members", find_buckets, lambda _: {"bands": bands})
    tables = [one["table"] for one in found.values()]  # in bin order
    entered = stage.per_slot(
        "entered",
        enter,
        with_parts=True,
        members=stage.settled("bucket-members"),
        labels=stage.folder("labels-entered"),
    )
    labels = [run for one in entered.values() for run in one["labels"]]
    votes = stage.settled("entered", stage.layout.bins)
    left = sum(one["undecided"] for one in entered.values())
    number = 0
    while left:
        decided = one_round(stage, votes, tables, number, left)
        labels += [run for one in decided.values() for run in one["labels"]]
        before, left = left, sum(one["undecided"] for one in decided.values())
        assert left < before, "a round of greedy deduplication decided nothing"
        votes = stage.settled(f"votes-{number:04d}", stage.layout.bins) if left else ""
        number += 1
    folder = stage.folder("labels")
    write_catalog(stage.engine.store, folder, labels)
    return folder, {"found": found}


def one_round(
    stage: Stage, votes: str, tables: list[int], number: int, left: int
) -> dict[str, dict]:
    """The counts of the step that decided something: a round's judgements, or all that was left."""
    step = f"leads-{number:04d}"
    stage.per_bin(step, spill_leads, lambda one: {"source": votes, "buckets": tables[one]})
    leads = stage.settled(step)
    compare = stage.config.dedup.compare
    scores = stage.compare(f"round-{number:04d}", leads)[0] if compare else ""
    labels = stage.folder(f"labels-{number:04d}")
    args: dict[str, Any] = {"leads": leads, "scores": scores, "labels": labels}
    rows = sum(name.rows for name in read_catalog(stage.engine.store, leads))
    if not greedy_memory.fits(left, rows, stage.config.dedup.memory_mb << 20):
        return stage.per_slot(f"votes-{number:04d}", judge, with_parts=True, **args)
    args["sketches"] = stage.folder("sketches") if compare else ""
    args["parts"] = [list(asdict(part).values()) for part in stage.parts]
    task = Task("all", {**stage.shared("finish"), **args})
    return stage.run("finish", greedy_memory.finish, [task])
