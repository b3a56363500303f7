"""A rung trained on an arm's documents: one loop for a CPU core, a GPU, or several of them.

Reads top to bottom: `train` sets up, `_loop` runs the updates, `_finish` averages the last
snapshots. A directory holds one run:

    state.safetensors            what a killed run goes on from
    snapshots/0000950.safetensors   weights along the way, where asked for
    model.safetensors config.json   the finished model, loadable by transformers
    log.jsonl                    step, loss, learning rate, tokens/s, MFU
    run.json                     what was trained, written last: its presence says finished
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import xxhash
from torch import Tensor

from decant.ablations.rungs import weights as export
from decant.ablations.rungs.devices import Device, pick_device
from decant.ablations.rungs.ladder import Rung, Schedule, schedule
from decant.ablations.rungs.llama import Llama
from decant.ablations.rungs.scorer import NeuralModel
from decant.ablations.rungs.stream import Sequences
from decant.ablations.rungs.weights import (
    CheckpointError,
    average,
    load_state,
    save_state,
    write_tensors,
    write_text,
)
from decant.pipeline.engine.storage import file_checksum

# AdamW (Loshchilov and Hutter 2019) as FineWeb's launcher sets it. A second moment that looks back
# 1 / (1 - 0.95) = 20 updates, in place of Adam's 1,000, forgets a spike of the loss in time.
BETAS = (0.9, 0.95)
EPSILON = 1e-8  # a floor under the root of the second moment: it binds only where gradients vanish
CLIP = 1.0  # of the gradient's norm over all weights: one odd batch moves them no further
FINISHED = "run.json"  # in a run's directory: written last


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; nothing of the broken state was saved."""


class BudgetTooSmall(ValueError):
    """The budget pays for less than one update."""


@dataclass(frozen=True)
class Plan:
    """What one run does, all of it; `identity` names it."""

    rung: Rung
    seed: int
    learning_rate: float
    steps: int
    eos: int | None
    data: str  # digest of what is read
    continued_from: str  # digest of the weights it starts from; "" for a fresh start

    @property
    def schedule(self) -> Schedule:
        return schedule(self.rung.schedule, self.steps, self.rung.warmup_steps)

    @property
    def identity(self) -> str:
        named = {**asdict(self), "rung": self.rung.recipe()}
        return xxhash.xxh3_128(json.dumps(named, sort_keys=True).encode()).hexdigest()

    @property
    def averaged(self) -> list[int]:
        """Steps whose weights the final model is the mean of.

        They are 2 % of the run apart, deep in the decay, since an average over a still large
        learning rate would undo the annealing.
        """
        gap = max(1, round(0.02 * self.steps))
        steps = [self.steps - i * gap for i in range(self.rung.average_last)]
        return sorted(step for step in steps if step > 0)


@dataclass(frozen=True)
class Files:
    """What a run leaves on disk and how often; none of it changes the result."""

    out_dir: Path
    state_every: int  # updates
    snapshots: frozenset[int]  # steps whose weights stay

    @property
    def state(self) -> Path:
        return self.out_dir / "state.safetensors"

    def snapshot(self, step: int) -> Path:
        return self.out_dir / "snapshots" / f"{step:07d}.safetensors"


def train(
    rung: Rung,
    data: Sequences,
    *,
    seed: int,
    out_dir: Path,
    learning_rate: float | None = None,
    tokens: float | None = None,
    eos: int | None = None,
    continue_from: Path | None = None,
    device: str | None = None,
    checkpoint_steps: int | None = None,
    snapshots: int = 0,
) -> NeuralModel:
    """The trained model; a finished run is read back, a killed one goes on where it stopped.

    `tokens` is the budget (else the rung's own), `continue_from` a finished run or one
    of its snapshots, whose weights are the start: the rate is then warmed up anew and decayed
    again over this run's budget. Data of the kind `stream.Replay` keeps some of the old mixture.
    `snapshots` sets of weights, evenly spread, are left for curves and as trunks to anneal from.
    """
    steps = rung.steps(tokens)
    if steps < 1:
        raise BudgetTooSmall(
            f"{tokens or rung.tokens:,.0f} tokens pay for no update of rung {rung.name}, "
            f"which takes {rung.batch_tokens:,} tokens each"
        )
    start = "" if continue_from is None else file_checksum(export.weights_file(continue_from))
    rate = rung.learning_rate if learning_rate is None else learning_rate
    plan = Plan(rung, seed, rate, steps, eos, data.digest(), start)
    where = pick_device(device)
    kept = frozenset(round(steps * i / snapshots) for i in range(1, snapshots + 1))
    files = Files(out_dir, checkpoint_steps or max(1, steps // 20), kept)
    if not _is_finished(out_dir, plan):
        with where.prepared():
            model = Llama(rung.shape, seed)
            if continue_from is not None:
                export.from_transformers(model, export.load_weights(continue_from))
            _loop(plan, model.to(where.place), data, files, where)
            if where.is_first:
                _finish(plan, files)
            where.wait_for_all()
    return NeuralModel(export.load(out_dir).to(where.place), eos=eos, device=where)


def _loop(plan: Plan, model: Llama, data: Sequences, files: Files, device: Device) -> None:
    """Runs the updates that are not done yet, and saves weights wherever they are wanted."""
    files.snapshot(0).parent.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(plan, model)
    done = load_state(files.state, model, optimizer, plan.identity)
    faces = device.wrapped(model)
    meter = Meter(plan, device, files.out_dir / "log.jsonl", done)
    rates, snapshots = plan.schedule, files.snapshots.union(plan.averaged)
    for step in range(done, plan.steps):
        rate = plan.learning_rate * rates.fraction(step)
        loss = _update(faces, optimizer, data, plan.rung, step, rate, device)
        after = step + 1
        keep, check = after in snapshots, after % files.state_every == 0 or after == plan.steps
        meter.after(after, loss, rate, saved=model if keep or check else None)
        if device.is_first and keep:
            write_tensors(files.snapshot(after), export.to_transformers(model))
        if device.is_first and check:
            save_state(files.state, model, optimizer, after, plan.identity)


def _optimizer(plan: Plan, model: Llama) -> torch.optim.Optimizer:
    # `fused`: all weights in one kernel, which a small model feels.
    return torch.optim.AdamW(
        model.parameters(), lr=plan.learning_rate, betas=BETAS, eps=EPSILON,
        weight_decay=plan.rung.weight_decay, fused=True,
    )  # fmt: skip


def train_in_memory(
    rung: Rung,
    data: Sequences,
    start: Mapping[str, Tensor],
    *,
    tokens: int,
    eos: int | None,
    device: str | None = None,
) -> NeuralModel:
    """The model trained on from the weights `start`, as `train` does it, but nothing left on disk.

    For trainings of seconds, which are cheaper to repeat than to save four times.
    """
    where = pick_device(device)
    plan = Plan(rung, 0, rung.learning_rate, rung.steps(tokens), eos, "", "")
    with where.prepared():
        model = export.from_transformers(Llama(rung.shape), start).to(where.place)
        optimizer, faces = _optimizer(plan, model), where.wrapped(model)
        total = [torch.zeros_like(p, dtype=torch.float64) for p in model.parameters()]
        loss = torch.zeros(())
        for step in range(plan.steps):
            rate = plan.learning_rate * plan.schedule.fraction(step)
            loss = _update(faces, optimizer, data, rung, step, rate, where)
            if step + 1 in plan.averaged:
                for at, parameter in zip(total, model.parameters(), strict=True):
                    at += parameter.detach()
        if not math.isfinite(float(loss)) or not all(bool(p.isfinite().all()) for p in total):
            raise TrainingDiverged(
                f"loss is {float(loss)} after {plan.steps} steps at learning rate "
                f"{plan.learning_rate:.2g} (rung {rung.name}): lower the learning rate"
            )
        with torch.no_grad():
            for at, parameter in zip(total, model.parameters(), strict=True):
                parameter.copy_(at / len(plan.averaged))
    return NeuralModel(model, eos=eos, device=where)


def _update(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Sequences,
    rung: Rung,
    step: int,
    rate: float,
    device: Device,
) -> Tensor:
    """One optimiser step over one batch, a micro-batch at a time; its mean loss, on the device."""
    # This worker's B of the batch's sequences; which they are follows from the step alone.
    first, count = device.share(step * rung.batch_sequences, rung.batch_sequences)
    micro = min(rung.micro_sequences or count, count)  # b: what the device holds at once
    loss = torch.zeros((), device=device.place)
    for start in range(0, count, micro):
        size = min(micro, count - start)
        rows = _batch(data, first + start, size, rung)  # int64 [b, T + 1]
        rows = rows.to(device.place, non_blocking=True)
        with device.accumulating(model, last=start + size == count), device.precision():
            # Inputs [b, T], and as targets the same shifted by one. The model's loss is a mean over
            # b · T tokens: weighted by b / B, gradients add up to those of the whole batch.
            part = model(rows[:, :-1], rows[:, 1:]) * (size / count)
            part.backward()
        loss += part.detach()  # no float(): that would wait for the GPU at every micro-batch
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)  # freed, not zeroed: one pass over memory less
    return device.mean(loss)


def _batch(data: Sequences, first: int, count: int, rung: Rung) -> Tensor:
    """Inputs and targets as one array, int64 [count, T + 1]."""
    rows = data.rows(first, count, rung.shape.context)
    if int(rows.max()) >= rung.shape.vocab:
        raise ValueError(
            f"token id {int(rows.max())} does not exist in rung {rung.name}'s vocabulary of "
            f"{rung.shape.vocab}: use the tokenizer it is meant for, or rung.with_vocab(size)"
        )
    return torch.from_numpy(rows)


class Meter:
    """Writes a line of progress now and then, and stops a run whose loss is not a number."""

    def __init__(self, plan: Plan, device: Device, path: Path, done: int) -> None:
        self._plan, self._device, self._path = plan, device, path
        self._every = max(1, plan.steps // 100)
        self._done, self._since = done, time.perf_counter()
        if device.is_first and path.exists():  # lines of updates that are about to be redone
            kept = [s for s in path.read_text().splitlines() if json.loads(s)["step"] <= done]
            write_text(path, "".join(f"{line}\n" for line in kept))

    def after(self, step: int, loss: Tensor, rate: float, saved: Llama | None) -> None:
        """Looks at the loss every hundredth of the run, and whenever weights are to be `saved`.

        A weight that is NaN stays NaN, so that looking now and then misses nothing. What is saved
        is looked at itself: its last update came after the loss.
        """
        if saved is None and step % self._every and step != self._plan.steps:
            return
        value = float(loss)
        healthy = saved is None or all(bool(p.isfinite().all()) for p in saved.parameters())
        if not (healthy and math.isfinite(value)):
            raise TrainingDiverged(
                f"loss is {value}, weights {'are' if healthy else 'are not'} finite by step {step} "
                f"of {self._plan.steps} at learning rate {rate:.2g} (rung {self._plan.rung.name}, "
                f"seed {self._plan.seed}): lower the learning rate. The last good state is kept."
            )
        now = time.perf_counter()
        speed = (step - self._done) * self._plan.rung.batch_tokens / max(now - self._since, 1e-9)
        line = {
            "step": step,
            "tokens": step * self._plan.rung.batch_tokens,
            "loss": value,
            "learning_rate": rate,
            "tokens_per_s": round(speed, 1),
            "mfu": self._utilisation(speed),
        }
        self._done, self._since = step, now
        if self._device.is_first:
            with open(self._path, "a") as file:
                file.write(json.dumps(line) + "\n")

    def _utilisation(self, tokens_per_s: float) -> float | None:
        """Share of the device's peak that goes into the model's own FLOPs."""
        peak = self._device.peak_flops
        return peak and round(tokens_per_s * self._plan.rung.shape.flops_per_token / peak, 4)


def _finish(plan: Plan, files: Files) -> None:
    """Averages the last weights into the final model, says that the run is done, and tidies up."""
    weights = average([files.snapshot(step) for step in plan.averaged])
    export.export(weights, plan.rung.shape, files.out_dir, plan.eos)
    record = {"identity": plan.identity, "averaged_steps": plan.averaged, **asdict(plan)}
    write_text(files.out_dir / FINISHED, json.dumps(record, indent=2, sort_keys=True) + "\n")
    files.state.unlink(missing_ok=True)
    for step in set(plan.averaged) - files.snapshots:
        files.snapshot(step).unlink(missing_ok=True)


def _is_finished(out_dir: Path, plan: Plan) -> bool:
    """Whether this very run lies there finished; another one in its place is an error."""
    path = out_dir / FINISHED
    if not path.exists():
        return False
    if json.loads(path.read_text())["identity"] != plan.identity:
        raise CheckpointError(
            f"{out_dir} holds another finished run. Give this one a directory of its own."
        )
    return True
