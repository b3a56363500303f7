"""What a study will cost, said before anything is trained."""

from __future__ import annotations

import numpy as np

from ablations.cost import estimate, machine
from ablations.rungs import rung as named
from ablations.study import Study

# Tokens fitted and scored per second and core by the n-gram rung (2.5 GHz Xeon, one thread).
NGRAM_TOKENS_PER_S = 8e6
MACHINES = ("cpu-core", "h100")


def rung_says(rung: str) -> str:
    """What a verdict of a neural rung may claim."""
    return named(rung).says


def runs_per_contrast(study: Study, rung: str) -> int:
    """Models trained for one judged contrast: two arms and every placebo, on each data seed."""
    design = study.rung_design(rung)
    placebos = design.draws * len(design.kinds)
    return design.data_seeds * design.orders * (2 + placebos)


def plan_lines(study: Study) -> list[str]:
    """The plan with its cost, one line each."""
    facts = study.facts
    judged = sum(c.judged for c in study.contrasts)
    lines = [
        f"pool: {facts['documents']:,} documents, {facts['tokens'] / 1e6:.2f} MT, "
        f"{facts['domains']:,} domains",
        f"contrasts: {len(study.contrasts)} ({judged} judged); "
        f"signals: {len(study.signals)}; contaminated texts left out: {len(study.hits)}",
        f"budget a run: {', '.join(f'{b:,.0f}' for b in study.budget)} {study.design.match} "
        "(one per data seed)",
    ]
    for rung in study.config.rungs:
        runs = runs_per_contrast(study, rung) * judged
        tokens = float(np.mean(study.budget)) * runs
        if rung == "ngram":
            cost = f"{tokens / NGRAM_TOKENS_PER_S / 60:.1f} CPU minutes"
        else:
            rates = len(study.config.neural.learning_rates)
            cost = _neural_cost(rung, tokens * rates, study.pool.vocab_size)
        lines.append(f"rung {rung}: {runs} runs of {tokens / max(runs, 1) / 1e6:.2f} MT: {cost}")
    lines.append(
        "an arm without one of the recipe's edits is not made here: it needs its own run "
        "(`decant filter --from`) and design recipe-vs-recipe"
    )
    return lines


def _neural_cost(rung: str, tokens: float, vocab_size: int) -> str:
    """FLOPs, and hours and energy on one device of each kind."""
    step = named(rung).with_vocab(vocab_size)
    found = [estimate(step, tokens, machine(name)) for name in MACHINES]
    hours = ", ".join(
        f"{one.hours:.2g} h ({one.kwh:.2g} kWh) on one {name}"
        for one, name in zip(found, MACHINES, strict=True)
    )
    return f"{found[0].flops:.2g} FLOP, {hours}"
