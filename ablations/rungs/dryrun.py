"""A rung's training step gone through without its numbers: FLOPs and memory, counted.

    python -m decant.ablations.rungs.dryrun fineweb --workers 64 --machine h100

Forward and backward run at full size on fake tensors: every shape and dtype is worked out, nothing
is allocated, so that a configuration for 64 GPUs is checked on a laptop. What it cannot show is
speed, and what torch.compile saves: fused kernels keep fewer activations than are counted here.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from decant.ablations.rungs.cost import MACHINES, estimate, machine
from decant.ablations.rungs.devices import Device
from decant.ablations.rungs.ladder import RUNGS, Rung, rung
from decant.ablations.rungs.llama import Llama, plain_loss

STATE_BYTES = 16  # a weight: itself, its gradient and two Adam moments, float32 each


@dataclass(frozen=True)
class DryRun:
    """One worker's share of an update."""

    micro_sequences: int
    micro_batches: int
    product_flops: int  # of all its micro-batches, in matrix products outside attention
    state_bytes: int
    activation_bytes: int  # kept from forward to backward, bf16 autocast, one micro-batch
    logit_bytes: int  # the loss's largest transients: float32 scores and their gradient

    @property
    def peak_bytes(self) -> int:
        return self.state_bytes + self.activation_bytes + self.logit_bytes


def dry_run(step: Rung, workers: int = 1) -> DryRun:
    """FLOPs and bytes of one worker's update, from fake tensors of the true sizes."""
    _, sequences = Device(torch.device("meta"), 0, workers).share(0, step.batch_sequences)
    micro = min(step.micro_sequences or sequences, sequences)
    batches = -(-sequences // micro)
    with FakeTensorMode():
        model = Llama(step.shape)
        tokens = torch.empty((micro, step.shape.context), dtype=torch.long)
        kept = _KeptBytes(model)
        counter = FlopCounterMode(display=False)
        with counter, torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
            # A CPU build has no fake CUDA; autocast rules and flash attention are the same here.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = model.hidden(tokens).flatten(0, 1)
                loss = plain_loss(hidden, model.head.weight, tokens.flatten())
            loss.backward()
    # A last micro-batch may be smaller: count sequences, not batches.
    products = counter.get_total_flops() * sequences // micro
    scores = micro * step.shape.context * step.shape.vocab
    return DryRun(
        micro, batches, products, STATE_BYTES * step.shape.parameters, kept.total, 2 * 4 * scores
    )


class _KeptBytes:
    """Counts each storage that autograd keeps once, the weights themselves aside."""

    def __init__(self, model: Llama) -> None:
        self._seen = {p.untyped_storage()._cdata for p in model.parameters()}
        self._alive: list[Tensor] = []  # a freed storage's address would be given out again
        self.total = 0

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._alive.append(tensor)
            self.total += storage.nbytes()
        return tensor

    @staticmethod
    def unpack(tensor: Tensor) -> Tensor:
        return tensor


def lines(step: Rung, workers: int, machine_name: str) -> list[str]:
    """The dry run and the cost of the rung's own budget, for people."""
    run, cost = dry_run(step, workers), estimate(step, None, machine(machine_name), workers)
    update = step.batch_tokens * step.shape.flops_per_token
    gb = 1e9
    return [
        f"rung {step.name}: {step.shape.parameters:,} parameters, "
        f"{step.shape.flops_per_token / 1e9:.3f} GFLOP a token",
        f"update: {step.batch_tokens:,} tokens, {update:.3e} FLOP, of which products outside "
        f"attention {run.product_flops * workers:.3e} (counted)",
        f"worker: {run.micro_batches} micro-batches of {run.micro_sequences} sequences",
        f"memory a worker: {run.peak_bytes / gb:.1f} GB = weights, gradients, moments "
        f"{run.state_bytes / gb:.1f} + activations {run.activation_bytes / gb:.1f} "
        f"+ logits {run.logit_bytes / gb:.1f}",
        f"run: {step.steps():,} updates, {cost.tokens:.3e} tokens, {cost.flops:.3e} FLOP",
        f"on {workers} × {machine_name}: {cost.hours:.3g} h, {cost.device_hours:.3g} device-hours, "
        f"{cost.kwh:.3g} kWh, at an assumed {cost.utilisation:.0%} of peak",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="FLOPs, memory and hours of a rung, counted")
    parser.add_argument("rung", choices=[r.name for r in RUNGS])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--machine", default="h200", choices=[m.name for m in MACHINES])
    options = parser.parse_args()
    print("\n".join(lines(rung(options.rung), options.workers, options.machine)))


if __name__ == "__main__":
    main()
