"""The order of steps of the greedy mode: buckets, then rounds of leads and judgements.

A document meets the kept members of its buckets that are announced before it is decided, but no
more than MOST_COMPARED of a bucket. Only kept documents can miss one another by that limit: who was
dropped had met the one it follows. Of k kept members, those beyond the limit have not met. The
counts say how many pairs were compared, by bucket, and how many the limit left unmet.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from decant.pipeline.dedup.compare import compare
from decant.pipeline.dedup.greedy import buckets, in_memory
from decant.pipeline.dedup.greedy.buckets import Announced, find_buckets, read_votes, spill_leads
from decant.pipeline.dedup.greedy.documents import enter, judge
from decant.pipeline.dedup.spills import read_catalog, write_catalog
from decant.pipeline.dedup.steps import Steps
from decant.pipeline.dedup.tasks import BinTask
from decant.pipeline.engine.execute import Job


def count_last(job: Job) -> dict:
    """The kept pairs of one bin's buckets that the members kept in the last round did not meet."""
    task = BinTask(job)
    leaders, votes = read_votes(task)
    return {"unmet": Announced.of(votes, leaders, task.layout.earlier).unmet}


def with_greedy_pairs(
    candidates: Mapping[str, dict], rounds: Iterable[Mapping[str, dict]]
) -> dict[str, dict]:
    """The counts by bin, their pairs replaced by those that the rounds compared."""
    counts = [one for by_task in rounds for one in by_task.values()]
    compared = sum(one.get("compared", 0) for one in counts)
    pairs = ("pairs_compared", "pairs_not_compared")
    possible = sum(one[name] for one in candidates.values() for name in pairs)
    tables = {key: {**one, **dict.fromkeys(pairs, 0)} for key, one in candidates.items()}
    tables["greedy"] = {
        "buckets": 0,
        "bucket_sizes": {},
        "pairs_compared": compared,
        "pairs_not_compared": possible - compared,
        "kept_pairs_beyond_limit": sum(one.get("unmet", 0) for one in counts),
    }
    return tables


def greedy_labels(steps: Steps) -> tuple[str, dict[str, dict]]:
    """(folder of labels, findings): every document of a bucket with the kept one it follows."""
    bands = steps.settled("bands", steps.layout.bins)
    candidates = steps.per_bin("bucket-members", find_buckets, lambda _: {"bands": bands})
    tables = [one["table"] for one in candidates.values()]  # in bin order
    entered = steps.per_slot(
        "entered",
        enter,
        with_parts=True,
        members=steps.settled("bucket-members"),
        labels=steps.folder("labels-entered"),
    )
    labels = [name for one in entered.values() for name in one["labels"]]
    votes = steps.settled("entered", steps.layout.bins)
    left = sum(one["undecided"] for one in entered.values())
    number = 0
    counts: list[dict[str, dict]] = []
    while left:
        leads, decided, votes = one_round(steps, votes, tables, number, left)
        counts += [leads, decided]
        labels += [name for one in decided.values() for name in one["labels"]]
        before, left = left, sum(one["undecided"] for one in decided.values())
        assert left < before, "a round of greedy deduplication decided nothing"
        number += 1
    if votes and max(one["largest_bucket"] for one in candidates.values()) > buckets.MOST_COMPARED:
        counts.append(count_last_votes(steps, votes, tables))
    folder = steps.folder("labels")
    write_catalog(steps.engine.store, folder, labels)
    return folder, {"candidates": with_greedy_pairs(candidates, counts)}


def count_last_votes(steps: Steps, votes: str, tables: list[int]) -> dict[str, dict]:
    """The counts of the votes that no further round reads."""
    return steps.per_bin(
        "counts", count_last, lambda one: {"source": votes, "buckets": tables[one]}
    )


def one_round(
    steps: Steps, votes: str, tables: list[int], number: int, left: int
) -> tuple[dict[str, dict], dict[str, dict], str]:
    """(counts of the leads, counts of the decisions, folder of votes for the next round).

    What is left is decided at once, without further votes, where it fits in memory.
    """
    step = f"leads-{number:04d}"
    counts = steps.per_bin(step, spill_leads, lambda one: {"source": votes, "buckets": tables[one]})
    leads = steps.settled(step)
    is_compared = steps.config.dedup.compare
    scores = compare(steps, f"round-{number:04d}", leads, banded=True)[0] if is_compared else ""
    labels = steps.folder(f"labels-{number:04d}")
    args: dict[str, Any] = {"leads": leads, "scores": scores, "labels": labels}
    rows = sum(name.rows for name in read_catalog(steps.engine.store, leads))
    if not in_memory.fits(left, rows, steps.config.dedup.memory_mb << 20):
        step = f"votes-{number:04d}"
        decided = steps.per_slot(step, judge, with_parts=True, **args)
        return counts, decided, steps.settled(step, steps.layout.bins)
    args["sketches"] = steps.folder("sketches") if is_compared else ""
    args["parts"] = [part.as_args() for part in steps.parts]
    task = steps.task("finish", "all", **args)
    return counts, steps.run("finish", in_memory.finish, [task]), ""
