"""Pure noise through the whole judgement of a neural rung, and effects of the size it promises.

    python -m tests.bench.neural_null [--studies 4000] [--config real-pages-neural]

For each shipped structure (data seeds, placebo sets, trainings of the arm with the rule, rates):
studies of seven rules whose trainings differ by noise alone, and studies in which the first rule
helps, or hurts, by exactly the detectable effect that a study of that structure prints. Scores are
drawn, everything after them is the real code: plan, reduce, health, judge, retry. The table is
that of ablations/README.md.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw
from decant.ablations.config import StudyConfig, load
from decant.ablations.judging import outcome
from decant.ablations.judging.verdict import HELPS, HURTS, RuleVerdict, Settings
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import Effect, Measured, reduce
from decant.ablations.measuring.plans import PLACEBO, WITH, WITHOUT, ContrastPlan, Training
from decant.ablations.measuring.terms import HEALTH_FRACTIONS

CONFIGS = Path(__file__).parents[2] / "configs" / "ablations"
SHIPPED = ("real-pages-neural", "laptop", "h200-30min", "fineweb-1.7b")
RULES, SIGNALS = 7, 4
NOISE = 0.02  # bits per byte, one sd of a training, the same share of it on every signal
COMMON = 0.8  # of the noise's variance
MARGIN = 0.002
RETRY_NOISE, RETRY_EFFECT = (
    0.3,
    0.6,
)  # at a tenth of the rate trainings are quieter, effects smaller
NOTHING = Draw(np.zeros(0, dtype=np.int64), 0, 10**7, 10**7)


@dataclass(frozen=True)
class Structure:
    """How often what is trained: all that the statistics of a study depend on."""

    name: str
    design: Design
    rates: tuple[float, ...]
    shared: bool  # rules left out of one arm share its placebos

    @classmethod
    def of(cls, name: str, config: StudyConfig) -> Structure:
        neural = config.neural
        design = Design(
            data_seeds=config.budget.data_seeds, orders=1, draws=neural.draws, kinds=neural.kinds,
            own_orders=True, with_trainings=neural.with_trainings, reruns=neural.reruns,
        )  # fmt: skip
        return cls(name, design, neural.learning_rates, neural.placebo_share is not None)

    def __str__(self) -> str:
        design = self.design
        return (
            f"{design.data_seeds} data seeds, {design.draws} sets of {', '.join(design.kinds)} "
            f"({design.reruns} twice), {design.with_trainings} with the rule"
        )

    def trainings(self, kinds: tuple[str, ...]) -> tuple[Training, ...]:
        """The trainings of one rule, as `plans.plan` lists them, of documents that matter not."""
        design, listed = self.design, []
        for seed in range(design.data_seeds):
            listed.append(Training(WITHOUT, seed, 0, 0, NOTHING))
            listed += [Training(WITH, seed, k, k, NOTHING) for k in range(design.with_trainings)]
            for kind in kinds:
                for number in range(design.draws):
                    for repeat in range(1 + (number < design.reruns)):
                        listed.append(Training(PLACEBO, seed, repeat, 0, NOTHING, kind, number))
        return tuple(listed)


class Simulation:
    """Studies of one structure, one after the other from one stream of random numbers."""

    def __init__(self, structure: Structure, seed: int, sets: float = 0.0) -> None:
        """`sets`: sd of what placebo sets, and rules that mean nothing, do beyond noise."""
        self.structure, self.sets = structure, sets
        self.rng = np.random.default_rng(seed)
        self._first = structure.trainings(structure.design.kinds)
        self._again = structure.trainings(())
        empty = np.zeros(0, dtype=bool)
        self._contrasts = [
            Contrast(f"rule {k}", "leave-one-out", empty, empty) for k in range(RULES)
        ]
        health = np.array(HEALTH_FRACTIONS)[::-1, None, None, None]
        self._health = np.broadcast_to(health, (len(health), 1, 1, SIGNALS))

    def study(self, effect: float = 0.0) -> list[RuleVerdict]:
        """The verdicts of seven rules, of which the first is worth `effect`; retried where due."""
        settings, signals = Settings(margin_bpb=MARGIN), [f"signal {j}" for j in range(SIGNALS)]
        first = self._measured(self.structure.rates[0], self._first, NOISE, effect, range(RULES))
        measured = [first]
        for rate in self.structure.rates[1:]:
            found = outcome.to_confirm(signals, settings, first)
            if found:
                worth = RETRY_EFFECT * effect
                noise = RETRY_NOISE * NOISE
                measured.append(self._measured(rate, self._again, noise, worth, found))
        return outcome.conclude(signals, settings, measured, "").verdicts

    def _measured(
        self, rate: float, trainings: tuple[Training, ...], noise: float, effect: float, rules
    ) -> Measured:
        arms = self._scores(trainings, noise)
        effects = {}
        for k in rules:
            scores = arms.copy() if self.structure.shared else self._scores(trainings, noise)
            own = self._scores(trainings, noise)
            for row, training in enumerate(trainings):
                if training.role == WITH:
                    scores[row] = arms[row]  # one arm with every rule
                if training.role == WITHOUT:
                    worth = effect if k == 0 else 0.0
                    scores[row] = own[row] + worth + self.sets * self.rng.normal()
            effects[k] = self._effect(self._contrasts[k], trainings, scores)
        return Measured("cpu-xs", rate, effects, self._health, {k: {} for k in effects})

    def _scores(self, trainings: tuple[Training, ...], noise: float) -> np.ndarray:
        """Scores of noise alone, float64 [trainings, signals], sets apart where they differ."""
        common = math.sqrt(COMMON) * self.rng.normal(size=(len(trainings), 1))
        alone = math.sqrt(1 - COMMON) * self.rng.normal(size=(len(trainings), SIGNALS))
        scores = noise * (common + alone)
        if self.sets:
            worth: dict[tuple, float] = {}
            for row, t in enumerate(trainings):
                if t.role == PLACEBO:
                    key = (t.seed, t.kind, t.number)
                    scores[row] += worth.setdefault(key, self.sets * self.rng.normal())
        return scores

    def _effect(self, contrast: Contrast, trainings, scores: np.ndarray) -> Effect:
        planned = ContrastPlan(contrast, self.structure.design, trainings, 0.05, 10, 0.4)
        return reduce(planned, scores)


@dataclass(frozen=True)
class Row:
    """One structure's rates, out of `studies`."""

    structure: Structure
    studies: int
    any_false: int  # studies of noise with a HELPS or HURTS among seven rules
    one_false: int  # of the first rule
    sets_false: int  # of `planted` studies any, where sets differ as much as trainings
    detectable: float  # bits per byte, as the median study of noise prints it
    helps: int  # found, of `planted` studies
    hurts: int
    planted: int  # studies with an effect of each sign, and with sets apart
    seconds: float


def run(structure: Structure, studies: int, seed: int = 1) -> Row:
    """The rates of one structure."""
    started = time.process_time()
    noise = Simulation(structure, seed)
    verdicts = [noise.study() for _ in range(studies)]
    clear = [[v.label in (HELPS, HURTS) for v in one] for one in verdicts]
    sizes = [one[0].overall.detectable for one in verdicts if one[0].overall]
    size = float(np.median(sizes))
    apart = Simulation(structure, seed + 1, NOISE)
    planted = max(1, studies // 4)
    wide = [any(v.label in (HELPS, HURTS) for v in apart.study()) for _ in range(planted)]
    found = {}
    for k, (label, sign) in enumerate(((HELPS, 1), (HURTS, -1))):
        power = Simulation(structure, seed + 2 + k)
        found[label] = sum(power.study(sign * size)[0].label == label for _ in range(planted))
    return Row(
        structure, studies, sum(map(any, clear)), sum(one[0] for one in clear), sum(wide), size,
        found[HELPS], found[HURTS], planted, time.process_time() - started,
    )  # fmt: skip


def rate(count: int, of: int) -> str:
    """A share with its 95 % interval (Clopper and Pearson)."""
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return f"{count / of:.3f} [{low:.3f}, {high:.3f}]"


def table(rows: list[Row]) -> str:
    """The table of ablations/README.md."""
    lines = [
        "| config | structure | any false of 7 | one rule | any false, sets as wide as noise "
        "| detectable (sd of a training) | found, helps | found, hurts | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row.structure.name, str(row.structure), rate(row.any_false, row.studies),
            rate(row.one_false, row.studies), rate(row.sets_false, row.planted),
            f"{row.detectable / NOISE:.2f}", f"{row.helps / row.planted:.3f}",
            f"{row.hurts / row.planted:.3f}", f"{row.seconds:.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def structures(names: tuple[str, ...]) -> list[Structure]:
    """The structures of shipped configurations."""
    return [Structure.of(name, load(CONFIGS / f"{name}.yaml")) for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--config", choices=SHIPPED)
    options = parser.parse_args()
    names = (options.config,) if options.config else SHIPPED
    print(table([run(structure, options.studies) for structure in structures(names)]))


if __name__ == "__main__":
    main()
