"""What a run costs before it starts: FLOPs, and hours on a named machine. Needs no torch.

FLOPs are exact. Hours rest on a utilisation that is measured for a CPU core and *assumed* for
GPUs (spec 4.1, from nanochat's and llm.c's published rates); `log.jsonl` holds what a run reached.
"""

from __future__ import annotations

from dataclasses import dataclass

from decant.ablations.rungs.ladder import Rung, Shape


@dataclass(frozen=True)
class Machine:
    """One worker's hardware: dense product rate in FLOP/s, power in watts under load."""

    name: str
    peak_flops: float
    watts: float


MACHINES = (
    Machine("cpu-core", 95e9, 15),  # float32, AVX-512 at 2.6 GHz; `torch.mm` of 1024 × 1024
    Machine("a100", 312e12, 400),  # bf16 without sparsity, as are the others
    Machine("h100", 989e12, 700),
    Machine("h200", 989e12, 700),
)


@dataclass(frozen=True)
class Estimate:
    tokens: int
    flops: float
    hours: float  # from start to end
    device_hours: float
    kwh: float
    utilisation: float  # of the machine's peak, what the hours assume


def machine(name: str) -> Machine:
    """The machine of that name; an unknown name is answered with those that exist."""
    for candidate in MACHINES:
        if candidate.name == name:
            return candidate
    raise ValueError(f"no machine {name!r}; choose from: {', '.join(m.name for m in MACHINES)}")


def utilisation(on: Machine, shape: Shape) -> float:
    """The share of peak that training reaches: measured on a CPU core, assumed on a GPU."""
    if on.name == "cpu-core":
        return 0.6
    # Small widths are bound by kernel launches, not by products.
    return next(share for width, share in _BY_WIDTH if shape.hidden >= width)


_BY_WIDTH = ((1024, 0.40), (768, 0.35), (512, 0.25), (384, 0.15), (0, 0.05))


def estimate(step: Rung, tokens: float | None, on: Machine, workers: int = 1) -> Estimate:
    """The cost of one run of the rung over `tokens` (else its own budget)."""
    spent = step.steps(tokens) * step.batch_tokens
    flops = float(spent * step.shape.flops_per_token)
    share = utilisation(on, step.shape)
    device_hours = flops / (on.peak_flops * share) / 3600
    return Estimate(
        spent, flops, device_hours / workers, device_hours, device_hours * on.watts / 1000, share
    )
