"""A few flips of the campaign (`python -m tests.bench.dedup_flips`), the same ones every time."""

import pytest

from decant.pipeline.dedup.spill_file import SpillFile
from tests.bench.dedup_flips import KINDS, Recording, campaign, record


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("flips")
    return {name: record(name, folder / name) for name in ("greedy", "index", "whole")}


def kinds_in(recordings) -> list:
    return [kind for kind in KINDS if kind.scene in recordings]


def test_no_flipped_bit_changes_a_result_or_ends_a_process(recordings):
    for kind in kinds_in(recordings):
        words = campaign(recordings[kind.scene], kind, 5)
        assert words["named"] + words["same"] == 5 and words["named"] >= 1, kind.name


def test_a_run_makes_a_damaged_file_again_and_ends_with_the_same_bytes(recordings):
    for kind in kinds_in(recordings):
        if kind.name in ("whole: bands", "whole: sketches", "whole: labels", "index: against"):
            assert campaign(recordings[kind.scene], kind, 1, redo=True) == {"redone": 1}, kind.name


def test_the_campaign_sees_what_unverified_files_come_to(recordings, monkeypatch):
    monkeypatch.setattr(SpillFile, "verify", lambda *_: None)
    kind = next(one for one in KINDS if one.name == "whole: bands")
    assert campaign(recordings["whole"], kind, 20)["SILENT"] > 0
