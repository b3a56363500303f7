"""Which keys tell two runs apart."""

import hashlib
import json

import pytest

from decant.pipeline import stage_keys as keys
from decant.pipeline.config import DedupConfig, ExtractConfig, LinesConfig, RunConfig, UrlConfig
from decant.pipeline.stage_keys import STAGE_KEYS, changed_keys, stage_digest, stage_keys

# Of RunConfig() as the last decant without a format number hashed them.
FORMAT_1_DIGESTS = {
    "extract": "d245de53c3d4f745cd047b3224c069069bad8c3dab36ff84597216144e60b313",
    "filter": "7e84c46027fa2a07ddd3c51f7b9466354e984107bc3a193d8c48778437fcd5a7",
    "deduplicate": "91d230482beff94fbe87e023a1e4aa0860720310c4c895404dfc56cdc7773ea6",
    "shard": "92cd99359cf81eef638255bfc4e4581d3268533de2fd34d6d69061f7de4fe622",
}


@pytest.mark.parametrize("stage", STAGE_KEYS)
def test_the_digest_of_an_unchanged_configuration_is_that_of_format_1(stage):
    assert stage_digest(RunConfig(), stage) == FORMAT_1_DIGESTS[stage]


@pytest.mark.parametrize("stage", STAGE_KEYS)
def test_a_digest_is_the_hash_of_the_keys_it_covers(stage):
    text = json.dumps(stage_keys(RunConfig(), stage), sort_keys=True, ensure_ascii=False)
    assert stage_digest(RunConfig(), stage) == hashlib.sha256(text.encode()).hexdigest()


def test_a_key_of_format_1_counts_at_its_default_and_a_later_one_only_beside_it(monkeypatch):
    known = keys.FORMAT_1_KEYS - {"url.enabled"}
    monkeypatch.setattr(keys, "FORMAT_1_KEYS", known)
    assert "url.enabled" not in stage_keys(RunConfig(), "extract")
    other = RunConfig(url=UrlConfig(enabled=False))
    assert stage_keys(other, "extract")["url.enabled"] is False
    assert stage_digest(other, "extract") != stage_digest(RunConfig(), "extract")


def test_a_later_key_at_its_default_is_no_change_from_a_run_that_did_not_know_it(monkeypatch):
    then = stage_keys(RunConfig(), "extract")
    del then["url.enabled"]
    assert changed_keys(then, RunConfig(), "extract") == []
    other = RunConfig(url=UrlConfig(enabled=False))
    assert changed_keys(then, other, "extract") == [("url.enabled", True, False)]


def test_a_later_key_that_a_run_had_set_is_a_change_from_its_default(monkeypatch):
    monkeypatch.setattr(keys, "FORMAT_1_KEYS", keys.FORMAT_1_KEYS - {"url.enabled"})
    then = stage_keys(RunConfig(url=UrlConfig(enabled=False)), "extract")
    assert changed_keys(then, RunConfig(), "extract") == [("url.enabled", False, True)]


def test_keys_of_an_optional_section_and_of_engine_options_count():
    lines = stage_keys(RunConfig(dedup=DedupConfig(lines=LinesConfig(window=1))), "deduplicate")
    assert lines["dedup.lines.window"] == 1
    options = RunConfig(extract=ExtractConfig(options={"comments": False}))
    assert stage_keys(options, "extract")["extract.options.comments"] is False


def test_a_bound_on_memory_tells_no_runs_apart():
    large = RunConfig(dedup=DedupConfig(memory_mb=4_000))
    assert stage_digest(large, "deduplicate") == stage_digest(RunConfig(), "deduplicate")
