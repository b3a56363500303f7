"""One run on several GPUs: the ordinary training loop inside Ray Train's TorchTrainer.

Only for runs too long for one GPU; arms and seeds side by side need none of this. Ray starts the
workers and their process group, and starts them again when one dies; `train` finds the group,
takes its share of each batch, and goes on from the last state. The same batches are read for any
number of workers. Data and run directory lie on storage that every worker sees.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from decant.ablations.rungs.devices import pick_device
from decant.ablations.rungs.ladder import Rung, Shape
from decant.ablations.rungs.scorer import NeuralModel
from decant.ablations.rungs.stream import Replay, TokenStream
from decant.ablations.rungs.train import train
from decant.ablations.rungs.weights import load
from decant.pipeline.engine.execute import connect_ray

MAX_FAILURES = 3  # of a group; each costs the updates since its last state


@dataclass(frozen=True)
class StreamFiles:
    """A `TokenStream` by its files: a memory map would travel to the workers as its contents."""

    tokens: Path  # .npy, one-dimensional integers
    spans: Path  # .npy, int64 [n, 2]
    eos: int | None

    @classmethod
    def of(cls, stream: TokenStream, folder: Path) -> StreamFiles:
        """The stream's files; what is not a mapped file already is written to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "spans.npy", stream.spans)
        tokens = _mapped_file(stream.token_ids) or folder / "tokens.npy"
        if not tokens.exists():
            np.save(tokens, stream.token_ids)
        return cls(tokens, folder / "spans.npy", stream.eos)

    def open(self) -> TokenStream:
        return TokenStream(np.load(self.tokens, mmap_mode="r"), np.load(self.spans), self.eos)


@dataclass(frozen=True)
class ReplayFiles:
    """A `Replay` by the files of its two streams."""

    new: StreamFiles
    old: StreamFiles
    share: Fraction

    def open(self) -> Replay:
        return Replay(self.new.open(), self.old.open(), self.share)


def files_of(data: TokenStream | Replay, folder: Path) -> StreamFiles | ReplayFiles:
    """What is trained on, by its files; those that do not exist yet are written to `folder`."""
    if isinstance(data, TokenStream):
        return StreamFiles.of(data, folder)
    new, old = StreamFiles.of(data.new, folder / "new"), StreamFiles.of(data.old, folder / "old")
    return ReplayFiles(new, old, data.share)


def _mapped_file(array: np.ndarray) -> Path | None:
    """The .npy file that this array maps as a whole; None for any other array."""
    if not isinstance(array, np.memmap) or isinstance(array.base, np.ndarray):
        return None  # in memory, or a slice of a map
    path = Path(str(array.filename))
    return path if path.suffix == ".npy" else None


def connect(workers: int, address: str | None) -> None:
    """Ray for groups of `workers`: the cluster at `address`, else a local one with room for one."""
    connect_ray(workers + 1, address)


def train_on_group(
    step: Rung,
    data: StreamFiles | ReplayFiles,
    *,
    workers: int,
    seed: int,
    out_dir: Path,
    eos: int | None,
    learning_rate: float | None = None,
    tokens: float | None = None,
    continue_from: Path | None = None,
    use_gpu: bool = True,
) -> NeuralModel:
    """The model trained by `workers` workers, one GPU (or CPU core) each; Ray must be connected."""
    if step.batch_sequences % workers:
        raise ValueError(
            f"rung {step.name}'s {step.batch_sequences} sequences a batch do not split over "
            f"{workers} workers"
        )
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    out_dir.mkdir(parents=True, exist_ok=True)
    settings = {
        "rung": asdict(step),
        "data": data,
        "eos": eos,
        "seed": seed,
        "out_dir": str(out_dir),
        "learning_rate": learning_rate,
        "tokens": tokens,
        "continue_from": None if continue_from is None else str(continue_from),
    }
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=settings,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        run_config=RunConfig(
            name="ray",
            storage_path=str(out_dir.resolve()),
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    trainer.fit()
    device = pick_device()
    return NeuralModel(load(out_dir).to(device.place), eos=eos, device=device)


def train_worker(settings: dict[str, Any]) -> None:
    """One worker's part, on the device that Ray gave it."""
    import ray.train.torch

    origin = settings["continue_from"]
    fields = dict(settings["rung"])
    train(
        Rung(**{**fields, "shape": Shape(**fields["shape"])}),
        settings["data"].open(),
        seed=settings["seed"],
        out_dir=Path(settings["out_dir"]),
        learning_rate=settings["learning_rate"],
        tokens=settings["tokens"],
        eos=settings["eos"],
        continue_from=None if origin is None else Path(origin),
        device=str(ray.train.torch.get_device()),
    )
