"""The order of steps of the greedy mode: buckets, then rounds of leads and judgements.

What the greedy mode compared: pairs by bucket, and kept pairs that the limit left unmet.

A document meets the kept members of its buckets that are announced before it is decided, but no
more than MOST_COMPARED of a bucket. Only kept documents can miss one another by that limit: who was
dropped had met the one it follows. Of k kept members, those beyond the limit have not met.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from decant.pipeline.dedup.greedy import buckets, in_memory
from decant.pipeline.dedup.greedy.buckets import Announced, find_buckets, read_votes, spill_leads
from decant.pipeline.dedup.greedy.documents import enter, judge
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.dedup.spills import read_catalog, write_catalog
from decant.pipeline.dedup.steps import Deduplication
from decant.pipeline.engine.execute import Job, Task


def count_last(job: Job) -> dict:
    """The kept pairs of one bin's buckets that the members kept in the last round did not meet."""
    layout = Layout(**job.task.args["layout"])
    leaders, votes = read_votes(job, layout)
    return {"runs": [], "unmet": Announced.of(votes, leaders, layout.earlier).unmet}


def with_greedy_pairs(
    found: Mapping[str, dict], rounds: Iterable[Mapping[str, dict]]
) -> dict[str, dict]:
    """The counts by bin, their pairs replaced by those that the rounds compared."""
    told = [one for counts in rounds for one in counts.values()]
    compared = sum(one.get("compared", 0) for one in told)
    possible = sum(one["pairs_compared"] + one["pairs_not_compared"] for one in found.values())
    none = {"pairs_compared": 0, "pairs_not_compared": 0}
    tables = {key: {**one, **none} for key, one in found.items()}
    tables["greedy"] = {
        "buckets": 0,
        "bucket_sizes": {},
        "pairs_compared": compared,
        "pairs_not_compared": possible - compared,
        "kept_pairs_beyond_limit": sum(one.get("unmet", 0) for one in told),
    }
    return tables


def greedy_labels(stage: Deduplication) -> tuple[str, dict[str, dict]]:
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
    counts: list[dict[str, dict]] = []
    while left:
        told, decided, votes = one_round(stage, votes, tables, number, left)
        counts += [told, decided]
        labels += [run for one in decided.values() for run in one["labels"]]
        before, left = left, sum(one["undecided"] for one in decided.values())
        assert left < before, "a round of greedy deduplication decided nothing"
        number += 1
    if votes and max(one["largest_bucket"] for one in found.values()) > buckets.MOST_COMPARED:
        counts.append(count_last_votes(stage, votes, tables))
    folder = stage.folder("labels")
    write_catalog(stage.engine.store, folder, labels)
    return folder, {"found": with_greedy_pairs(found, counts)}


def count_last_votes(stage: Deduplication, votes: str, tables: list[int]) -> dict[str, dict]:
    """The counts of the votes that no further round reads."""
    return stage.per_bin(
        "counts", count_last, lambda one: {"source": votes, "buckets": tables[one]}
    )


def one_round(
    stage: Deduplication, votes: str, tables: list[int], number: int, left: int
) -> tuple[dict[str, dict], dict[str, dict], str]:
    """(counts of the leads, counts of the decisions, folder of votes for the next round).

    What is left is decided at once, without further votes, where it fits in memory.
    """
    step = f"leads-{number:04d}"
    told = stage.per_bin(step, spill_leads, lambda one: {"source": votes, "buckets": tables[one]})
    leads = stage.settled(step)
    compare = stage.config.dedup.compare
    scores = stage.compare(f"round-{number:04d}", leads, banded=True)[0] if compare else ""
    labels = stage.folder(f"labels-{number:04d}")
    args: dict[str, Any] = {"leads": leads, "scores": scores, "labels": labels}
    rows = sum(name.rows for name in read_catalog(stage.engine.store, leads))
    if not in_memory.fits(left, rows, stage.config.dedup.memory_mb << 20):
        step = f"votes-{number:04d}"
        decided = stage.per_slot(step, judge, with_parts=True, **args)
        return told, decided, stage.settled(step, stage.layout.bins)
    args["sketches"] = stage.folder("sketches") if compare else ""
    args["parts"] = [list(asdict(part).values()) for part in stage.parts]
    task = Task("all", {**stage.shared("finish"), **args})
    return told, stage.run("finish", in_memory.finish, [task]), ""
