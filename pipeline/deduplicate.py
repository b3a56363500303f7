"""The third verb: near-duplicate removal, from signatures to decisions, in sorted files.

    signatures ─ bands ─▶ band keys ─ pairs ─▶ candidate pairs ─ compare ─▶ scores
               ─ closure ─▶ clusters ─ choose ─▶ survivors ─ decide ─▶ dropped, clusters
               ─ lines (an option) ─▶ lines that go

Every arrow is a step of tasks that read and write spill files (`dedup/spills.py`) under
`dedup.memory_mb`; tasks return counts. No result depends on how documents were cut into
partitions, slots or bins.
"""

from dataclasses import replace
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup import summary
from decant.pipeline.dedup.against import dataset_entries
from decant.pipeline.dedup.audit import measure_precision, measure_recall, sample_texts
from decant.pipeline.dedup.bands import write_bands
from decant.pipeline.dedup.closure import close_in_memory, close_on_disk, fits_in_memory
from decant.pipeline.dedup.compare import accept_pairs, compare, relink
from decant.pipeline.dedup.decisions import write_decisions
from decant.pipeline.dedup.exact import (
    compares_exactly,
    find_exact,
    spill_followers,
    spill_hashes,
    spill_spread,
)
from decant.pipeline.dedup.greedy.rounds import greedy_labels
from decant.pipeline.dedup.ids import spill_name_requests, spill_names
from decant.pipeline.dedup.index import absolute, numbered, open_entries, write_entries
from decant.pipeline.dedup.index_entry import add_to_index, identity, settings_of
from decant.pipeline.dedup.layout import Part, plan
from decant.pipeline.dedup.lines import DECIDED, DROPPED, remove_repeated
from decant.pipeline.dedup.pairs import find_pairs
from decant.pipeline.dedup.ranks import check_order
from decant.pipeline.dedup.rules import EXACT_RULES, LINES_RULE
from decant.pipeline.dedup.signatures import SignatureError, number_documents
from decant.pipeline.dedup.spills import read_catalog, write_catalog
from decant.pipeline.dedup.steps import SCRATCH, VERSION, Steps
from decant.pipeline.dedup.survivors import choose_survivors, spill_followed, spill_members
from decant.pipeline.engine.execute import Engine, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import partition_numbers
from decant.pipeline.stage_keys import stage_digest

INDEX_LIST = f"{SCRATCH}/index.json"


def run(engine: Engine, store: Store, config: RunConfig) -> dict[str, Any]:
    """The stage's ledger entry, after every document has its decision."""
    check(config)
    digest = stage_digest(config, "deduplicate")
    numbers = partition_numbers(store)
    parts, totals = number_documents(engine, store, numbers, 0, digest)
    if not config.dedup.enabled:
        return {"in": totals["in"], "kept": totals["in"], "errors": 0, "dropped": {}}
    steps, name = with_index(engine, config, parts, totals["rows"], digest)
    choices, scores, findings = decide(steps)
    report = measured(steps, totals, scores, findings)
    if config.dedup.lines:
        report["lines"] = remove_repeated(steps, config.dedup.lines)
        if report["lines"]["dropped"]:
            report["dropped"][LINES_RULE] = report["lines"]["dropped"]
    store.write_bytes(paths.DEDUP_REPORT, summary.encode(report))
    if config.dedup.index:
        add_to_index(steps, absolute(config.dedup.index), name, choices)
    dropped = report["dropped"]
    kept = totals["in"] - sum(dropped.values())
    return {"in": totals["in"], "kept": kept, "errors": 0, "dropped": dropped}


def decide(steps: Steps) -> tuple[str, str, dict[str, dict]]:
    """(folder of choices, folder of their scores, findings), after the tables are written."""
    dedup = steps.config.dedup
    exact = exact_choices(steps) if compares_exactly(steps.config) else ""
    folders = {"sketches": sketch_folder(steps), "exact": exact}
    steps.per_slot("bands", write_bands, True, steps.layout.first_slot, **folders)
    if dedup.mode == "greedy":
        labels, findings = greedy_labels(steps)
    else:
        labels, findings = cluster_labels(steps)
    choices, findings["chosen"] = survivors_of(steps, labels, exact)
    if exact:
        choices = spread_choices(steps, choices, exact)
    scores = compare(steps, "chosen", choices, banded=False)[0] if dedup.compare else ""
    findings["decided"] = write_tables(steps, choices, scores)
    return choices, scores, findings


def measured(
    steps: Steps, totals: dict[str, int], scores: str, findings: dict[str, dict]
) -> dict[str, Any]:
    """The report: what was done, how well, and the documents that it names."""
    recall = measure_recall(steps, steps.folder("sketches"))
    exact_pairs = measure_precision(steps, scores) if scores else []
    report = summary.build(steps.layout, totals, findings)
    report |= summary.audit(steps.layout, recall, exact_pairs)
    samples = sample_texts(steps, summary.listed_documents(report))
    summary.name_documents(report, samples)
    return report


def check(config: RunConfig) -> None:
    """Refuse what cannot be meant."""
    check_order(config)
    dedup = config.dedup
    if (dedup.index or dedup.against) and dedup.scope == "dump":
        raise SignatureError(
            "dedup.index and dedup.against compare a dump with what lies outside it, but "
            "dedup.scope: dump forbids that; set dedup.scope: run"
        )
    if dedup.lines and (dedup.index or not dedup.enabled):
        raise SignatureError(
            "dedup.lines removes lines from what deduplication keeps, once and for all: it needs "
            "dedup.enabled: true and no dedup.index, which knows documents only"
        )


def with_index(
    engine: Engine, config: RunConfig, parts: list[Part], rows: int, digest: str
) -> tuple[Steps, str]:
    """(the steps, with the documents of index and datasets numbered first; the run's name)."""
    name = identity(digest, engine.upstream, parts)
    dedup = config.dedup
    settings = settings_of(config)
    entries = open_entries(absolute(dedup.index), name, settings) if dedup.index else []
    bare = Steps(engine, config, plan(rows, 0, config), parts, digest)
    if dedup.against:
        entries += dataset_entries(bare, dedup.against)  # after: an index counts from its first
    if not entries:
        return bare, name
    placed, earlier = numbered(entries)
    layout = plan(rows, earlier, config, INDEX_LIST)
    write_entries(engine.store, INDEX_LIST, placed)
    moved = [replace(part, base=part.base + layout.earlier) for part in parts]
    return Steps(engine, config, layout, moved, digest), name


def sketch_folder(steps: Steps) -> str:
    """Where signatures go for whoever compares them; empty where nobody will."""
    dedup = steps.config.dedup
    needed = dedup.compare or dedup.recall_queries or dedup.index
    return steps.folder("sketches") if needed else ""


def exact_choices(steps: Steps) -> str:
    """The folder of choices among exact duplicates: who stands for whom."""
    steps.per_slot("exact-hashes", spill_hashes, with_parts=True)
    bins = len(EXACT_RULES) << steps.layout.prefix_bits
    hashes = steps.settled("exact-hashes", bins)
    steps.per_bin("exact-pairs", find_exact, lambda _: {"hashes": hashes}, bins)
    labels = close(steps, steps.settled("exact-pairs"), "exact-")
    choices, _ = survivors_of(steps, labels, "", "exact-")
    return choices


def spread_choices(steps: Steps, choices: str, exact: str) -> str:
    """The choices with those of exact duplicates, who share the fate of the one before them."""
    pairs = steps.folder("exact-pairs")
    steps.per_slot("followers", spill_followers, pairs=pairs, exact=exact)
    followers = steps.settled("followers")
    steps.per_slot("spread", spill_spread, choices=choices, followers=followers)
    return steps.settled("spread")


def cluster_labels(steps: Steps) -> tuple[str, dict[str, dict]]:
    """(folder of labels, findings): the transitive closure of the candidate pairs."""
    findings = {"candidates": candidate_pairs(steps)}
    pairs = steps.settled("pairs")
    if steps.config.dedup.compare:
        scores, findings["scores"] = compare(steps, "edges", pairs, banded=True)
        pairs, findings["accepted"] = verified(steps, scores)
    if steps.layout.index:
        pairs = with_earlier_followers(steps, pairs)
    return close(steps, pairs), findings


def with_earlier_followers(steps: Steps, pairs: str) -> str:
    """The folder of pairs and of who followed whom in the entries of the index."""
    steps.per_slot("followed", spill_followed)
    names = [
        [one.path, one.first, one.bins, one.rows]
        for folder in (pairs, steps.folder("followed"))
        for one in read_catalog(steps.engine.store, folder)
    ]
    folder = steps.folder("pairs-and-followed")
    write_catalog(steps.engine.store, folder, names)
    return folder


def candidate_pairs(steps: Steps) -> dict[str, dict]:
    """The counts of the pairs step, after its spills are written."""
    bands = steps.settled("bands", steps.layout.bins)
    return steps.per_bin("pairs", find_pairs, lambda _: {"bands": bands})


def verified(steps: Steps, scores: str) -> tuple[str, dict[str, dict]]:
    """(folder of the pairs that may join, counts), chance meetings of keys undone."""
    chance, accepted = steps.folder("chance"), steps.folder("accepted")
    counts = steps.per_slot("accepted", accept_pairs, scores=scores, chance=chance)
    by_chance = [entry for one in counts.values() for entry in one["chance_spills"]]
    if by_chance:
        write_catalog(steps.engine.store, chance, by_chance)
        folders = {"chance": chance, "sketches": steps.folder("sketches")}
        names = [entry for one in counts.values() for entry in one["spills"]]
        names += steps.once("relinked", relink, **folders)["spills"]
        write_catalog(steps.engine.store, accepted, names)
    return accepted, counts


def close(steps: Steps, pairs: str, prefix: str = "") -> str:
    """The folder of labels: every document of a cluster with the cluster's smallest document."""
    memory = steps.config.dedup.memory_mb << 20
    if not fits_in_memory(steps.layout, memory):
        return close_on_disk(steps, pairs, prefix)
    steps.once(f"{prefix}labels", close_in_memory, pairs=pairs)
    return steps.folder(f"{prefix}labels")


def survivors_of(
    steps: Steps, labels: str, exact: str, prefix: str = ""
) -> tuple[str, dict[str, dict]]:
    """(folder of choices by slot, counts): the survivor of every clustered document."""
    # The labels of the greedy mode name the survivor already.
    args = {"fixed": steps.config.dedup.mode == "greedy" and not prefix, "exact": exact}
    step = f"{prefix}members"
    steps.per_slot(step, spill_members, with_parts=True, labels=labels, **args)
    members = steps.settled(step)
    step = f"{prefix}choices"
    counts = steps.per_slot(step, choose_survivors, members=members, **args)
    return steps.settled(step), counts


def write_tables(steps: Steps, choices: str, scores: str) -> dict[str, dict]:
    """Counts by slot, after the dropped and clusters tables of every partition are written."""
    steps.per_slot("name-requests", spill_name_requests, choices=choices)
    requests = steps.settled("name-requests")
    steps.per_slot("names", spill_names, with_parts=True, requests=requests)
    folders = {"choices": choices, "scores": scores, "names": steps.settled("names")}
    folders["dropped"] = DECIDED if steps.config.dedup.lines else DROPPED
    tasks: list[Task] = []
    for slot in range(steps.layout.first_slot, steps.layout.slots):
        low, high = steps.layout.span(slot)
        last = slot == steps.layout.slots - 1  # where empty partitions at the end lie, too
        parts = [part.as_args() for part in steps.parts if low <= part.base < high + last]
        tasks.append(steps.task("decide", f"{slot:08d}", parts=parts, **folders))
    return steps.engine.map("deduplicate/decide", write_decisions, tasks, steps.digest, VERSION)
