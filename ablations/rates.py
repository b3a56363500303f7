"""What several learning rates say together: a ranking that flips with the rate is none.

At one fixed rate, small changes of it reorder data recipes (Wang et al., arXiv 2512.24503). The
first rate gives the verdict; HELPS and HURTS stand only where the effect has the same sign at
every rate. Rules without one of the two are not trained at the other rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from decant.ablations.verdict import HELPS, HURTS, INCONCLUSIVE, Verdict


def agree(verdict: Verdict, first: float, others: Mapping[float, float]) -> Verdict:
    """The verdict of rate `first`, or INCONCLUSIVE where an effect of `others` (by rate) differs.

    An effect of exactly zero agrees with nothing.
    """
    if verdict.overall is None or verdict.label not in (HELPS, HURTS):
        return verdict
    sign = np.sign(verdict.overall.effect)
    if all(np.sign(effect) == sign for effect in others.values()):
        return verdict
    every = {first: verdict.overall.effect, **others}
    shown = ", ".join(f"{every[rate]:+.4f} at {rate:g}" for rate in sorted(every, reverse=True))
    note = f"the sign changes with the learning rate: {shown}"
    overall = replace(verdict.overall, verdict=INCONCLUSIVE)
    return replace(verdict, overall=overall, caveats=(*verdict.caveats, note))


def lines(rates: Sequence[float], control: Sequence[float]) -> list[str]:
    """What to say of the rates: bits per byte of the control arm at each, and where the best lies.

    `rates` are times the rung's own; the first gives the verdict.
    """
    if len(rates) < 2:
        return []
    shown = ", ".join(f"{bpb:.4f} at {rate:g}" for rate, bpb in zip(rates, control, strict=True))
    found = [
        f"Learning rates, times the rung's own, and the bits per byte that the control arm "
        f"reaches: {shown}. The verdicts are of rate {rates[0]:g}; where it says HELPS or HURTS, "
        "all rates must agree in sign."
    ]
    best = rates[int(np.argmin(control))]
    if best != rates[0]:
        found.append(f"The control arm is better at {best:g} than at the rate of the verdicts.")
    if len(rates) > 2 and best in (min(rates), max(rates)):
        end = "lowest" if best == min(rates) else "highest"
        found.append(
            f"The best rate is the {end} that was tried: a better one may lie beyond it. Widen "
            "neural.learning_rates."
        )
    return found
