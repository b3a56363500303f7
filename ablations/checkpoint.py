"""Training state on disk: safetensors files that appear whole or not at all.

A state holds weights, both Adam moments and the step; the data's place and the learning rate
follow from the step, and training draws no random numbers, so that nothing else is needed to go
on exactly where a killed run stopped. Nothing is pickled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or is not this run's; the message says what to do."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """The file under its name once it is whole and on disk; until then the old file stays.

    `write` makes the file at the path it is given.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"could not write {path}: {error}. Finished checkpoints are intact: free some space "
            "and start again to go on from the last one."
        ) from error


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
) -> None:
    """A safetensors file of the tensors, with `notes` in its header."""
    own = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    header = {"format": "pt", **(notes or {})}
    write_atomically(path, lambda temporary: save_file(own, temporary, header))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The file's tensors, on the CPU, and its notes."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())  # a handle, not a mapping: it has no iterator
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error


def save_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, identity: str
) -> None:
    """Everything that update number `step` needs to be the same update."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"weight.{name}"] = parameter
        for key in ("exp_avg", "exp_avg_sq"):
            tensors[f"{key}.{name}"] = optimizer.state[parameter][key]
    write_tensors(path, tensors, {"step": str(step), "identity": identity})


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: str
) -> int:
    """The step to go on with, model and optimiser filled in; 0 where there is no state yet."""
    if not path.exists():
        return 0
    tensors, notes = read_tensors(path)
    if notes.get("identity") != identity:
        raise CheckpointError(
            f"{path} belongs to another run (other rung, data, seed, rate or budget). "
            "Give this one a directory of its own, or delete that one."
        )
    step = int(notes["step"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"weight.{name}"])
            optimizer.state[parameter] = {
                # A float32 scalar where the fused kernel wants it: beside the parameter.
                "step": torch.tensor(float(step), device=parameter.device),
                "exp_avg": tensors[f"exp_avg.{name}"].to(parameter.device),
                "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(parameter.device),
            }
    return step


def average(files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the files' weights, summed in float64 so that their order leaves no trace."""
    total: dict[str, Tensor] = {}
    for path in files:
        weights, _ = read_tensors(path)
        for name, weight in weights.items():
            total[name] = total[name].add_(weight) if name in total else weight.double()
    return {name: (weight / len(files)).float() for name, weight in total.items()}
