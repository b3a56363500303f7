"""On what terms a rung is measured at one learning rate, and the arguments of its tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xxhash

from decant.ablations.measuring.design import Design

VERSION = 3  # of what is measured; raise it when the same study would give other numbers
HEALTH_FRACTIONS = (0.25, 0.5, 1.0)  # of the budget


@dataclass(frozen=True)
class Terms:
    """One rung at one rate.

    The first rate gives the verdict. Any other retries HELPS and HURTS: it has no placebos, no
    scores of every option, and its control arm is read once, at full budget.
    """

    rung: str
    rate: float  # times the rung's own
    design: Design
    budget: np.ndarray  # of a run, float64 [seeds]
    first: bool = True

    @property
    def step(self) -> str:
        """The name of its manifests."""
        return f"ablate-{self.rung}-{self.rate:g}"

    @property
    def fractions(self) -> tuple[float, ...]:
        return HEALTH_FRACTIONS if self.first else (1.0,)

    def task_args(self, address: str, neural: dict[str, Any]) -> dict[str, Any]:
        """The arguments of every task; `neural` is what shapes or places a neural run."""
        return {
            "rung": self.rung,
            "address": address,
            "design": asdict(self.design),
            "budget": self.budget.tolist(),
            "fractions": list(self.fractions),
            "learning_rate": self.rate,
            "tasks": self.first,
            "neural": neural,
        }


def digest(args: dict[str, Any]) -> str:
    """Hex name of the arguments of a rung's tasks."""
    return xxhash.xxh3_128_hexdigest(json.dumps(args, sort_keys=True).encode())


def group_size(neural: Mapping[str, Any]) -> int:
    """How many workers train one run together; a share of a GPU is one worker's."""
    return max(1, int(neural.get("gpus_per_run", 1)))


def gpus_of(args: Mapping[str, Any]) -> float:
    """The GPUs that Ray gives one task to itself: else all runs of a node would take its first."""
    neural = args.get("neural") or {}
    if not neural or neural.get("device") == "cpu":
        return 0.0
    return min(1.0, neural.get("gpus_per_run", 1.0))
