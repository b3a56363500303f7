"""A study on a neural rung: the same door, one directory per model, found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from decant.ablations.ablate import FINISHED, WRONG, ablate
from decant.ablations.config import NeuralConfig, load
from decant.ablations.measuring.terms import gpus_of
from decant.ablations.measuring.trainings import planned as trainings_of
from decant.ablations.rungs.ladder import rung
from decant.ablations.rungs.train import TrainingDiverged, train
from decant.ablations.study import prepare
from decant.pipeline.engine.lock import Lock
from decant.pipeline.engine.storage import Store
from tests.ablations.small_runs import make_texts, write_run

STUDY = {
    "rungs": ["smoke"],
    "arms": {
        "designs": ["leave-one-out"],
        "groups": {"repeated lines": ["gopher_duplicate_line_fraction"]},
        "dedup": False,
    },
    "budget": {"size": 6000, "data_seeds": 1, "orders": 1},
    "neural": {
        "draws": 2,
        "kinds": ["tokens"],
        "with_trainings": 2,
        "reruns": 1,
        "curve_points": 2,
        "learning_rates": [1.0],
        "device": "cpu",
    },
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
    assert verdict["verdict"] == "INCONCLUSIVE"
    assert verdict["caveats"] == [f"rung smoke gives no verdicts ({rung('smoke').says})"]


def test_noise_between_orders_is_not_zero_but_unknown_where_one_order_was_read(study):
    (judged,) = json.loads((study / "out" / "verdict.json").read_text())["rungs"]
    assert all(state["noise"] is None for state in judged["health"])
    assert "| one order |" in (study / "out" / "verdict.md").read_text()


def test_every_model_has_a_directory_that_transformers_could_load(study):
    models = [p.parent for p in (study / "out" / "models" / "smoke").glob("*/run.json")]
    # As `test_the_runs_planned_are_those_that_are_trained` counts them.
    assert len(models) == 8
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

    monkeypatch.setattr("decant.ablations.measuring.neural_trainer.train", only_read)
    assert ablate(write_study(study, run), str(study / "out")) == FINISHED


def test_a_study_whose_every_training_diverges_ends_with_the_reason_and_no_verdict(
    run, tmp_path, capsys
):
    wild = {**STUDY["neural"], "learning_rates": [1e40]}
    config = write_study(tmp_path, run, neural=wild)
    assert ablate(config, str(tmp_path / "out")) == FINISHED
    assert "rung smoke: trainings that diverged and are left out: 8;" in capsys.readouterr().err
    (judged,) = json.loads((tmp_path / "out" / "verdict.json").read_text())["rungs"]
    (verdict,) = judged["verdicts"]
    assert (verdict["verdict"], verdict["overall"]) == ("INCONCLUSIVE", None)
    assert verdict["caveats"] == ["every training without the rule diverged in data seed 0"]


def test_one_training_that_diverges_is_left_out_and_does_not_end_the_study(
    run, tmp_path, monkeypatch, capsys
):
    first = []

    def fails_once(*args, **kwargs):
        if not first or first[0] == kwargs["out_dir"]:
            first[:] = [kwargs["out_dir"]]
            raise TrainingDiverged("loss is nan")
        return train(*args, **kwargs)

    monkeypatch.setattr("decant.ablations.measuring.neural_trainer.train", fails_once)
    assert ablate(write_study(tmp_path, run), str(tmp_path / "out")) == FINISHED
    assert "trainings that diverged and are left out: 1;" in capsys.readouterr().err
    assert (first[0] / "diverged.txt").read_text() == "loss is nan\n"


def test_the_arms_of_a_rule_have_curves_with_a_band_from_their_trainings(study):
    (judged,) = json.loads((study / "out" / "verdict.json").read_text())["rungs"]
    curves = judged["verdicts"][0]["curves"]
    assert curves["shares"][-1] == 1.0
    assert len(curves["shares"]) == 2  # two snapshots along the way, the last the end itself
    assert [len(curves[arm][0]) for arm in ("without", "with")] == [1, 2]  # trainings
    assert not list((study / "out" / "models").rglob("snapshots/*.safetensors"))


def test_every_training_reads_in_an_order_of_its_own(study):
    planned = prepare(load(study / "study.yaml"), Store(str(study / "orders")))
    terms, *_ = planned.terms("smoke")
    trainings = trainings_of(
        planned.pool, planned.contrasts, 0, terms.design, terms.budget, terms.fractions
    )
    by_role = {}
    for training in trainings:
        by_role.setdefault(training.role, []).append(training)
    # The arm with the rule twice, a set once more than the other.
    assert {role: len(ts) for role, ts in by_role.items()} == {
        "without": 1,
        "with": 2,
        "placebo": 3,
    }
    orders = [t.order for t in trainings]
    assert len(set(orders)) == len(orders)
    one, other = (t.reads.documents.tolist() for t in by_role["with"])
    assert one != other and sorted(one) == sorted(other)


def trained(study):
    """The names of the finished runs under a study's models."""
    return {p.parent.name for p in (study / "models" / "smoke").glob("*/run.json")}


def test_the_runs_planned_are_those_that_are_trained(study):
    planned = prepare(load(study / "study.yaml"), Store(str(study / "planned")))
    runs = planned.trainings(planned.terms("smoke")[0])
    # The arm without the rule, twice the one with it, two placebos and one of them again, and the
    # control arm at a quarter and at half of its budget.
    assert len(runs) == 1 + 2 + 2 + 1 + 2 == len(trained(study / "out"))
    folders = (study / "out" / "models" / "smoke").glob("*/run.json")
    steps = sorted(json.loads(path.read_text())["steps"] for path in folders)
    assert steps == sorted(run.tokens // 1024 for run in runs)


def test_rules_left_out_of_one_arm_share_its_runs_and_placebos_of_one_share(run, tmp_path):
    groups = {
        "repeated lines": ["gopher_duplicate_line_fraction"],
        "short pages": ["gopher_word_count_floor"],
    }
    arms = {**STUDY["arms"], "groups": groups}
    for share in (None, 0.2):
        neural = {**STUDY["neural"], "placebo_share": share}
        path = write_study(tmp_path, run, arms=arms, neural=neural)
        planned = prepare(load(path), Store(str(tmp_path / "out")))
        lines, short = (read_by(planned, k) for k in range(2))
        assert lines[1] == short[1]  # the arm with every rule
        assert (lines[2:] == short[2:]) is (share is not None)


def read_by(planned, number):
    """The documents of a contrast's runs: without the rule, with it, then its placebos."""
    terms, *_ = planned.terms("smoke")
    trainings = trainings_of(
        planned.pool, planned.contrasts, number, terms.design, terms.budget, terms.fractions
    )
    return [training.reads.documents.tolist() for training in trainings]


def test_later_learning_rates_train_no_placebos(run, tmp_path):
    neural = {**STUDY["neural"], "learning_rates": [1.0, 0.5, 0.25]}
    planned = prepare(load(write_study(tmp_path, run, neural=neural)), Store(str(tmp_path / "o")))
    counts = [len(planned.trainings(terms)) for terms in planned.terms("smoke")]
    assert counts == [3 + 3 + 2, 3, 3]


def test_three_learning_rates_are_all_told(run, tmp_path):
    neural = {**STUDY["neural"], "learning_rates": [1.0, 0.5, 0.25]}
    assert ablate(write_study(tmp_path, run, neural=neural), str(tmp_path / "out")) == FINISHED
    (judged,) = json.loads((tmp_path / "out" / "verdict.json").read_text())["rungs"]
    # The smoke rung gives no verdicts, so that there is nothing to retry.
    assert judged["learning_rates"] == [1.0]
    assert len(judged["control_bpb"]) == 1


def test_the_same_documents_of_another_pool_are_another_run(study, run, tmp_path):
    """Same ids, lengths and spans; only the words differ."""
    texts = [text.replace("e", "a") for text in make_texts(5, good=60, repeated=20, short=4)]
    write_run(tmp_path / "other", texts)
    config = write_study(tmp_path, tmp_path / "other")
    out = tmp_path / "out"
    assert ablate(config, str(out)) == FINISHED
    assert not trained(out) & trained(study / "out")


def test_a_neural_rung_on_an_object_store_is_refused(run, tmp_path, capsys):
    assert ablate(write_study(tmp_path, run), "memory://study") == WRONG
    assert "give --output a folder" in capsys.readouterr().err


def test_runs_shorter_than_the_rung_s_least_are_refused_before_any_is_trained(
    run, tmp_path, capsys
):
    config = write_study(tmp_path, run, rungs=["ngram", "cpu-s"])
    assert ablate(config, str(tmp_path / "out")) == WRONG
    said = capsys.readouterr().err
    assert "under 500 training noise hides any effect" in said
    assert "512,000 tokens a run" in said
    assert not (tmp_path / "out" / "models").exists()


def continuing(study, **changes):
    """A study that starts from a finished run of another study."""
    weights = next((study / "out" / "models" / "smoke").glob("*/run.json")).parent
    start = {"weights": str(weights), "replay": str(study / "out"), "replay_share": 0.25}
    return {
        "neural": {**STUDY["neural"], "continue_from": {**start, **changes}},
        "tokenizer": {"path": str(study / "out" / "pool" / "tokenizer.json")},
    }


def test_a_study_can_continue_from_trained_weights_with_the_old_mixture_replayed(
    study, run, tmp_path
):
    assert ablate(write_study(tmp_path, run, **continuing(study)), str(tmp_path / "o")) == FINISHED
    assert not trained(tmp_path / "o") & trained(study / "out")
    plans = [json.loads(p.read_text()) for p in (tmp_path / "o").rglob("run.json")]
    assert all(plan["continued_from"] for plan in plans)
    assert all("+1/4*" in plan["data"] for plan in plans)
    # An arm is read in full: a quarter of the sequences is replayed on top of it.
    fresh = max(json.loads(p.read_text())["steps"] for p in (study / "out").rglob("run.json"))
    assert max(plan["steps"] for plan in plans) == int(fresh * 1024 / 0.75) // 1024 + 1
    first = [score(tmp_path / "o"), score(study / "out")]
    assert first[0] < first[1]  # bits per byte of the control arm: it has learnt for longer


def score(out: Path) -> float:
    (judged,) = json.loads((out / "verdict.json").read_text())["rungs"]
    return judged["control_bpb"][0]


def test_a_study_that_continues_needs_the_old_tokenizer(study, run, tmp_path, capsys):
    changes = continuing(study)
    config = write_study(tmp_path, run, neural=changes["neural"])
    assert ablate(config, str(tmp_path / "out")) == WRONG
    assert "tokenizer.path" in capsys.readouterr().err


def test_weights_or_a_mixture_that_do_not_fit_are_refused(study, run, tmp_path, capsys):
    for changes, words in (
        ({"weights": str(tmp_path / "nothing")}, "nothing"),
        ({"replay": str(tmp_path)}, "is no study directory"),
        ({"replay": None}, "replay and replay_share come together"),
    ):
        config = write_study(tmp_path, run, **continuing(study, **changes))
        assert ablate(config, str(tmp_path / "out")) == WRONG
        assert words in capsys.readouterr().err
    config = write_study(
        tmp_path, run, **continuing(study), rungs=["cpu-s"], budget={"size": 10**6}
    )
    assert ablate(config, str(tmp_path / "out")) == WRONG
    assert "in this rung" in capsys.readouterr().err


def test_a_run_on_several_gpus_goes_through_the_group_and_is_read_back(
    study, run, tmp_path, monkeypatch
):
    """A stand-in for Ray Train: what it is given, it trains alone."""
    asked, connected = [], []

    def alone(rung, data, *, workers, use_gpu, **recipe):
        asked.append((workers, use_gpu))
        return train(rung, data.open(), device="cpu", **recipe)

    monkeypatch.setattr("decant.ablations.measuring.neural_trainer.train_on_group", alone)
    monkeypatch.setattr(
        "decant.ablations.rungs.distributed.connect", lambda *where: connected.append(where)
    )
    config = write_study(tmp_path, run, neural={**STUDY["neural"], "gpus_per_run": 2})
    assert ablate(config, str(tmp_path / "out")) == FINISHED
    assert asked == [(2, False)] * 8
    assert connected == [(2, None)]
    assert trained(tmp_path / "out") == trained(study / "out")
    one, other = ((p / "out" / "models" / "smoke") for p in (study, tmp_path))
    for name in trained(study / "out"):
        first, second = ((p / name / "model.safetensors").read_bytes() for p in (one, other))
        assert first == second


@pytest.mark.parametrize(
    ("neural", "gpus"),
    [({}, 0.0), ({"device": "cpu"}, 0.0), ({"gpus_per_run": 0.25}, 0.25), ({"gpus_per_run": 8}, 1)],
)
def test_a_task_asks_ray_for_the_gpu_that_its_run_needs(neural, gpus):
    placed = NeuralConfig(**neural).placed() if neural else {}
    assert gpus_of({"neural": placed}) == gpus


def test_over_one_gpu_a_run_takes_whole_ones():
    with pytest.raises(ValueError, match="whole ones"):
        NeuralConfig(gpus_per_run=1.5)


def test_a_batch_that_does_not_split_over_the_gpus_is_refused(run, tmp_path, capsys):
    config = write_study(tmp_path, run, neural={**STUDY["neural"], "gpus_per_run": 3})
    assert ablate(config, str(tmp_path / "out")) == WRONG
    assert "do not split over 3 GPUs" in capsys.readouterr().err


def test_an_arm_that_its_rule_empties_does_not_stop_the_others(tmp_path):
    """The rule that drops everything comes first, where the control arm is usually taken from."""
    rules = [
        {"gopher_word_count_floor": {"at_least": 10**6}},
        {"gopher_duplicate_line_fraction": {"at_most": 0.30}},
    ]
    texts = make_texts(5, good=60, repeated=20, short=4)
    write_run(tmp_path / "run", texts, rules=rules)
    groups = {"everything": ["gopher_word_*"], "lines": ["gopher_duplicate_*"]}
    arms = {"designs": ["add-one-in"], "groups": groups, "dedup": False}
    out = tmp_path / "out"
    assert ablate(write_study(tmp_path, tmp_path / "run", arms=arms), str(out)) == FINISHED
    (judged,) = json.loads((out / "verdict.json").read_text())["rungs"]
    emptied, lines = judged["verdicts"]
    assert emptied["caveats"] == ["the arm with the rule is empty in data seed 0"]
    assert lines["caveats"] == [f"rung smoke gives no verdicts ({rung('smoke').says})"]
    assert all(state["small"] > state["full"] > 0 for state in judged["health"])


def test_a_study_that_is_being_made_is_left_alone(run, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    with Lock(Store(str(out))):
        assert ablate(write_study(tmp_path, run), str(out)) == WRONG
    assert "is in use by" in capsys.readouterr().err
    assert not (out / "pool").exists()
