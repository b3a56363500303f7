"""The third verb: near-duplicate removal, from signatures to decisions, in sorted files.

    signatures ─ bands ─▶ band keys ─ pairs ─▶ candidate pairs ─ compare ─▶ scores
               ─ closure ─▶ clusters ─ choose ─▶ survivors ─ decide ─▶ dropped, clusters
               ─ lines (an option) ─▶ lines that go

Every arrow is a step of tasks that read and write run files (runs.py) under `dedup.memory_mb`;
tasks return counts. No result depends on how documents were cut into partitions, slots or bins.
"""

from dataclasses import asdict, replace
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup import summary
from decant.pipeline.dedup.against import dataset_entries
from decant.pipeline.dedup.audit import measure_precision, measure_recall, sample_texts
from decant.pipeline.dedup.bands import write_bands
from decant.pipeline.dedup.closure import close_in_memory, close_on_disk, fits_in_memory
from decant.pipeline.dedup.compare import accept_pairs, relink
from decant.pipeline.dedup.decisions import write_decisions
from decant.pipeline.dedup.exact import (
    find_exact,
    is_wanted,
    spill_followers,
    spill_hashes,
    spill_spread,
)
from decant.pipeline.dedup.greedy.rounds import greedy_labels
from decant.pipeline.dedup.ids import spill_name_requests, spill_names
from decant.pipeline.dedup.index import absolute, numbered, open_entries, write_entries
from decant.pipeline.dedup.index_entry import add_to_index, asked_of, identity
from decant.pipeline.dedup.layout import Part, SignatureError, number_documents, plan
from decant.pipeline.dedup.lines import DECIDED, DROPPED, remove_repeated
from decant.pipeline.dedup.pairs import find_pairs
from decant.pipeline.dedup.rules import EXACT_RULES, LINES_RULE
from decant.pipeline.dedup.spills import read_catalog, write_catalog
from decant.pipeline.dedup.steps import SCRATCH, VERSION, Deduplication
from decant.pipeline.dedup.survivors import (
    check_order,
    choose_survivors,
    spill_followed,
    spill_members,
)
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
    stage, own = with_index(engine, config, parts, totals["rows"], digest)
    exact = exact_choices(stage) if is_wanted(config) else ""
    made = {"sketches": sketch_folder(stage), "exact": exact}
    stage.per_slot("bands", write_bands, True, stage.layout.first_slot, **made)
    if config.dedup.mode == "greedy":
        labels, findings = greedy_labels(stage)
    else:
        labels, findings = cluster_labels(stage)
    choices, findings["chosen"] = survivors_of(stage, labels, exact)
    if exact:
        choices = spread_choices(stage, choices, exact)
    scores = stage.compare("chosen", choices, banded=False)[0] if config.dedup.compare else ""
    findings["decided"] = decide(stage, choices, scores)
    recall = measure_recall(stage, stage.folder("sketches"))
    exact_pairs = measure_precision(stage, scores) if scores else []
    report = summary.build(stage.layout, totals, findings)
    report |= summary.audit(stage.layout, recall, exact_pairs)
    samples = sample_texts(stage, summary.listed_documents(report))
    summary.name_documents(report, samples)
    if config.dedup.lines:
        report["lines"] = remove_repeated(stage, config.dedup.lines)
        if report["lines"]["dropped"]:
            report["dropped"][LINES_RULE] = report["lines"]["dropped"]
    store.write_bytes(paths.DEDUP_REPORT, summary.encode(report))
    if config.dedup.index:
        add_to_index(stage, absolute(config.dedup.index), own, choices)
    dropped = report["dropped"]
    kept = totals["in"] - sum(dropped.values())
    return {"in": totals["in"], "kept": kept, "errors": 0, "dropped": dropped}


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
) -> tuple[Deduplication, str]:
    """(the stage with the documents of index and datasets numbered first, its own identity)."""
    own = identity(digest, engine.upstream, parts)
    dedup = config.dedup
    entries = open_entries(absolute(dedup.index), own, asked_of(config)) if dedup.index else []
    if dedup.against:
        bare = Deduplication(engine, config, plan(rows, 0, config), parts, digest)
        entries += dataset_entries(bare, dedup.against)  # after: an index counts from its first
    if not entries:
        return Deduplication(engine, config, plan(rows, 0, config), parts, digest), own
    placed, earlier = numbered(entries)
    layout = plan(rows, earlier, config, INDEX_LIST)
    write_entries(engine.store, INDEX_LIST, placed)
    moved = [replace(part, base=part.base + layout.earlier) for part in parts]
    return Deduplication(engine, config, layout, moved, digest), own


def sketch_folder(stage: Deduplication) -> str:
    """Where signatures go for whoever compares them; empty where nobody will."""
    dedup = stage.config.dedup
    needed = dedup.compare or dedup.recall_queries or dedup.index
    return stage.folder("sketches") if needed else ""


def exact_choices(stage: Deduplication) -> str:
    """The folder of choices among exact duplicates: who stands for whom."""
    stage.per_slot("exact-hashes", spill_hashes, with_parts=True)
    bins = len(EXACT_RULES) << stage.layout.prefix_bits
    hashes = stage.settled("exact-hashes", bins)
    stage.per_bin("exact-pairs", find_exact, lambda _: {"hashes": hashes}, bins)
    labels = close(stage, stage.settled("exact-pairs"), "exact-")
    choices, _ = survivors_of(stage, labels, "", "exact-")
    return choices


def spread_choices(stage: Deduplication, choices: str, exact: str) -> str:
    """The choices with those of exact duplicates, who share the fate of the one before them."""
    pairs = stage.folder("exact-pairs")
    stage.per_slot("followers", spill_followers, pairs=pairs, exact=exact)
    followers = stage.settled("followers")
    stage.per_slot("spread", spill_spread, choices=choices, followers=followers)
    return stage.settled("spread")


def cluster_labels(stage: Deduplication) -> tuple[str, dict[str, dict]]:
    """(folder of labels, findings): the transitive closure of the candidate pairs."""
    findings = {"found": candidate_pairs(stage)}
    pairs = stage.settled("pairs")
    if stage.config.dedup.compare:
        scores, findings["scores"] = stage.compare("edges", pairs, banded=True)
        pairs, findings["accepted"] = verified(stage, scores)
    if stage.layout.index:
        pairs = with_earlier_followers(stage, pairs)
    return close(stage, pairs), findings


def with_earlier_followers(stage: Deduplication, pairs: str) -> str:
    """The folder of pairs and of who followed whom in the runs of the index."""
    stage.per_slot("followed", spill_followed)
    names = [
        [one.path, one.first, one.bins, one.rows]
        for folder in (pairs, stage.folder("followed"))
        for one in read_catalog(stage.engine.store, folder)
    ]
    folder = stage.folder("pairs-and-followed")
    write_catalog(stage.engine.store, folder, names)
    return folder


def candidate_pairs(stage: Deduplication) -> dict[str, dict]:
    """The counts of the pairs step, after its runs are written."""
    layout = stage.layout
    bands = stage.settled("bands", layout.bins)
    return stage.per_bin("pairs", find_pairs, lambda _: {"bands": bands})


def verified(stage: Deduplication, scores: str) -> tuple[str, dict[str, dict]]:
    """(folder of the pairs that may join, counts), chance meetings of keys undone."""
    chance = stage.folder("chance")
    results = stage.per_slot("accepted", accept_pairs, scores=scores, chance=chance)
    runs = [entry for one in results.values() for entry in one["runs"]]
    met_by_chance = [entry for one in results.values() for entry in one["chance_runs"]]
    if met_by_chance:
        write_catalog(stage.engine.store, chance, met_by_chance)
        args = {"chance": chance, "sketches": stage.folder("sketches")}
        task = Task("all", {**stage.shared("relinked"), **args})
        linked = stage.run("relinked", relink, [task])
        runs += [entry for one in linked.values() for entry in one["runs"]]
        write_catalog(stage.engine.store, stage.folder("accepted"), runs)
    return stage.folder("accepted"), results


def close(stage: Deduplication, pairs: str, prefix: str = "") -> str:
    """The folder of labels: every document of a cluster with the cluster's smallest document."""
    memory = stage.config.dedup.memory_mb << 20
    if not fits_in_memory(stage.layout, memory):
        return close_on_disk(stage, pairs, prefix)
    step = f"{prefix}labels"
    stage.run(step, close_in_memory, [Task("all", {**stage.shared(step), "pairs": pairs})])
    return stage.folder(step)


def survivors_of(
    stage: Deduplication, labels: str, exact: str, prefix: str = ""
) -> tuple[str, dict[str, dict]]:
    """(folder of choices by slot, counts): the survivor of every clustered document."""
    # The labels of the greedy mode name the survivor already.
    args = {"fixed": stage.config.dedup.mode == "greedy" and not prefix, "exact": exact}
    step = f"{prefix}members"
    stage.per_slot(step, spill_members, with_parts=True, labels=labels, **args)
    members = stage.settled(step)
    step = f"{prefix}choices"
    counts = stage.per_slot(step, choose_survivors, members=members, **args)
    return stage.settled(step), counts


def decide(stage: Deduplication, choices: str, scores: str) -> dict[str, dict]:
    """Counts by slot, after the dropped and clusters tables of every partition are written."""
    stage.per_slot("name-requests", spill_name_requests, choices=choices)
    requests = stage.settled("name-requests")
    stage.per_slot("names", spill_names, with_parts=True, requests=requests)
    names = stage.settled("names")
    tasks = []
    for slot in range(stage.layout.first_slot, stage.layout.slots):
        low, high = stage.layout.span(slot)
        last = slot == stage.layout.slots - 1  # where empty partitions at the end lie, too
        mine = [part for part in stage.parts if low <= part.base < high + last]
        tasks.append(
            Task(
                f"{slot:08d}",
                {
                    "layout": stage.layout.as_args(),
                    "parts": [list(asdict(part).values()) for part in mine],
                    "choices": choices,
                    "scores": scores,
                    "names": names,
                    "dropped": DECIDED if stage.config.dedup.lines else DROPPED,
                },
            )
        )
    return stage.engine.map("deduplicate/decide", write_decisions, tasks, stage.digest, VERSION)
