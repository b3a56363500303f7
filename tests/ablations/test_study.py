"""A whole study on a small run: verdicts, files, resume, gate and refusals."""

import json

import pyarrow.parquet as pq
import pytest
import yaml

from decant.ablations.ablate import FAILED, FINISHED, GATE_CLOSED, WRONG, ablate
from tests.ablations.small_runs import make_texts, write_run

STUDY = {
    "arms": {"designs": ["leave-one-out", "removed-only", "a-a"]},
    "budget": {"orders": 1},
    "placebo": {"draws": 5, "kinds": ["tokens", "domains"]},
    "tokenizer": {"vocab_size": 400},
    "benchmarks": {"tasks": ["hellaswag", "mmlu"]},
    "heldout": {"root": "generated", "sets": ["bees", "music", "weather"], "max_chars": 8000},
    "workers": 0,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, make_texts(5, good=110, repeated=25, short=8))
    return folder


def write_config(folder, run, **changes):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"run": str(run), **STUDY, **changes}))
    return str(path)


@pytest.fixture(scope="module")
def study(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    assert ablate(write_config(folder, run), str(folder / "out")) == FINISHED
    return folder


def read(study):
    return json.loads((study / "out" / "verdict.json").read_text())


def test_a_study_ends_with_tables_figures_and_one_row_per_option(study):
    out = study / "out"
    text = (out / "verdict.md").read_text()
    assert "| gopher_duplicate_line_fraction | leave-one-out |" in text
    for name in ("forest", "trade-off", "curves"):
        assert (out / "plots" / f"ngram-{name}.svg").read_text().startswith("<svg")
    rows = pq.read_table(sorted((out / "samples" / "ngram").iterdir())[0])
    assert set(rows.column("task").to_pylist()) == {"hellaswag", "mmlu"}
    assert rows.num_rows == 12 * 4 + 12 * 4
    assert rows.column_names[:2] == ["run", "rung"]


def test_dropping_repeated_lines_helps_prose(study):
    (rung,) = read(study)["rungs"]
    by_name = {(v["name"], v["design"]): v for v in rung["verdicts"]}
    lines = by_name["gopher_duplicate_line_fraction", "leave-one-out"]
    assert lines["overall"]["effect"] > 0
    assert lines["verdict"] in ("HELPS", "INCONCLUSIVE")  # five draws seldom suffice
    assert lines["changed_documents"] == 25
    # What it removes is worse to learn from than what is kept.
    removed = by_name["gopher_duplicate_line_fraction", "removed-only"]
    assert removed["overall"]["effect"] > lines["overall"]["effect"]
    assert removed["verdict"] == ""


def test_a_rule_that_removes_nothing_is_said_to(study):
    (rung,) = read(study)["rungs"]
    found = next(v for v in rung["verdicts"] if v["name"] == "fineweb_short_line_fraction")
    assert found["verdict"] == "INCONCLUSIVE"
    assert "removes nothing" in found["caveats"][0]


def test_a_second_call_measures_nothing_again_and_says_the_same(study, run, monkeypatch):
    before = read(study)
    monkeypatch.setattr("decant.ablations.measuring.contrasts.reduce", None)  # a call would fail
    assert ablate(write_config(study, run), str(study / "out")) == FINISHED
    after = read(study)
    assert before["rungs"] == after["rungs"]


def test_the_gate_closes_on_an_inconclusive_rule(study, run):
    assert ablate(write_config(study, run), str(study / "out"), gate=True) == GATE_CLOSED


def test_a_changed_seed_is_another_study(study, run, tmp_path):
    config = write_config(tmp_path, run, seed=2, placebo={"draws": 2, "kinds": ["tokens"]})
    assert ablate(config, str(tmp_path / "out")) == FINISHED
    assert read(tmp_path)["budget_per_data_seed"] != read(study)["budget_per_data_seed"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": {}}, "valid keys here: run, seed, rungs"),
        ({"arms": {"designs": ["leave-two-out"]}}, "Input should be 'add-one-in'"),
        ({"benchmarks": {"tasks": ["boolq"]}}, "unknown task 'boolq'"),
        ({"benchmarks": {"root": "/nowhere"}}, "no hellaswag/validation.jsonl"),
        ({"heldout": {"root": "/nowhere"}}, "no reference set at all"),
        ({"arms": {"groups": {"x": ["c4_*"]}}}, "names no rule"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_code_two(
    run, tmp_path, capsys, changes, message
):
    assert ablate(write_config(tmp_path, run, **changes), str(tmp_path / "out")) == WRONG
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_a_budget_of_one_token_is_no_verdict_but_a_statement(run, tmp_path):
    config = write_config(tmp_path, run, budget={"size": 1, "orders": 1})
    assert ablate(config, str(tmp_path / "out"), gate=True) == GATE_CLOSED
    (rung,) = read(tmp_path)["rungs"]
    judged = [v for v in rung["verdicts"] if v["design"] == "leave-one-out"]
    assert {v["verdict"] for v in judged} == {"INCONCLUSIVE"}
    assert any("does not hold one document" in v["caveats"][0] for v in judged)


def test_a_broken_run_fails_with_its_reason(run, tmp_path, capsys):
    import shutil

    copy = tmp_path / "broken"
    shutil.copytree(run, copy)
    (copy / "1-extracted" / "00000.parquet").write_bytes(b"PAR1 not really")
    assert ablate(write_config(tmp_path, copy), str(tmp_path / "out")) == FAILED
    assert "is damaged" in capsys.readouterr().err
