"""A study on a neural rung: the same door, one directory per model, found again."""

from __future__ import annotations

import json

import pytest
import yaml

pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from ablations.cli import FAILED, FINISHED, ablate
from ablations.rungs import rung
from ablations.train import train
from tests.ablations.small_runs import make_texts, write_run

STUDY = {
    "rungs": ["smoke"],
    "arms": {
        "designs": ["leave-one-out"],
        "groups": {"repeated lines": ["gopher_duplicate_line_fraction"]},
        "dedup": False,
    },
    "budget": {"size": 6000, "data_seeds": 1, "orders": 1},
    "neural": {"draws": 2, "kinds": ["tokens"], "learning_rates": [1.0], "device": "cpu"},
    "tokenizer": {"vocab_size": 400},
    "benchmarks": {"tasks": ["hellaswag"]},
    "heldout": {"root": "generated", "sets": ["bees"], "max_chars": 2000},
    "workers": 0,
}


def write_study(folder, run, **changes):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"run": str(run), **STUDY, **changes}))
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, make_texts(5, good=60, repeated=20, short=4))
    return folder


@pytest.fixture(scope="module")
def study(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    assert ablate(write_study(folder, run), str(folder / "out")) == FINISHED
    return folder


def test_a_verdict_names_its_rung_and_what_it_may_claim(study):
    (judged,) = json.loads((study / "out" / "verdict.json").read_text())["rungs"]
    assert judged["rung"] == "smoke"
    assert judged["says"] == rung("smoke").says
    (verdict,) = judged["verdicts"]
    assert verdict["verdict"] in ("HELPS", "HURTS", "NEUTRAL", "INCONCLUSIVE")


def test_every_model_has_a_directory_that_transformers_could_load(study):
    models = [p.parent for p in (study / "out" / "models" / "smoke").glob("*/run.json")]
    # Two arms and two placebos of the one data seed; health adds a quarter and a half of an arm.
    assert len(models) >= 4
    for folder in models:
        assert (folder / "model.safetensors").exists() and (folder / "config.json").exists()
        assert json.loads((folder / "run.json").read_text())["steps"] <= 6100 // 1024


def test_what_is_trained_is_not_trained_again(study, run, monkeypatch):
    for manifest in (study / "out").rglob("manifests"):
        for path in sorted(manifest.rglob("*"), reverse=True):
            if path.is_file():
                path.unlink()

    def only_read(*args, **kwargs):
        assert (kwargs["out_dir"] / "run.json").exists()
        return train(*args, **kwargs)

    monkeypatch.setattr("ablations.neural_trainer.train", only_read)
    assert ablate(write_study(study, run), str(study / "out")) == FINISHED


def test_a_run_that_diverges_says_so_and_gives_no_verdict(run, tmp_path, capsys):
    wild = {**STUDY["neural"], "learning_rates": [1e40]}
    config = write_study(tmp_path, run, neural=wild)
    assert ablate(config, str(tmp_path / "out")) == FAILED
    said = capsys.readouterr().err
    assert "lower the learning rate" in said
    assert not (tmp_path / "out" / "verdict.md").exists()
