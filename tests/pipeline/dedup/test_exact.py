"""Exact duplicates: their own rules, and the fate of the document that stands for them."""

import numpy as np
import pytest

from tests.pipeline.dedup.dedup_runs import (
    Planted,
    cluster_sizes,
    decisions_bytes,
    deduplicated,
    near,
    random_signature,
    report,
    write_run_directory,
)

A, B, C, D = (bytes([letter]) * 16 for letter in b"abcd")


@pytest.fixture
def rng():
    return np.random.default_rng(20_131_231)


def rules(dropped: dict[int, dict]) -> dict[int, tuple[str, str]]:
    return {doc: (row["rule"], row["duplicate_of"]) for doc, row in dropped.items()}


def test_exact_duplicates_have_their_own_rules_and_follow_their_first_document(tmp_path, rng):
    one = random_signature(rng)
    other = near(one, 0.95, rng)
    documents = [
        Planted(one, text_hash=A, payload=A),
        Planted(other, text_hash=B, payload=B),  # near the first
        Planted(other, text_hash=B, payload=C),  # text of 1
        Planted(other, text_hash=B, payload=B),  # payload of 1, hence its text
        Planted(random_signature(rng), text_hash=C, payload=D),
    ]
    store = write_run_directory(tmp_path, documents, [2])
    entry, dropped = deduplicated(store, exact_payload=True, exact_text=True)
    assert rules(dropped) == {
        1: ("minhash_duplicate", "<doc:0>"),
        2: ("exact_text_duplicate", "<doc:0>"),
        3: ("exact_payload_duplicate", "<doc:0>"),
    }
    assert cluster_sizes(store) == {0: 4}
    assert {row["cluster_size"] for row in dropped.values()} == {4}
    assert entry["dropped"] == {
        "exact_payload_duplicate": 1,
        "exact_text_duplicate": 1,
        "minhash_duplicate": 1,
    }


def test_nothing_exact_is_compared_by_default(tmp_path):
    documents = [Planted(None, text_hash=A, payload=A)] * 3
    assert deduplicated(write_run_directory(tmp_path, documents))[1] == {}


def test_short_documents_are_compared_only_with_each_other(tmp_path, rng):
    documents = [
        Planted(random_signature(rng), text_hash=A),
        Planted(None, text_hash=A),
        Planted(None, text_hash=B),
        Planted(None, text_hash=A),
        Planted(None, text_hash=A, kept=False),
    ]
    store = write_run_directory(tmp_path, documents)
    entry, dropped = deduplicated(store, short_documents="exact")
    assert rules(dropped) == {3: ("short_text_duplicate", "<doc:1>")}
    assert entry["in"] == 4 and entry["kept"] == 3


def test_scope_dump_keeps_exact_twins_of_two_dumps(tmp_path, rng):
    one = random_signature(rng)
    documents = [Planted(one, text_hash=A, dump=dump) for dump in ("A-2024-1", "A-2024-2")]
    by_dump = write_run_directory(tmp_path / "dump", documents, [1])
    assert deduplicated(by_dump, exact_text=True, scope="dump")[1] == {}
    by_run = write_run_directory(tmp_path / "run", documents, [1])
    assert sorted(deduplicated(by_run, exact_text=True, scope="run")[1]) == [1]


@pytest.mark.parametrize("mode", ["cluster", "greedy"])
@pytest.mark.parametrize("survivor", ["row_key", "longest"])
def test_exact_rules_remove_nobody_that_minhash_keeps(tmp_path, rng, mode, survivor):
    signatures = [random_signature(rng) for _ in range(30)]
    signatures += [near(signatures[place % 30], 0.85, rng) for place in range(60)]
    documents = []
    for _ in range(300):
        place = int(rng.integers(len(signatures)))
        digest = bytes([place]) * 16
        payload = bytes([place, int(rng.integers(2))]) * 8
        documents.append(
            Planted(signatures[place], text_hash=digest, payload=payload, chars=100 + place)
        )
    plain = write_run_directory(tmp_path / "plain", documents)
    deduplicated(plain, mode=mode, survivor=survivor)
    exact = write_run_directory(tmp_path / "exact", documents, [17, 200])
    options = {"mode": mode, "survivor": survivor}
    _, dropped = deduplicated(exact, exact_text=True, exact_payload=True, **options)
    assert cluster_sizes(exact) == cluster_sizes(plain)
    assert {row["rule"] for row in dropped.values()} == {
        "exact_payload_duplicate",
        "exact_text_duplicate",
        "minhash_duplicate",
    }


def test_a_giant_bucket_is_listed_with_its_document(tmp_path, rng):
    documents = [Planted(random_signature(rng)), *[Planted(random_signature(rng))] * 1_200]
    store = write_run_directory(tmp_path, documents, [700])
    deduplicated(store)
    giants = report(store)["candidates"]["giant_buckets"]
    named = {"id": "<doc:1>", "url": "u1", "text": "text 1"}
    assert giants == [{"size": 1_200, "band": band, **named} for band in range(14)]
    assert report(store)["clusters"]["largest"] == [{"size": 1_200, **named}]


def test_all_documents_identical_leave_one(tmp_path, rng):
    documents = [Planted(random_signature(rng), text_hash=A)] * 500
    for number, exact in enumerate((True, False)):
        store = write_run_directory(tmp_path / str(number), documents, [100])
        _, dropped = deduplicated(store, exact_text=exact)
        assert cluster_sizes(store) == {0: 500} and len(dropped) == 499
        assert len(decisions_bytes(store)) == 5
