"""On what terms a rung is measured, and the arguments of its tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xxhash

from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import ABSOLUTE

VERSION = 4  # of what is measured; raise it when the same study would give other numbers
HEALTH_FRACTIONS = (0.25, 0.5, 1.0)  # of the budget


@dataclass(frozen=True)
class Terms:
    """One rung at one rate and smoothing.

    The first terms give the verdict. Any others retry HELPS and HURTS: they have no scores of every
    option, and their control arm is read once, at full budget.
    """

    rung: str
    rate: float  # times the rung's own
    design: Design
    budget: np.ndarray  # of a training, float64 [seeds]
    first: bool = True
    smoothing: str = ABSOLUTE  # of the n-gram rung

    @property
    def step(self) -> str:
        """The name of its manifests."""
        smoothing = "" if self.smoothing == ABSOLUTE else f"-{self.smoothing.lower()}"
        return f"ablate-{self.rung}-{self.rate:g}{smoothing}"

    @property
    def fractions(self) -> tuple[float, ...]:
        return HEALTH_FRACTIONS if self.first else (1.0,)

    def task_args(self, address: str, neural: dict[str, Any]) -> dict[str, Any]:
        """The arguments of every task; `neural` is what shapes or places a neural training."""
        return {
            "rung": self.rung,
            "address": address,
            "design": asdict(self.design),
            "budget": self.budget.tolist(),
            "fractions": list(self.fractions),
            "learning_rate": self.rate,
            "smoothing": self.smoothing,
            "tasks": self.first,
            "neural": neural,
        }


def digest(args: dict[str, Any]) -> str:
    """Hex name of the arguments of a rung's tasks."""
    return xxhash.xxh3_128_hexdigest(json.dumps(args, sort_keys=True).encode())


def group_size(neural: Mapping[str, Any]) -> int:
    """How many workers train one model together; a share of a GPU is one worker's."""
    return max(1, int(neural.get("gpus_per_run", 1)))


def gpus_of(args: Mapping[str, Any]) -> float:
    """The GPUs that Ray gives one task: else all trainings of a node would take its first."""
    neural = args.get("neural") or {}
    if not neural or neural.get("device") == "cpu":
        return 0.0
    return min(1.0, neural.get("gpus_per_run", 1.0))
