"""The learning rate at a step, as a fraction of its peak."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then `wsd` (constant, then linear to the floor) or `cosine` to the floor.

    WSD lets one trunk be annealed at several budgets; cosine is FineWeb's own.
    """

    kind: str
    steps: int
    warmup: int
    decay: int  # steps of the last phase; cosine decays from the end of the warm-up
    floor: float

    def fraction(self, step: int) -> float:
        """Share of the peak rate used by update number `step`, counted from 0.

        >>> [Schedule("wsd", 8, 2, 4, 0.0).fraction(s) for s in range(8)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.kind == "cosine":
            gone = (step - self.warmup) / max(1, self.steps - self.warmup)
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * gone))
        left = min(1.0, (self.steps - step) / max(1, self.decay))
        return self.floor + (1 - self.floor) * left


def schedule(kind: str, steps: int, warmup: int = 0) -> Schedule:
    """A rung's schedule over `steps` updates; `warmup` 0 means 5 % of them.

    WSD: the last 25 % decay to zero. Cosine: to a tenth of the peak (FineWeb: 3e-4 to 3e-5).
    """
    if kind not in ("wsd", "cosine"):
        raise ValueError(f"schedule {kind!r} is neither wsd nor cosine")
    warmup = min(warmup or math.ceil(0.05 * steps), steps)
    if kind == "cosine":
        return Schedule(kind, steps, warmup, steps - warmup, 0.1)
    return Schedule(kind, steps, warmup, math.ceil(0.25 * steps), 0.0)
