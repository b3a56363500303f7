"""Trunks and branches trained: a stable rate to branch from, and a decay that starts there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from decant.ablations.annealing.branches import Branch, Sets, trunk_stream
from decant.ablations.annealing.design import BranchLayout
from decant.ablations.rungs.ladder import Rung
from decant.ablations.rungs.scorer import NeuralModel
from decant.ablations.rungs.stream import TokenStream
from decant.ablations.rungs.train import train, train_in_memory
from decant.ablations.rungs.weights import from_transformers, load_weights
from decant.ablations.scoring.scored import Scored, score_options

# Signals of the trunk at these shares of its tokens say which of them fall as data grows.
SNAPSHOTS = 4


@dataclass(frozen=True)
class BranchTrainer:
    """Trains on one layout; `device` as `devices.pick_device` has it."""

    layout: BranchLayout
    scored: Scored
    device: str | None = None

    @property
    def _rung(self) -> Rung:
        return self.layout.design.step(self.layout.pool.vocab_size)

    def trunk(self, number: int, folder: Path) -> np.ndarray:
        """Signals of the trunk at each quarter of its tokens, float64 [4, signals].

        Its weights at the end of the stable rate lie in `folder`, as they are: an average over a
        rate that never fell would be no better.
        """
        step = replace(self._rung, schedule="stable", average_last=1)
        stream = trunk_stream(self.layout, number)
        model = train(
            step, stream, seed=number, out_dir=folder, tokens=_whole(step, stream),
            eos=self.layout.pool.eos, device=self.device, snapshots=SNAPSHOTS,
        )  # fmt: skip
        signals = []
        for path in sorted((folder / "snapshots").glob("*.safetensors")):
            from_transformers(model.model, load_weights(path))
            signals.append(self.signals(model))
        return np.stack(signals)

    def branch(self, branch: Branch, sets: Sets, trunk: Path) -> NeuralModel:
        """The trunk's weights after a warm-up and a decay to zero over the branch's documents."""
        step = replace(self._rung, schedule="linear")
        stream, start = sets.stream(branch), load_weights(trunk)
        return train_in_memory(
            step, stream, start, tokens=_whole(step, stream), eos=self.layout.pool.eos,
            device=self.device,
        )  # fmt: skip

    def signals(self, model: NeuralModel) -> np.ndarray:
        """Bits per byte on every signal, float64 [signals]."""
        values = self.scored.values(model.loglikelihood(*self.scored.gold))
        if not np.isfinite(values).all():
            raise ValueError(f"a signal is not finite: {values}")
        return values

    def tasks(self, model: NeuralModel) -> dict[str, dict[str, Any]]:
        """Of every task how many questions it has, and the mean of each metric over them."""
        metrics = score_options(model, self.scored).metrics
        return {
            task: {
                "questions": len(one["acc"]),
                "metrics": {metric: float(values.mean()) for metric, values in one.items()},
            }
            for task, one in metrics.items()
        }


def _whole(step: Rung, stream: TokenStream) -> int:
    """The stream's tokens; a stream that lacks one of a whole batch has it from its beginning."""
    return step.batch_tokens * round(len(stream) / step.batch_tokens)
