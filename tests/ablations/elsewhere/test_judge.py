"""Verdicts of arms trained elsewhere: tables, the harness's files, and everything amiss in them."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from decant.ablations.elsewhere.parts import ArmPart, ResultsError, read_parts, write_parts
from decant.ablations.elsewhere.results import read_results
from decant.ablations.judge import FINISHED, GATE_CLOSED, WRONG, judge_results, judged
from decant.ablations.judging.verdict import Settings
from decant.ablations.program import app

SEEDS, SETS, ARMS = 2, 12, 4
TASKS = {"arc_easy": 3, "hellaswag": 2}  # questions of each
EFFECT = 0.1


def make_parts() -> list[ArmPart]:
    """Two rules left out of one arm, whose trainings and placebos both share."""
    parts = []
    for seed in range(SEEDS):
        parts += [
            ArmPart(f"with-{seed}-{k}", "*", "with", "", 0, seed, k, 1000) for k in range(ARMS)
        ]
        parts += [
            ArmPart(f"set-{seed}-{k}", "*", "placebo", "domains", k, seed, 0, 1000)
            for k in range(SETS)
        ]
        for rule in ("junk", "nothing"):
            parts.append(ArmPart(f"{rule}-{seed}", rule, "without", "", 0, seed, 0, 1000))
    return parts


def make_rows(parts: list[ArmPart]) -> list[dict]:
    """Scores of noise of sd 0.001; without the rule `junk` every question costs EFFECT more."""
    rng = np.random.default_rng(1)
    rows = []
    for run in dict.fromkeys(part.run for part in parts):
        level = 1.0 + 0.001 * rng.normal() + EFFECT * run.startswith("junk")
        for task, count in TASKS.items():
            for question in range(count):
                bpb = level + 0.1 * question
                row = {"run": run, "task": task, "question": question, "bpb": bpb}
                rows.append({**row, "acc": float(question == 0), "acc_norm": 0.0})
    return rows


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_samples(folder, rows):
    """The rows as lm-evaluation-harness 0.4.13 logs samples: everything is text, ends in a date."""
    for row in rows:
        path = folder / row["run"] / "checkpoint" / f"samples_{row['task']}_{DATE}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = "an answer"
        nats = -row["bpb"] * math.log(2) * len(answer)
        sample = {
            "doc_id": row["question"],
            "target": "1",
            "arguments": {
                "gen_args_0": {"arg_0": "Question:", "arg_1": " wrong"},
                "gen_args_1": {"arg_0": "Question:", "arg_1": f" {answer}"},
            },
            "filtered_resps": [["-99.0", "False"], [repr(nats), "False"]],
            "acc": row["acc"],
            "acc_norm": row["acc_norm"],
        }
        with path.open("a") as file:
            file.write(json.dumps(sample) + "\n")
    return folder


DATE = "2026-01-31T12-00-00.123456"


@pytest.fixture
def arms(tmp_path):
    write_parts(tmp_path / "arms.csv", make_parts())
    return tmp_path / "arms.csv"


def verdicts(arms, *paths):
    parts = read_parts(arms)
    results, _ = read_results(paths, {part.run for part in parts})
    return {v.effect.name: v for v in judged(parts, results, Settings()).verdicts}


def test_a_table_gives_the_verdicts_of_its_runs(arms, tmp_path, capsys):
    table = write_csv(tmp_path / "table.csv", make_rows(make_parts()))
    assert judge_results([table], arms, tmp_path / "out.json", 0.002, gate=False) == FINISHED
    said = capsys.readouterr().out
    assert "HELPS" in said
    # acc is right for the first of three questions and of two.
    assert ".333 .000" in said and ".500 .000" in said
    written = json.loads((tmp_path / "out.json").read_text())["verdicts"]
    by_rule = {one["name"]: one for one in written}
    assert by_rule["junk"]["verdict"] == "HELPS"
    assert by_rule["junk"]["overall"]["effect"] == pytest.approx(EFFECT, abs=0.003)
    assert by_rule["nothing"]["verdict"] in ("NEUTRAL", "INCONCLUSIVE")


def test_sample_files_of_the_harness_give_what_the_table_gives(arms, tmp_path):
    rows = make_rows(make_parts())
    from_table = verdicts(arms, write_csv(tmp_path / "table.csv", rows))
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "table.jsonl").write_text(lines)
    from_lines = verdicts(arms, tmp_path / "table.jsonl")
    from_samples = verdicts(arms, write_samples(tmp_path / "results", rows))
    for rule in ("junk", "nothing"):
        first = from_table[rule].overall
        for other in (from_lines[rule].overall, from_samples[rule].overall):
            assert other.effect == pytest.approx(first.effect, abs=1e-12)
            assert other.q == pytest.approx(first.q, rel=1e-6)
            assert other.verdict == first.verdict


def test_the_file_that_the_harness_itself_logs_is_read(tmp_path):
    pytest.importorskip("lm_eval", reason="needs the lmeval extra (lm-evaluation-harness)")
    from lm_eval.loggers import EvaluationTracker

    tracker = EvaluationTracker(output_path=str(tmp_path / "run-1"))
    tracker.general_config_tracker.model_name_sanitized = "model"
    tracker.date_id = DATE
    sample = {
        "doc_id": 7,
        "target": 1,
        "arguments": [("Q:", " no"), ("Q:", " yes")],
        "resps": [[(-9.0, False)], [(-3.0, True)]],
        "filtered_resps": [(-9.0, False), (-3.0, True)],
        "acc": 1.0,
        "acc_norm": 1.0,
    }
    tracker.save_results_samples("arc_easy", [sample])
    results, _ = read_results([tmp_path], {"run-1"})
    assert results.bpb == {"run-1": {"arc_easy": {"7": pytest.approx(3.0 / math.log(2) / 3)}}}
    assert results.acc == {"run-1": {"arc_easy": [(1.0, 1.0)]}}


def test_a_rule_whose_run_has_no_results_gets_no_verdict_and_the_others_theirs(
    arms, tmp_path, capsys
):
    rows = [row for row in make_rows(make_parts()) if row["run"] != "nothing-1"]
    table = write_csv(tmp_path / "table.csv", rows)
    found = verdicts(arms, table)
    assert found["nothing"].caveats == ("1 of its runs have no results: nothing-1",)
    assert (found["nothing"].label, found["nothing"].overall) == ("INCONCLUSIVE", None)
    assert found["junk"].label == "HELPS"
    assert judge_results([table], arms, None, 0.002, gate=True) == GATE_CLOSED
    assert "run nothing-1 of" in capsys.readouterr().err


def test_fewer_than_twelve_placebo_sets_are_refused_a_verdict(tmp_path):
    parts = [p for p in make_parts() if p.role != "placebo" or p.set < 11]
    write_parts(tmp_path / "arms.csv", parts)
    table = write_csv(tmp_path / "table.csv", make_rows(parts))
    found = verdicts(tmp_path / "arms.csv", table)
    assert found["junk"].caveats == ("11 placebo sets of a kind: a verdict needs 12",)


def change(rows, **changes):
    return [{**rows[0], **changes}, *rows[1:]]


@pytest.mark.parametrize(
    ("amiss", "message"),
    [
        (
            lambda rows: [*rows, rows[0]],
            "run with-0-0 has a second score of question 0 of arc_easy",
        ),
        (lambda rows: rows[1:], "were scored on other questions of arc_easy: 1 are of one alone"),
        (lambda rows: change(rows, task="mmlu"), "was scored on"),
        (lambda rows: change(rows, bpb="nan"), "leave a run that diverged out"),
        (lambda rows: change(rows, bpb="much"), "bpb 'much' is no number"),
        (lambda rows: change(rows, question=""), "table.csv:2: no question"),
        (lambda rows: [{**row, "run": "x"} for row in rows], "hold no run that plays a part"),
    ],
)
def test_results_that_are_amiss_are_one_line_and_exit_code_two(
    arms, tmp_path, capsys, amiss, message
):
    table = write_csv(tmp_path / "table.csv", amiss(make_rows(make_parts())))
    assert judge_results([table], arms, None, 0.002, gate=False) == WRONG
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no object"),
        ('{"doc_id": 1}', "no multiple-choice sample"),
        ('{"doc_id": 1, "target": "-1", "filtered_resps": [["-1", "x"]], '
         '"arguments": {"gen_args_-1": {"arg_1": "x"}}}', "target -1 of 1 answers"),
        ('{"doc_id": 1, "target": "0", "filtered_resps": [["-inf", "x"]], '
         '"arguments": {"gen_args_0": {"arg_1": "x"}}}', "log-likelihood is inf"),
    ],
)  # fmt: skip
def test_a_sample_file_that_is_none_names_its_line(tmp_path, line, message):
    path = tmp_path / "run" / f"samples_arc_easy_{DATE}.jsonl"
    path.parent.mkdir()
    path.write_text(line + "\n")
    with pytest.raises(ResultsError, match=f"jsonl:1.*{message}"):
        read_results([path], {"run"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column run"),
        ("run,rule,role\n", "lists no run"),
        ("run,rule,role\na,r,best\n", "role 'best' is none of"),
        ("run,rule,role,set\na,r,with,-1\n", "set '-1' is no whole number"),
        ("run,rule,role\na,r,with\nb,r,with\n", "runs a and b play one part"),
        ("run,rule,role,data_seed\na,r,with,1\n", "count from 0"),
    ],
)
def test_a_list_of_parts_that_is_amiss_is_refused(tmp_path, text, message):
    path = tmp_path / "arms.csv"
    path.write_text(text)
    with pytest.raises(ResultsError, match=message):
        read_parts(path)


def test_the_command_says_what_is_missing(tmp_path):
    result = CliRunner().invoke(app, ["judge", str(tmp_path), "--arms", str(tmp_path / "no.csv")])
    assert result.exit_code == WRONG
