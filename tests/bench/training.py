"""How close a CPU training step comes to its own matrix products, and to transformers' Trainer.

    python -m tests.bench.training [--rung cpu-s] [--threads 1] [--rounds 5]

All sides run in turns in one process on the same threads with denormals flushed: our step
(forward, backward, clipping, AdamW), the bare products of that step, and one step of
`transformers.Trainer` on the same model, batch and optimiser where transformers is installed.
On one thread the clock is the process's CPU time, which equals wall time on an idle machine and
suffers least on a busy one; on several threads it is wall time. Prints the median round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decant.ablations.rungs import weights
from decant.ablations.rungs.devices import pick_device
from decant.ablations.rungs.ladder import Rung, Shape, rung
from decant.ablations.rungs.llama import Llama
from decant.ablations.rungs.stream import documents
from decant.ablations.rungs.train import BETAS, CLIP, EPSILON, _update

STEPS = 8  # timed together: a single step of 0.1 s is at the mercy of the scheduler


def linear_products(shape: Shape, tokens: int) -> Callable[[], None]:
    """Runs the three products of each weight matrix STEPS times: outputs and both gradients."""
    keys = 2 * shape.kv * shape.head_size
    layer = [
        (shape.hidden, shape.hidden + keys),
        (shape.hidden, shape.hidden),
        (shape.hidden, 2 * shape.ff),
        (shape.ff, shape.hidden),
    ]
    sizes = layer * shape.layers + [(shape.hidden, shape.vocab)]
    operands = [(torch.ones(tokens, i), torch.ones(o, i), torch.ones(tokens, o)) for i, o in sizes]

    def run() -> None:
        for x, weight, gradient in operands * STEPS:
            torch.mm(x, weight.T)
            torch.mm(gradient, weight)
            torch.mm(gradient.T, x)

    return run


def attention_products(shape: Shape, sequences: int) -> Callable[[], None]:
    """Runs attention's two products forward and four backward STEPS times, on full T × T scores."""
    batch, length = sequences * shape.heads, shape.context
    wide = torch.ones(batch, length, shape.head_size)
    scores = torch.ones(batch, length, length)

    def run() -> None:
        for _ in range(shape.layers * STEPS):
            torch.bmm(wide, wide.transpose(1, 2))  # scores
            torch.bmm(scores, wide)  # outputs
            torch.bmm(wide, wide.transpose(1, 2))  # gradient of the weights
            torch.bmm(scores.transpose(1, 2), wide)  # of the values
            torch.bmm(scores, wide)  # of the queries
            torch.bmm(scores.transpose(1, 2), wide)  # of the keys

    return run


def our_steps(step: Rung) -> Callable[[], None]:
    """Runs STEPS updates of our own loop on random tokens."""
    tokens = np.random.default_rng(0).integers(0, step.shape.vocab, 200_000)
    data = documents([tokens.tolist()], None)
    model = Llama(step.shape, seed=0)
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=BETAS, eps=EPSILON, weight_decay=step.weight_decay, fused=True
    )
    device = pick_device("cpu")
    count = iter(range(10**9))

    def run() -> None:
        for _ in range(STEPS):
            _update(model, optimizer, data, step, next(count), 1e-4, device)

    return run


def trainer_steps(step: Rung, folder: Path) -> Callable[[], None] | None:
    """Runs STEPS updates of transformers.Trainer; None where transformers is not installed."""
    try:
        import transformers
    except ImportError:
        return None
    weights.export(weights.to_transformers(Llama(step.shape)), step.shape, folder, eos=0)
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype="float32")
    rng = np.random.default_rng(0)
    rows = rng.integers(0, step.shape.vocab, (STEPS * step.batch_sequences, step.shape.context))
    data = [{"input_ids": torch.tensor(r), "labels": torch.tensor(r)} for r in rows]

    def run() -> None:
        trainer = transformers.Trainer(
            model=model, args=_trainer_arguments(step, folder), train_dataset=_Rows(data)
        )
        trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
        trainer.train()

    return run


def _trainer_arguments(step: Rung, folder: Path) -> Any:
    import transformers

    return transformers.TrainingArguments(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=step.batch_sequences,
        max_steps=STEPS,
        learning_rate=1e-4,
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        adam_epsilon=EPSILON,
        weight_decay=step.weight_decay,
        max_grad_norm=CLIP,
        optim="adamw_torch_fused",
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )


class _Rows(torch.utils.data.Dataset[dict[str, Tensor]]):
    def __init__(self, rows: list[dict[str, Tensor]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self._rows[index]


def medians(sides: dict[str, Callable[[], None]], rounds: int, threads: int) -> dict[str, float]:
    """Seconds a step of each side's median round, sides taking turns; the first round is free."""
    clock = time.process_time if threads == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, run in sides.items():
            began = clock()
            run()
            taken[name].append((clock() - began) / STEPS)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def report(step: Rung, seconds: dict[str, float]) -> Iterable[str]:
    """Lines of the result; causal attention needs half of its full products."""
    ours, linear = seconds["our step"], seconds["linear products"]
    both = linear + seconds["attention products"] / 2
    speed = step.batch_tokens / ours
    rate = step.shape.flops_per_token * speed / 1e9
    yield f"rung {step.name}, {step.batch_tokens} tokens a step, {torch.get_num_threads()} threads"
    yield f"our step             {1e3 * ours:8.1f} ms  {speed:,.0f} tokens/s, {rate:.0f} GFLOP/s"
    yield f"its linear products  {1e3 * linear:8.1f} ms  {linear / ours:.0%} of the step"
    yield f"with attention's     {1e3 * both:8.1f} ms  {both / ours:.0%} of the step"
    if "transformers.Trainer" in seconds:
        theirs = seconds["transformers.Trainer"]
        yield f"transformers.Trainer {1e3 * theirs:8.1f} ms  {theirs / ours:.2f} times our step"
    else:
        yield "transformers.Trainer not measured: transformers is not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rung", default="cpu-s")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    step = rung(options.rung)
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "our step": our_steps(step),
            "linear products": linear_products(step.shape, step.batch_tokens),
            "attention products": attention_products(step.shape, step.batch_sequences),
        }
        theirs = trainer_steps(step, Path(folder))
        if theirs is not None:
            sides["transformers.Trainer"] = theirs
        for line in report(step, medians(sides, options.rounds, options.threads)):
            print(line)


if __name__ == "__main__":
    main()
