"""The rung `anneal` in a study: the same bytes whoever does the work, and nothing trained twice."""

from __future__ import annotations

import json

import pytest
import yaml

pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from decant.ablations.ablate import FINISHED, WRONG, ablate
from decant.ablations.annealing.design import SAYS
from decant.ablations.annealing.training import BranchTrainer
from decant.ablations.rungs import ladder
from decant.ablations.rungs.ladder import Rung, Shape
from tests.ablations.small_runs import make_texts, write_run

TINY = Rung("tiny", Shape(16, 1, 1, 32, 400, 16), 4, 3e-3, 8_000, "a test", min_steps=1)
STUDY = {
    "rungs": ["anneal"],
    "arms": {
        "designs": ["leave-one-out"],
        "groups": {"repeated lines": ["gopher_duplicate_line_fraction"]},
        "dedup": False,
    },
    "budget": {"sites": "host"},
    "anneal": {
        "rung": "tiny", "branch_tokens": 2_048, "doses": [0.5, 0.5], "sets": 12, "removed_sets": 4,
        "device": "cpu",
    },
    "tokenizer": {"vocab_size": 400},
    "benchmarks": {"tasks": ["generated_order"], "max_questions": 5},
    "heldout": {"root": "generated", "sets": ["bees", "music"], "max_chars": 1_500},
    "workers": 0,
}  # fmt: skip


def write_study(folder, run, **changes):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"run": str(run), **STUDY, **changes}))
    return str(path)


@pytest.fixture(autouse=True)
def tiny_rung(monkeypatch):
    monkeypatch.setattr(ladder, "RUNGS", (*ladder.RUNGS, TINY))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, make_texts(5, good=120, repeated=40, short=4))
    return folder


@pytest.fixture(scope="module")
def study(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ladder, "RUNGS", (*ladder.RUNGS, TINY))
        assert ablate(write_study(folder, run), str(folder / "out")) == FINISHED
    return folder


def rung_of(folder):
    (judged,) = json.loads((folder / "out" / "verdict.json").read_text())["rungs"]
    return judged


def test_the_verdict_says_what_it_estimates_and_at_which_doses(study):
    judged = rung_of(study)
    assert judged["rung"] == "anneal" and judged["says"] == SAYS
    (verdict,) = judged["verdicts"]
    assert verdict["verdict"] in ("HELPS", "HURTS", "NEUTRAL", "INCONCLUSIVE")
    assert "at dose 0.5, scaled to its share of" in verdict["caveats"][0]
    text = (study / "out" / "verdict.md").read_text()
    assert SAYS in text
    assert "12 placebo sets of the same number of documents, domains and lengths" in text


def test_both_arms_have_their_tasks_metrics(study):
    (verdict,) = rung_of(study)["verdicts"]
    metrics = verdict["tasks"]["generated_order"]
    assert metrics["trainings"] == {"without": 4, "with": 12}
    assert 0 <= metrics["with"]["acc"] <= 1 and metrics["questions"] == 5


def test_branches_leave_numbers_and_trunks_their_weights(study):
    models = study / "out" / "models" / "anneal"
    assert len(list(models.glob("trunk-*/model.safetensors"))) == 2
    assert len(list((models / "branches").glob("*.json"))) == 2 * (2 + 6) * 2


def test_what_was_trained_is_found_again_by_what_it_read(study, run, monkeypatch):
    before = (study / "out" / "verdict.json").read_bytes()
    for path in sorted((study / "out" / "manifests").rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()

    def trained(*_):
        raise AssertionError("a branch is trained again")

    monkeypatch.setattr(BranchTrainer, "branch", trained)
    assert ablate(write_study(study, run), str(study / "out")) == FINISHED
    after = (study / "out" / "verdict.json").read_bytes()
    assert json.loads(before)["rungs"] == json.loads(after)["rungs"]


def test_another_process_order_gives_the_same_verdict(study, run, tmp_path, monkeypatch):
    from decant.pipeline.engine.execute import Engine

    plain = Engine.map

    def backwards(self, step, function, tasks, *rest, **more):
        return plain(self, step, function, list(reversed(tasks)), *rest, **more)

    monkeypatch.setattr(Engine, "map", backwards)
    assert ablate(write_study(tmp_path, run), str(tmp_path / "out")) == FINISHED
    assert rung_of(tmp_path) == rung_of(study)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rung": "none"}, "anneal.rung: no rung 'none'"),
        ({"sets": 11}, "anneal.sets: 11 placebo sets; a verdict needs 12"),
        ({"trunks": 1}, "anneal.trunks"),
        ({"doses": [0.6]}, "anneal.doses"),
        ({"rung": "cpu-xs"}, "which needs 500"),
    ],
)
def test_what_could_give_no_verdict_is_refused_before_anything_is_trained(
    run, tmp_path, capsys, changes, words
):
    config = write_study(tmp_path, run, anneal={**STUDY["anneal"], **changes})
    assert ablate(config, str(tmp_path / "out")) == WRONG
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out" / "models").exists()


def test_a_rung_that_only_exercises_the_path_gives_no_verdict(run, tmp_path):
    silent = Rung("tiny", TINY.shape, 4, 3e-3, 8_000, "nothing", min_steps=0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ladder, "RUNGS", (silent,))
        assert ablate(write_study(tmp_path, run), str(tmp_path / "out")) == FINISHED
    (verdict,) = rung_of(tmp_path)["verdicts"]
    assert verdict["caveats"] == ["rung tiny gives no verdicts (nothing)"]
