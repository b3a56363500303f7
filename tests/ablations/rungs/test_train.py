"""One run: learning, stopping, going on, and what it leaves on disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from decant.ablations.rungs import train as training  # noqa: E402
from decant.ablations.rungs import weights as checkpoint  # noqa: E402
from decant.ablations.rungs.ladder import (  # noqa: E402
    Rung,
    Shape,
    schedule,
)
from decant.ablations.rungs.stream import Replay, documents  # noqa: E402
from decant.ablations.rungs.train import BudgetTooSmall, Plan, TrainingDiverged, train  # noqa: E402
from decant.ablations.rungs.weights import CheckpointError  # noqa: E402

EOS = 30
TINY = Rung("tiny", Shape(32, 1, 2, 48, 31, 16), 4, 1e-2, 4 * 16 * 40, "nothing")


def counting_text(seed=0, n=60):
    """Documents that count upwards from a random start: a model can learn them in no time."""
    rng = np.random.default_rng(seed)
    return documents([((rng.integers(30) + np.arange(25)) % 30).tolist() for _ in range(n)], EOS)


class Killed(Exception):
    pass


def kill_at(monkeypatch, step):
    real = training._update

    def update(model, optimizer, data, rung, at, *rest):
        if at == step:
            raise Killed
        return real(model, optimizer, data, rung, at, *rest)

    monkeypatch.setattr(training, "_update", update)
    return lambda: monkeypatch.setattr(training, "_update", real)


def weights(path):
    return (path / "model.safetensors").read_bytes()


def test_training_learns_what_the_documents_repeat(tmp_path):
    model = train(TINY, counting_text(), seed=0, out_dir=tmp_path, eos=EOS)
    right, wrong = model.loglikelihood([[3, 4, 5], [3, 4, 5]], [[6, 7], [9, 2]])
    assert right > 2 * np.log(0.5) > wrong


def test_the_same_run_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        train(TINY, counting_text(), seed=0, out_dir=tmp_path / name, eos=EOS)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


SLOW_RUN = """
import sys, time
from pathlib import Path
from decant.ablations.rungs import train as training
from tests.ablations.rungs.test_train import EOS, TINY, counting_text
real = training._update
def update(*given):
    time.sleep(0.05)
    return real(*given)
training._update = update
training.train(
    TINY, counting_text(), seed=0, out_dir=Path(sys.argv[1]), eos=EOS, checkpoint_steps=3
)
"""


def test_a_run_whose_process_was_killed_goes_on_to_the_same_bytes(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, str(tmp_path / "killed")])
    state = tmp_path / "killed" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert state.exists() and not (tmp_path / "killed" / "run.json").exists()
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "killed", eos=EOS)
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "whole", eos=EOS)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


@pytest.mark.parametrize("killed_at", [1, 17, 39])
def test_a_killed_run_goes_on_to_the_same_bytes(killed_at, tmp_path, monkeypatch):
    run = {"seed": 0, "eos": EOS, "checkpoint_steps": 5}
    train(TINY, counting_text(), out_dir=tmp_path / "whole", **run)
    revive = kill_at(monkeypatch, killed_at)
    with pytest.raises(Killed):
        train(TINY, counting_text(), out_dir=tmp_path / "killed", **run)
    assert not (tmp_path / "killed" / "run.json").exists()
    revive()
    train(TINY, counting_text(), out_dir=tmp_path / "killed", **run)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    steps = [json.loads(s)["step"] for s in (tmp_path / "killed/log.jsonl").open()]
    assert steps == sorted(set(steps)) and steps[-1] == 40


def test_a_finished_run_is_read_back_and_not_trained_again(tmp_path, monkeypatch):
    first = train(TINY, counting_text(), seed=0, out_dir=tmp_path, eos=EOS)
    kill_at(monkeypatch, 0)
    again = train(TINY, counting_text(), seed=0, out_dir=tmp_path, eos=EOS)
    scored = [m.loglikelihood([[1]], [[2, 3]])[0] for m in (first, again)]
    assert scored[0] == scored[1]


def test_another_run_is_not_put_over_a_finished_or_a_begun_one(tmp_path, monkeypatch):
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "done", eos=EOS)
    with pytest.raises(CheckpointError, match="another finished run"):
        train(TINY, counting_text(), seed=1, out_dir=tmp_path / "done", eos=EOS)
    revive = kill_at(monkeypatch, 8)
    with pytest.raises(Killed):
        train(TINY, counting_text(), seed=0, out_dir=tmp_path / "begun", eos=EOS)
    revive()
    with pytest.raises(CheckpointError, match="belongs to another run"):
        train(TINY, counting_text(seed=9), seed=0, out_dir=tmp_path / "begun", eos=EOS)


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        train(TINY, counting_text(), seed=0, out_dir=tmp_path, eos=EOS, learning_rate=1e38)
    for path in tmp_path.rglob("*.safetensors"):
        tensors, _ = checkpoint.read_tensors(path)
        assert all(torch.isfinite(t).all() for t in tensors.values())
    assert not (tmp_path / "run.json").exists()


def test_a_last_update_that_breaks_the_weights_is_not_saved(tmp_path):
    with pytest.raises(TrainingDiverged, match="weights are not finite by step 1 of 1"):
        train(TINY, counting_text(), seed=0, out_dir=tmp_path, tokens=64, learning_rate=1e39)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_full_disk_is_named_and_leaves_the_last_state(tmp_path, monkeypatch):
    real, written = checkpoint.os.replace, []

    def replace_until_full(source, target):
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(target)
        real(source, target)

    monkeypatch.setattr(checkpoint.os, "replace", replace_until_full)
    run = {"seed": 0, "out_dir": tmp_path / "full", "eos": EOS, "checkpoint_steps": 2}
    with pytest.raises(CheckpointError, match="No space left on device"):
        train(TINY, counting_text(), **run)
    assert not list(tmp_path.rglob("*.partial"))
    monkeypatch.undo()
    train(TINY, counting_text(), **run)
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "whole", eos=EOS)
    assert weights(tmp_path / "full") == weights(tmp_path / "whole")


def test_a_budget_below_one_update_is_refused(tmp_path):
    with pytest.raises(BudgetTooSmall, match="takes 64 tokens each"):
        train(TINY, counting_text(), seed=0, out_dir=tmp_path, tokens=63)


def test_a_token_outside_the_vocabulary_is_refused_by_number(tmp_path):
    with pytest.raises(ValueError, match="token id 31 does not exist"):
        train(TINY, documents([[31] * 200], None), seed=0, out_dir=tmp_path)


def test_micro_batches_add_up_to_the_batch(tmp_path):
    whole = train(TINY, counting_text(), seed=0, out_dir=tmp_path / "a", tokens=640, eos=EOS)
    split = replace(TINY, micro_sequences=3)
    parts = train(split, counting_text(), seed=0, out_dir=tmp_path / "b", tokens=640, eos=EOS)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_the_final_model_is_the_mean_of_the_last_snapshots(tmp_path):
    train(TINY, counting_text(), seed=0, out_dir=tmp_path, eos=EOS, snapshots=40)
    last = sorted((tmp_path / "snapshots").iterdir())[-3:]
    assert [p.stem for p in last] == ["0000038", "0000039", "0000040"]
    final, _ = checkpoint.read_tensors(tmp_path / "model.safetensors")
    parts = [checkpoint.read_tensors(p)[0]["model.norm.weight"] for p in last]
    torch.testing.assert_close(final["model.norm.weight"], sum(parts) / 3)


def test_continuing_starts_from_the_finished_weights_and_warms_up_again(tmp_path):
    base = train(TINY, counting_text(), seed=0, out_dir=tmp_path / "base", eos=EOS)
    go_on = {"seed": 0, "tokens": 640, "eos": EOS}
    fresh = train(TINY, counting_text(1), out_dir=tmp_path / "fresh", **go_on)
    tuned = train(
        TINY, counting_text(1), out_dir=tmp_path / "on", continue_from=tmp_path / "base", **go_on
    )
    asked = ([[3, 4, 5]], [[6, 7, 8]])
    assert tuned.loglikelihood(*asked)[0] > fresh.loglikelihood(*asked)[0] + 1
    assert json.loads((tmp_path / "on/run.json").read_text())["continued_from"]
    rates = [json.loads(s)["learning_rate"] for s in (tmp_path / "on/log.jsonl").open()]
    assert max(rates) == TINY.learning_rate and rates[-1] < 0.5 * TINY.learning_rate
    assert base.model.shape == tuned.model.shape


def test_a_snapshot_of_the_constant_phase_is_a_trunk_to_anneal_from(tmp_path):
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "trunk", eos=EOS, snapshots=2)
    trunk = tmp_path / "trunk" / "snapshots" / "0000020.safetensors"
    go_on = {"seed": 0, "tokens": 640, "eos": EOS, "continue_from": trunk}
    annealed = train(TINY, counting_text(1), out_dir=tmp_path / "annealed", **go_on)
    assert annealed.loglikelihood([[3, 4, 5]], [[6, 7]])[0] > 2 * np.log(0.5)


def test_replay_keeps_what_the_new_documents_would_make_forgotten(tmp_path):
    old = counting_text()
    new = documents([(np.arange(25)[::-1] % 7).tolist()] * 40, EOS)  # counting down, below 7
    train(TINY, old, seed=0, out_dir=tmp_path / "base", eos=EOS)
    go_on = {"seed": 0, "eos": EOS, "continue_from": tmp_path / "base"}
    only = train(TINY, new, out_dir=tmp_path / "only", **go_on)
    mixed = train(TINY, Replay(new, old, Fraction(1, 2)), out_dir=tmp_path / "mixed", **go_on)
    asked = ([[13, 14, 15]], [[16, 17]])
    assert mixed.loglikelihood(*asked)[0] > only.loglikelihood(*asked)[0] + 1


def test_the_log_tells_speed_and_utilisation(tmp_path):
    train(TINY, counting_text(), seed=0, out_dir=tmp_path, eos=EOS)
    lines = [json.loads(s) for s in (tmp_path / "log.jsonl").open()]
    assert lines[-1]["tokens"] == 40 * 64
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert all(0 < line["mfu"] < 1 and line["tokens_per_s"] > 0 for line in lines)


def test_a_finished_run_leaves_the_snapshots_asked_for_and_no_others(tmp_path):
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "none", eos=EOS)
    assert not list((tmp_path / "none" / "snapshots").iterdir())
    train(TINY, counting_text(), seed=0, out_dir=tmp_path / "four", eos=EOS, snapshots=4)
    left = sorted(p.stem for p in (tmp_path / "four" / "snapshots").iterdir())
    assert left == ["0000010", "0000020", "0000030", "0000040"]
    assert weights(tmp_path / "none") == weights(tmp_path / "four")


def test_the_weights_averaged_lie_in_the_decay():
    plan = Plan(TINY, 0, 1e-2, 1000, EOS, "", "")
    assert plan.averaged == [960, 980, 1000]
    assert plan.schedule.fraction(960) == pytest.approx(40 / 250)


def test_wsd_warms_up_stays_and_decays_to_nothing():
    rates = schedule("wsd", 100)
    assert [rates.fraction(s) for s in (0, 4, 5, 74)] == [1 / 5, 1.0, 1.0, 1.0]
    assert rates.fraction(76) == pytest.approx(24 / 25)
    assert rates.fraction(99) == pytest.approx(1 / 25)


def test_cosine_is_fineweb_s_three_e_four_to_three_e_five():
    rates = schedule("cosine", 13_351, 500)
    assert rates.fraction(499) == 1.0
    assert rates.fraction((13_351 + 500) // 2) == pytest.approx(0.55, abs=1e-3)
    assert rates.fraction(13_350) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.gpu
def test_a_gpu_learns_what_a_cpu_learns(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    made = {
        name: train(TINY, counting_text(), seed=0, out_dir=tmp_path / name, eos=EOS, device=name)
        for name in ("cpu", "cuda")
    }
    asked = ([[3, 4, 5], [20, 21]], [[6, 7], [22, 23]])
    cpu, cuda = (made[name].loglikelihood(*asked) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(cpu, cuda, atol=0.5)  # bf16 products, another order of sums


def test_training_in_memory_is_training_without_the_files(tmp_path):
    trunk = train(TINY, counting_text(), seed=3, out_dir=tmp_path / "trunk", eos=EOS)
    weights_of = checkpoint.load_weights(tmp_path / "trunk")
    data, branch = counting_text(seed=1), replace(TINY, schedule="linear")
    tokens = 12 * TINY.batch_tokens
    kept = train(
        branch, data, seed=0, out_dir=tmp_path / "branch", tokens=tokens, eos=EOS,
        continue_from=tmp_path / "trunk",
    )  # fmt: skip
    made = training.train_in_memory(branch, data, weights_of, tokens=tokens, eos=EOS)
    asked = [[3, 4, 5]], [[6, 7]]
    assert made.loglikelihood(*asked) == kept.loglikelihood(*asked)
    assert made.loglikelihood(*asked) != trunk.loglikelihood(*asked)


def test_training_in_memory_that_diverges_says_so(tmp_path):
    train(TINY, counting_text(), seed=3, out_dir=tmp_path, eos=EOS)
    wild = replace(TINY, learning_rate=1e40)
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        training.train_in_memory(
            wild, counting_text(), checkpoint.load_weights(tmp_path), tokens=640, eos=EOS
        )


def test_a_trunk_keeps_its_rate_and_a_branch_decays_from_the_end_of_its_warm_up():
    stable, linear = schedule("stable", 100), schedule("linear", 100)
    assert stable.fraction(4) == stable.fraction(99) == 1.0
    assert linear.fraction(4) == 1.0  # 5 % of 100 updates warm up
    assert linear.fraction(5) == 1.0
    assert linear.fraction(52) == pytest.approx(48 / 95)
    assert linear.fraction(99) == pytest.approx(1 / 95)
