"""Repeated lines against a slow reading of their definition, however the run is cut up."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decant.pipeline import shard
from decant.pipeline.config import RunConfig, validate
from decant.pipeline.dedup import layout
from decant.pipeline.dedup import lines as line_steps
from decant.pipeline.dedup.signatures import SignatureError
from decant.pipeline.engine import manifest
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError, parse_yaml
from decant.pipeline.rundir import ledger
from decant.pipeline.rundir import texts as joined
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.rundir.records import FILTERED
from decant.pipeline.shard import published_files
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    decisions_bytes,
    deduplicated,
    random_signature,
    report,
    write_run_directory,
)

DUMPS = ("CC-MAIN-2024-10", "CC-MAIN-2024-18")
POOL = [f"Line {number} of the pool{'.' * (number % 9)}" for number in range(40)]
POOL += ["ok", "Read more", "x", "Straße", "İstanbul", "\u2028", "  ", ""]


@dataclass(frozen=True)
class Edited(Planted):
    edited: str | None = None  # the text as the filters left it, where they changed it

    @property
    def final(self) -> str:
        return self.text if self.edited is None else self.edited


def block(rng: np.random.Generator, length: int) -> list[str]:
    lines = [POOL[place] for place in rng.integers(len(POOL), size=length)]
    return [f" {line.upper()}\t" if rng.random() < 0.2 else line for line in lines]


def generated(documents: int, seed: int = 7) -> list[Edited]:
    """Texts of pool lines, shared blocks and lines of their own; some dropped before, or edited."""
    rng = np.random.default_rng(seed)
    blocks = [block(rng, int(rng.integers(1, 9))) for _ in range(12)]
    signatures = [random_signature(rng) for _ in range(documents)]
    made = []
    for at in range(documents):
        lines = []
        for _ in range(int(rng.integers(0, 5))):
            lines += blocks[int(rng.integers(len(blocks)))] * int(rng.integers(1, 3))
            lines += [f"Only {at} {rng.random()}"] * int(rng.integers(0, 3))
        near = int(rng.integers(at + 1)) if rng.random() < 0.15 else at
        made.append(
            Edited(
                signatures[near],
                kept=rng.random() > 0.1,
                text_hash=rng.bytes(16),
                dump=DUMPS[at * 2 // documents],
                name=f"<document:{at}>",
                text="\n".join(lines) or "\n",
                edited="\n".join(block(rng, 6)) if rng.random() < 0.2 else None,
            )
        )
    return made


def line_run(folder: Path, documents: Sequence[Edited], bounds: Sequence[int] = ()) -> Store:
    """A run directory after its filter stage, with what the filters kept and edited."""
    store = write_run_directory(folder, documents, bounds)
    edges = [0, *bounds, len(documents)]
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        path = f"2-filtered/kept/{partition_name(number)}.parquet"
        kept = [at for at in range(low, high) if documents[at].kept]
        rows = [{"file": 0, "offset": 10 * at, "text": documents[at].edited} for at in kept]
        with store.table_writer(path, FILTERED) as writer:
            writer.write_rows(rows)
    return store


def removed_lines(store: Store) -> dict[int, list[int]]:
    tables = [store.read_table(path) for path in store.list("3-deduplicated/lines")]
    return {row["offset"] // 10: row["removed"] for one in tables for row in one.to_pylist()}


def lasting(store: Store) -> tuple[dict[int, list[int]], list[dict], bytes]:
    """What a run decided, in row-key order, whatever its partitions are."""
    dropped = [
        row
        for path in store.list("3-deduplicated/dropped")
        for row in store.read_table(path).to_pylist()
    ]
    return removed_lines(store), dropped, store.read_bytes("3-deduplicated/report.json")


def oracle(documents: Sequence[Edited], unique: set[int], window: int, min_chars=1, scope="dump"):
    """The removed line numbers of every document that loses lines, one line after the other."""
    seen: dict[tuple, tuple[int, set[int]]] = {}
    removed: dict[int, set[int]] = {}
    for at, one in enumerate(documents):
        if at not in unique:
            continue
        lines = [line.strip().lower() for line in one.final.split("\n")]
        filled = [number for number, line in enumerate(lines) if line]
        for place in range(len(filled) - window + 1):
            numbers = filled[place : place + window]
            words = tuple(lines[number] for number in numbers)
            if sum(len(word) for word in words) < min_chars:
                continue
            key = (one.dump if scope == "dump" else "all", words)
            if key not in seen:
                seen[key] = at, set(numbers)
            elif seen[key][0] != at or not seen[key][1].intersection(numbers):
                removed.setdefault(at, set()).update(numbers)
    return {at: sorted(numbers) for at, numbers in removed.items()}


def left_of(text: str, removed: Sequence[int]) -> str:
    lines = text.split("\n")
    return "\n".join(lines[number] for number in range(len(lines)) if number not in removed)


def unique_of(documents: Sequence[Edited], dropped: dict[int, dict]) -> set[int]:
    """What document deduplication left: kept by filters, dropped by no rule but that of lines."""
    gone = {at for at, row in dropped.items() if row["rule"] != "repeated_lines"}
    return {at for at, one in enumerate(documents) if one.kept and at not in gone}


@pytest.mark.parametrize(("window", "min_chars"), [(1, 1), (1, 12), (3, 1), (3, 45)])
@pytest.mark.parametrize("scope", ["dump", "run"])
def test_lines_removed_are_those_of_the_slow_definition(tmp_path, window, min_chars, scope):
    documents = generated(160)
    store = line_run(tmp_path, documents, [30, 30, 110])
    lines = {"window": window, "min_chars": min_chars, "min_words": 4}
    entry, dropped = deduplicated(store, scope=scope, lines=lines)
    unique = unique_of(documents, dropped)
    expected = oracle(documents, unique, window, min_chars, scope)
    assert removed_lines(store) == expected and len(expected) > 40

    left = {at: left_of(documents[at].final, numbers) for at, numbers in expected.items()}
    short = {at for at, text in left.items() if len(text.split()) < 4}
    by_lines = {at for at, row in dropped.items() if row["rule"] == "repeated_lines"}
    assert by_lines == short and short
    for at in short:
        assert (dropped[at]["value"], dropped[at]["bound"]) == (len(left[at].split()), 4)

    ledger.check("deduplicate", entry)
    assert entry["dropped"]["repeated_lines"] == len(short)
    assert entry["kept"] == len(unique) - len(short)
    found = report(store)["lines"]
    chars = sum(len(documents[at].final) - len(text) for at, text in left.items())
    assert (found["documents"], found["dropped"]) == (len(expected), len(short))
    assert found["removed_lines"] == sum(map(len, expected.values()))
    assert found["removed_chars"] == chars


@pytest.mark.parametrize("window", [1, 3])
def test_no_cut_of_the_run_shows_in_what_is_removed(tmp_path, monkeypatch, window):
    documents = generated(120)
    outcomes = []
    for number, bounds in enumerate(([], [20, 20, 75], list(range(5, 120, 5)))):
        store = line_run(tmp_path / str(number), documents, bounds)
        if number == 1:
            monkeypatch.setattr(joined, "JOIN_ROWS", 7)
        if number == 2:  # a task per bin, and run files so small that they are merged in rounds
            monkeypatch.setattr(line_steps, "SORT_BYTES", 1 << 40)
            monkeypatch.setattr(layout, "PAYLOAD_SHARE", 1 << 12)
        # No queries: the report's recall leaves out partitions that hold two dumps.
        lines = {"window": window, "min_words": 3}
        deduplicated(store, memory_mb=16, recall_queries=0, lines=lines)
        outcomes.append(lasting(store))
    assert len(manifest.read(store, "deduplicate/line-repeats")[0]) == 128 and outcomes[0][0]
    assert store.list("3-deduplicated/_scratch/line-hashes.round-1")
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_two_dumps_in_one_run_lose_what_each_loses_alone(tmp_path):
    documents = generated(120)
    joint = line_run(tmp_path / "joint", documents, [35])
    deduplicated(joint, lines={"window": 3})
    alone: dict[int, list[int]] = {}
    for number, dump in enumerate(DUMPS):
        own = [at for at, one in enumerate(documents) if one.dump == dump]
        store = line_run(tmp_path / dump, [documents[at] for at in own])
        deduplicated(store, lines={"window": 3})
        assert removed_lines(store), number
        alone |= {own[place]: numbers for place, numbers in removed_lines(store).items()}
    assert removed_lines(joint) == alone
    together = line_run(tmp_path / "together", documents, [35])
    deduplicated(together, scope="run", lines={"window": 3})
    assert removed_lines(together) != alone


def removed_from(tmp_path: Path, *texts: str, **lines) -> list[list[int]]:
    documents = [Edited(None, text=text) for text in texts]
    store = line_run(tmp_path, documents)
    deduplicated(store, lines=lines)
    removed = removed_lines(store)
    return [removed.get(at, []) for at in range(len(texts))]


def test_a_window_that_overlaps_its_first_occurrence_is_no_repeat(tmp_path):
    four, ten = "\n".join("a" * 4), "\n".join("b" * 10)
    assert removed_from(tmp_path, four, ten, window=3) == [[], [3, 4, 5, 6, 7, 8, 9]]


def test_blank_lines_neither_part_nor_fill_a_window(tmp_path):
    texts = ("one\ntwo\nthree", "\none\n\n TWO \nThree\nfour\n")
    assert removed_from(tmp_path, *texts, window=3) == [[], [1, 3, 4]]


def test_single_lines_keep_their_first_occurrence(tmp_path):
    texts = ("menu\nown\nmenu", "Menu\nok\n", "ok\nmine")
    assert removed_from(tmp_path, *texts, window=1, min_chars=3) == [[2], [0], []]


def test_a_document_that_lost_no_line_is_never_too_short(tmp_path):
    documents = [Edited(None, text=text) for text in ("one\ntwo", "short", "one", "one\nleft")]
    store = line_run(tmp_path, documents)
    _, dropped = deduplicated(store, lines={"window": 1, "min_words": 2})
    details = {at: (row["rule"], row["detail"]) for at, row in dropped.items()}
    assert details == {
        2: ("repeated_lines", "1 lines removed, 0 words left"),
        3: ("repeated_lines", "1 lines removed, 1 words left"),
    }


def test_a_document_without_text_left_is_dropped_however_few_words_are_enough(tmp_path):
    store = line_run(tmp_path, [Edited(None, text=text) for text in ("one", "\nOne \n", "one\n2")])
    entry, dropped = deduplicated(store, lines={"window": 1, "min_words": 0})
    assert {at: (row["value"], row["bound"]) for at, row in dropped.items()} == {1: (0, 1)}
    assert (entry["in"], entry["kept"], entry["dropped"]) == (3, 2, {"repeated_lines": 1})


def test_shards_hold_the_texts_without_the_lines(tmp_path):
    documents = generated(80)
    store = line_run(tmp_path, documents, [50])
    lines = {"window": 1, "min_words": 3}
    entry, dropped = deduplicated(store, lines=lines)
    tokens = {"when_missing": "null", "tokenizer": "no such tokenizer"}
    config = RunConfig.model_validate({"dedup": {"lines": lines}, "tokens": tokens})
    sharded = shard.run(Engine(store, config), store, config)
    assert sharded["in"] == entry["kept"]
    published = {
        row["id"]: row["text"]
        for path in published_files(store)
        for row in store.read_table(path).to_pylist()
    }
    unique = unique_of(documents, dropped)
    expected = oracle(documents, unique, 1)
    assert published == {
        documents[at].name: left_of(documents[at].final, expected.get(at, []))
        for at in unique - set(dropped)
    }


def test_without_the_option_or_a_repeat_the_decisions_are_the_same_bytes(tmp_path):
    documents = [
        replace(one, edited=None, text=f"first {at}\nsecond {at}\nthird {at}")
        for at, one in enumerate(generated(60))
    ]
    tables, stores, dropped = [], [], {}
    choices: tuple[dict[str, Any], ...] = ({}, {"lines": None}, {"lines": {"window": 1}})
    for number, options in enumerate(choices):
        stores.append(line_run(tmp_path / str(number), documents, [20]))
        _, dropped = deduplicated(stores[-1], **options)
        tables.append(decisions_bytes(stores[-1]))
    assert dropped and tables[0] == tables[1]
    assert not stores[0].list("3-deduplicated/lines") and "lines" not in report(stores[0])
    name = "3-deduplicated/report.json"
    without = [{path: data for path, data in one.items() if path != name} for one in tables]
    assert without[0] == without[2]
    assert report(stores[2])["lines"]["repeated"] == 0


def test_a_lost_table_is_made_again_with_the_same_bytes(tmp_path):
    store = line_run(tmp_path, generated(60), [20])
    lines = {"window": 3, "min_words": 3}
    deduplicated(store, lines=lines)
    names = store.list("3-deduplicated/lines") + store.list("3-deduplicated/dropped")
    before = {name: store.read_bytes(name) for name in names}
    store.remove("3-deduplicated/lines/00001.parquet")
    store.remove("3-deduplicated/dropped/00000.parquet")
    deduplicated(store, lines=lines)
    assert before == {name: store.read_bytes(name) for name in before}


@pytest.mark.parametrize("other", [{"enabled": False}, {"index": "entries", "scope": "run"}])
def test_what_lines_cannot_go_with_is_refused(tmp_path, other):
    store = line_run(tmp_path, generated(4))
    with pytest.raises(SignatureError, match=r"dedup\.lines"):
        deduplicated(store, lines={}, **other)


def test_a_misspelt_key_of_the_section_is_named_with_its_line():
    source = "dedup:\n  lines:\n    windows: 3\n"
    with pytest.raises(ConfigError, match=r"run\.yaml:3: .*min_chars, min_words, window"):
        validate(*parse_yaml(source, "run.yaml"), "run.yaml")
