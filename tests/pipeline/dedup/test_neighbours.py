"""`decant neighbours`: the nearest stored documents of a text or a document."""

import numpy as np
import pytest

from decant.filters.doc import Doc
from decant.filters.minhash import shingles, signature
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.neighbours import NeighbourError, neighbours
from tests.pipeline.dedup.dedup_runs import Planted, deduplicated, write_run_directory

WORDS = [first + second for first in "bcdfghklmn" for second in ("ab", "el", "in", "os", "ut")]


@pytest.fixture
def stored(tmp_path):
    """(store, texts): 30 documents in three partitions; 21 is near 4, 22 is too short."""
    rng = np.random.default_rng(7)
    texts = [" ".join(rng.choice(WORDS, 100)) for _ in range(30)]
    texts[21] = texts[4] + " and an ending"
    texts[22] = "too short"
    planted = [Planted(signature(shingles(Doc(text)))) for text in texts]
    return write_run_directory(tmp_path, planted, [10, 20]), texts


def test_a_text_finds_its_document_and_the_near_copy(stored):
    store, texts = stored
    first, second, *_ = neighbours(store, RunConfig(), texts[4])
    assert (first.id, first.jaccard) == ("<doc:4>", 1.0)
    assert first.bands == "bands " + " ".join(map(str, range(14)))
    assert second.id == "<doc:21>" and 0.9 < second.jaccard < 1


@pytest.mark.parametrize("name", ["<doc:4>", "u4"])
def test_a_document_is_asked_for_by_id_or_url_and_left_out(stored, name):
    store, _ = stored
    found = neighbours(store, RunConfig(), name, count=3)
    assert found[0].id == "<doc:21>"
    assert all(one.id != "<doc:4>" for one in found)


def test_the_jaccard_is_that_of_deduplication(stored):
    store, _ = stored
    _, dropped = deduplicated(store)
    nearest = neighbours(store, RunConfig(), "<doc:21>")[0]
    assert dropped[21]["jaccard"] == nearest.jaccard
    assert dropped[21]["detail"] == nearest.bands


def test_what_has_no_signature_is_said(stored):
    store, _ = stored
    with pytest.raises(NeighbourError, match="has no signature"):
        neighbours(store, RunConfig(), "<doc:22>")
    with pytest.raises(NeighbourError, match="fewer than 5 words"):
        neighbours(store, RunConfig(), "no such id")
