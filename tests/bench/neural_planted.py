"""Whether a neural rung judges right where the truth is known: planted junk, and a rule of chance.

    python -m tests.bench.neural_planted [--output DIR] [--rung cpu-xs] [--seed 1]

One pool of a made-up language, 30 % of its tokens junk (menus). Two rules of one recipe are left
out in turn: a perfect detector of the junk, and a decoy that drops a fifth of all tokens by a hash
of the domain. Three disjoint data seeds, placebos of whole domains, two learning rates. HELPS is
right for the first and wrong for the second. Runs are kept in DIR: a second call goes on where the
first stopped. About five minutes of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Pool
from decant.ablations.judging.retry import confirm, retried
from decant.ablations.judging.verdict import HELPS, HURTS, RuleVerdict, Settings, judge
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import Effect, measure
from decant.ablations.measuring.neural_trainer import NeuralTrainer
from decant.ablations.measuring.shared import Prepared
from decant.ablations.rungs import ladder
from decant.ablations.scoring.score import EncodedDocuments
from decant.ablations.scoring.scored import Scored
from tests.bench.calibration_pools import (
    BYTES_PER_WORD,
    EOS,
    GENRES,
    make_language,
    make_study,
    write_domains,
)

JUNK, DECOY = "menu", "domain hash"
JUNK_SHARE, DECOY_SHARE = 0.3, 0.2
DOCUMENTS = 7_500  # honest ones: 2.5 million tokens with the junk, enough for three data seeds
REFERENCE_DOCUMENTS = 40  # a genre
RATES = (0.3, 0.1)
DESIGN = Design(
    data_seeds=3, orders=1, draws=12, kinds=("domains",), placebo_share=JUNK_SHARE, seed=1,
    own_orders=True, with_trainings=4,
)  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A pool with its two contrasts and its references, and the budget of a run."""

    study: Prepared
    budget: np.ndarray


def plant(seed: int, budget: int) -> Planted:
    """A pool, the arms without each of its two rules, and fresh documents of every other genre."""
    made = make_study(seed, DOCUMENTS, {JUNK: JUNK_SHARE}, DECOY_SHARE)
    junk, decoy = made.drops[JUNK], made.drops[DECOY]
    kept = ~(junk | decoy)
    contrasts = [
        Contrast(f"planted {JUNK}", "leave-one-out", ~decoy, kept),
        Contrast(f"decoy: {DECOY}", "leave-one-out", ~junk, kept),
    ]
    language = make_language(np.random.default_rng(seed))  # the one that the pool was made of
    rng = np.random.default_rng(seed + 10**6)
    references = []
    for genre in (0, 2, 4, 6, GENRES - 1):
        texts, _ = write_domains(rng, language, np.array([genre]), REFERENCE_DOCUMENTS)
        references.append(_encoded(f"genre {genre}", texts))
    study = Prepared(made.pool, f"made-up {seed}", contrasts, Scored(tuple(references), ()))
    return Planted(study, np.full(DESIGN.data_seeds, float(budget)))


def _encoded(name: str, texts: list[np.ndarray]) -> EncodedDocuments:
    size = np.array([BYTES_PER_WORD * len(text) for text in texts], dtype=np.float64)
    return EncodedDocuments(name, [[EOS] for _ in texts], [t.tolist() for t in texts], size)


def effects(
    planted: Planted, folder: Path, rung: str, rate: float, chosen: Iterable[int]
) -> dict[int, Effect]:
    """The effect of each chosen contrast at a rate; only the first rate has placebos."""
    trainer = NeuralTrainer(planted.study, folder, rung, rate, {"device": "cpu"})
    design = DESIGN if rate == RATES[0] else replace(DESIGN, kinds=())
    pool, contrasts = planted.study.pool, planted.study.contrasts
    return {k: measure(pool, contrasts[k], design, planted.budget, trainer.signals) for k in chosen}


def verdicts(planted: Planted, folder: Path, rung: str) -> list[RuleVerdict]:
    """The verdict of each contrast at the first rate, as far as the others confirm it."""
    first, *others = RATES
    measured = effects(planted, folder, rung, first, range(len(planted.study.contrasts)))
    judged = judge(list(measured.values()), planted.study.scored.signals, Settings())
    found = [k for k, verdict in enumerate(judged) if verdict.label in (HELPS, HURTS)]
    for rate in others:
        for k, again in effects(planted, folder, rung, rate, found).items():
            retry = retried(f"at {rate:g} of the rate", measured[k], again)
            judged[k] = confirm(judged[k], retry, Settings().alpha)
    return judged


def rows(found: list[RuleVerdict]) -> Iterable[str]:
    """The table of ablations/README.md."""
    yield "| rule | tokens removed | effect of each data seed | effect | 95 % interval | verdict |"
    yield "|---|---|---|---|---|---|"
    for verdict in found:
        effect, overall = verdict.effect, verdict.overall
        assert overall is not None, effect.problem
        seeds = " ".join(f"{value:+.4f}" for value in effect.values.mean(axis=1))
        yield (
            f"| {effect.name} | {effect.removed_fraction:.0%} | {seeds} | {overall.effect:+.4f} "
            f"| {overall.low:+.4f} … {overall.high:+.4f} | **{verdict.label}** |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("bench-results/neural_planted"))
    parser.add_argument("--rung", default="cpu-xs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    step = ladder.rung(options.rung)
    started = time.process_time()
    planted = plant(options.seed, step.min_steps * step.batch_tokens)
    pool: Pool = planted.study.pool
    found = verdicts(planted, options.output / step.name, step.name)
    print("\n".join(rows(found)))
    for verdict in found:
        print(f"{verdict.effect.name}: {'; '.join(verdict.caveats) or 'no caveats'}")
    print(
        f"rung {step.name}, {len(pool.tokens) / 1e6:.1f} MT in the pool, "
        f"{planted.budget[0]:,.0f} tokens a run, rates {RATES}; "
        f"{time.process_time() - started:.0f} CPU seconds in this call"
    )


if __name__ == "__main__":
    main()
