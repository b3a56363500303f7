"""What deduplication did, in numbers for the report: `3-deduplicated/report.json`."""

import json
import math
from collections.abc import Mapping
from typing import Any

from decant.filters.minhash import half_point, meeting_probability, s_curve
from decant.pipeline.dedup.layout import Layout
from decant.pipeline.engine import checked_json


def print_curve(bands: int, rows: int) -> str:
    """The S-curve of bands x rows as text, a bar per similarity."""
    lines = [
        f"{bands} bands x {rows} rows = {bands * rows} permutations; "
        f"half of the pairs at Jaccard {half_point(bands, rows):.3f} are compared"
    ]
    for jaccard, probability in s_curve(bands, rows):
        lines.append(f"{jaccard:.2f} {probability:7.4f} {'#' * round(50 * probability)}")
    return "\n".join(lines)


LEVELS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
LISTED = 20
BEYOND = "kept_pairs_beyond_limit"  # greedy: kept, of one bucket, never compared


def build(
    layout: Layout, totals: Mapping[str, int], findings: Mapping[str, Mapping[str, dict]]
) -> dict[str, Any]:
    """The report; every figure is a sum over tasks, so it is the same for any cutting up."""
    chosen, decided = (findings[name] for name in ("chosen", "decided"))
    scores, accepted = findings.get("scores", {}), findings.get("accepted", {})
    return {
        "documents": totals["in"],
        "without_signature": totals["short"],
        "candidates": candidates(findings["candidates"]),
        "compared": agreement(scores, layout.bands * layout.rows),
        "verified": {
            name: sum(one[name] for one in accepted.values())
            for name in ("joined", "below", "chance")
            if accepted
        },
        "clusters": {
            "count": sum(one["clusters"] for one in chosen.values()),
            "documents": sum(one["clustered"] for one in decided.values()),
            "sizes": add_histograms(one["cluster_sizes"] for one in chosen.values()),
            "largest": top([entry for one in chosen.values() for entry in one["largest"]]),
        },
        "dropped": add(one["dropped"] for one in decided.values()),
        "bridges": sum(one["bridges"] for one in decided.values()),
    }


def audit(
    layout: Layout, recall: Mapping[str, list[int]], exact: list[list[float]]
) -> dict[str, Any]:
    """Candidate recall on compared queries, and precision of a sample of dropped documents."""
    permutations = layout.bands * layout.rows
    levels: dict[str, dict[str, Any]] = {}
    for level in LEVELS:
        at = range(math.ceil(level * permutations - 1e-9), len(recall["pairs"]))
        pairs, met = (sum(recall[name][count] for count in at) for name in ("pairs", "met"))
        curve = sum(
            recall["pairs"][count]
            * meeting_probability(count / permutations, layout.bands, layout.rows)
            for count in at
        )
        if pairs:
            levels[str(level)] = {
                "pairs": pairs,
                "recall": met / pairs,
                "s_curve": curve / pairs,
            }
    shares = {
        str(level): sum(pair[0] >= level for pair in exact) / len(exact)
        for level in LEVELS
        if exact
    }
    error = sum(abs(pair[0] - pair[1]) for pair in exact) / len(exact) if exact else None
    sample = {"pairs": len(exact), "share_at_least": shares, "mean_error_of_estimate": error}
    curve = [list(point) for point in s_curve(layout.bands, layout.rows)]
    return {"candidate_recall": levels, "dropped_exact_jaccard": sample, "s_curve": curve}


def listed_documents(report: Mapping[str, Any]) -> list[int]:
    """The documents that the lists of large clusters and giant buckets name, ascending."""
    largest = [entry[-1] for entry in report["clusters"]["largest"]]
    giants = [entry[-1] for entry in report["candidates"]["giant_buckets"]]
    return sorted({*largest, *giants})


def name_documents(report: dict[str, Any], samples: Mapping[str, dict]) -> None:
    """Put ids, addresses and the beginnings of texts where the lists have document numbers."""
    for size_and_doc in (report["clusters"]["largest"], report["candidates"]["giant_buckets"]):
        for place, (size, *band, doc) in enumerate(size_and_doc):
            named = {"size": size, **samples.get(str(doc), {})}
            size_and_doc[place] = {**named, "band": band[0]} if band else named


def candidates(counts: Mapping[str, dict]) -> dict[str, Any]:
    """The buckets and pairs of all bins."""
    total = {
        name: sum(one[name] for one in counts.values())
        for name in ("buckets", "pairs_compared", "pairs_not_compared")
    }
    beyond = [one[BEYOND] for one in counts.values() if BEYOND in one]
    total |= {BEYOND: sum(beyond)} if beyond else {}
    giants = [entry for one in counts.values() for entry in one.get("giants", [])]
    return {
        **total,
        "bucket_sizes": add_histograms(one["bucket_sizes"] for one in counts.values()),
        "giant_buckets": top(giants),
    }


def agreement(scores: Mapping[str, dict], permutations: int) -> dict[str, Any]:
    """How similar the distinct compared pairs are by signature: histogram and shares."""
    if not scores:
        return {}
    counts = [
        sum(column) for column in zip(*(one["matches"] for one in scores.values()), strict=True)
    ]
    total = sum(counts)
    shares = {
        str(level): sum(counts[at] for at in range(len(counts)) if at >= level * permutations)
        / total
        for level in LEVELS
        if total
    }
    return {"pairs": total, "share_at_least": shares, "matches": counts}


def add_histograms(histograms) -> dict[str, int]:
    """The sum of histograms, by number."""
    total = add(histograms)
    return {name: total[name] for name in sorted(total, key=int)}


def add(tables) -> dict[str, int]:
    """The sum of counts by name."""
    total: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def top(entries: list[list[int]]) -> list[list[int]]:
    """The largest entries [size, …], ties by what follows."""
    return sorted(entries, key=lambda entry: [-entry[0], *entry[1:]])[:LISTED]


def encode(report: Mapping[str, Any]) -> bytes:
    """The report as the bytes of its file."""
    return checked_json.encode(json.loads(json.dumps(report, sort_keys=True)), indent=1)
