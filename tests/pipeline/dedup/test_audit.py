"""What the report says about recall and precision, and what survives a crash."""

import numpy as np
import pytest

from decant.filters.doc import Doc
from decant.filters.minhash import meeting_probability, shingles, signature
from decant.pipeline.dedup import layout
from decant.pipeline.engine import execute
from tests.pipeline.dedup.dedup_runs import (
    Planted,
    decisions_bytes,
    deduplicated,
    near,
    planted_clusters,
    random_signature,
    report,
    write_run_directory,
)

WORDS = [first + second for first in "bcdfghklmn" for second in ("ab", "el", "in", "os", "ut")]


def test_recall_counts_similar_pairs_that_shared_no_band(tmp_path):
    rng = np.random.default_rng(3)
    one = random_signature(rng)
    met, missed = one.copy(), one.copy()
    met[90:] = random_signature(rng)[90:]  # 90 of 112 agree, eleven bands whole
    missed[::6] = random_signature(rng)[::6]  # 93 of 112 agree, no band whole
    documents = [Planted(one), Planted(met), Planted(missed), Planted(None)]
    store = write_run_directory(tmp_path, documents)
    _, dropped = deduplicated(store)
    assert sorted(dropped) == [1]
    found = report(store)["candidate_recall"]["0.8"]
    # every document is a query: (0, 1) and (0, 2) twice each
    assert (found["pairs"], found["recall"]) == (4, 2 / 4)
    expected = [meeting_probability(count / 112, 14, 8) for count in (90, 93)]
    assert found["s_curve"] == pytest.approx(sum(expected) / 2)


def test_recall_under_scope_dump_leaves_pairs_of_two_dumps_out(tmp_path):
    one = random_signature(np.random.default_rng(9))
    dumps = ["CC-MAIN-2024-10", "CC-MAIN-2024-10", "CC-MAIN-2024-18"]
    documents = [Planted(one, dump=dump) for dump in dumps]
    by_dump = write_run_directory(tmp_path / "dump", documents, [1, 2])
    deduplicated(by_dump, scope="dump")
    assert report(by_dump)["candidate_recall"]["0.9"]["pairs"] == 2
    by_run = write_run_directory(tmp_path / "run", documents, [1, 2])
    deduplicated(by_run, scope="run")
    assert report(by_run)["candidate_recall"]["0.9"]["pairs"] == 6


def test_recall_under_scope_dump_does_not_depend_on_how_dumps_are_cut_into_partitions(tmp_path):
    rng = np.random.default_rng(10)
    one = random_signature(rng)
    dumps = ["CC-MAIN-2024-10", "CC-MAIN-2024-18"] * 3
    documents = [Planted(near(one, 0.95, rng), dump=dump) for dump in dumps]
    documents.insert(2, Planted(None))
    reports = []
    for name, bounds in {"whole": [], "each": [1, 2, 3, 4, 5, 6], "some": [2, 3]}.items():
        store = write_run_directory(tmp_path / name, documents, bounds)
        deduplicated(store, scope="dump")
        reports.append(report(store))
    # three documents of each dump, every one a query: 3 x 2 pairs twice
    assert reports[0]["candidate_recall"]["0.75"]["pairs"] == 2 * 3 * 2
    assert reports[0] == reports[1] == reports[2]


def test_exact_jaccard_of_dropped_documents_is_that_of_their_shingle_sets(tmp_path):
    rng = np.random.default_rng(4)
    texts = [" ".join(rng.choice(WORDS, 60)) for _ in range(3)]
    texts.append(texts[0] + " an end")  # 56 of 58 shingles in common
    planted = [Planted(signature(shingles(Doc(text))), text=text) for text in texts]
    store = write_run_directory(tmp_path, planted, [2])
    _, dropped = deduplicated(store)
    assert sorted(dropped) == [3]
    sample = report(store)["dropped_exact_jaccard"]
    assert sample["pairs"] == 1 and sample["share_at_least"]["0.9"] == 1.0
    assert sample["mean_error_of_estimate"] == pytest.approx(abs(56 / 58 - dropped[3]["jaccard"]))


@pytest.mark.parametrize("mode", ["cluster", "greedy"])
def test_a_stage_killed_at_any_task_ends_with_the_same_bytes(tmp_path, monkeypatch, mode):
    rng = np.random.default_rng(5)
    documents = planted_clusters(rng, 150)
    monkeypatch.setattr(layout, "SLOT_BYTES_PER_DOCUMENT", 1 << 18)
    monkeypatch.setattr(layout, "SORT_BYTES_PER_RECORD", 1 << 15)
    options = {"mode": mode, "memory_mb": 16, "exact_text": True}
    whole = write_run_directory(tmp_path / "whole", documents, [70])
    deduplicated(whole, **options)
    killed = write_run_directory(tmp_path / "killed", documents, [70])
    real = execute.execute
    done = 0

    def dying(*args):
        nonlocal done
        done += 1
        if done % 34 == 17:
            raise KeyboardInterrupt  # before the task did anything
        result = real(*args)
        if done % 34 == 0:
            raise KeyboardInterrupt  # its files and manifest are there, its driver is not
        return result

    monkeypatch.setattr(execute, "execute", dying)
    deaths = 0
    while True:
        try:
            deduplicated(killed, **options)
            break
        except KeyboardInterrupt:
            deaths += 1
    assert deaths >= 3
    assert decisions_bytes(killed) == decisions_bytes(whole)


def test_a_near_copy_has_the_planted_similarity():
    rng = np.random.default_rng(6)
    one = random_signature(rng, 10_000)
    assert (one == near(one, 0.8, rng)).mean() == pytest.approx(0.8, abs=0.02)
