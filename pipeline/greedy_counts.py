"""What the greedy mode compared: pairs by bucket, and kept pairs that the limit left unmet.

A document meets the kept members of its buckets that are announced before it is decided, but no
more than MOST_COMPARED of a bucket. Only kept documents can miss one another by that limit: who was
dropped had met the one it follows. Of k kept members, those beyond the limit have not met.
"""

from collections.abc import Iterable, Mapping

from decant.pipeline.engine.execute import Job
from decant.pipeline.greedy_leads import Announced, read_votes
from decant.pipeline.layout import Layout


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
