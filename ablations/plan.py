"""What a study will cost, said before anything is trained."""

from __future__ import annotations

import numpy as np

from decant.ablations.cost import estimate, machine
from decant.ablations.rungs import rung as named
from decant.ablations.study import Study

# Tokens fitted and scored per second and core by the n-gram rung (2.5 GHz Xeon, one thread).
NGRAM_TOKENS_PER_S = 8e6
MACHINES = ("cpu-core", "h100")


def rung_says(rung: str) -> str:
    """What a verdict of a neural rung may claim."""
    return named(rung).says


def plan_lines(study: Study) -> list[str]:
    """The plan with its cost, one line each."""
    facts = study.facts
    judged = sum(c.judged for c in study.contrasts)
    lines = [
        f"pool: {facts['documents']:,} documents, {facts['tokens'] / 1e6:.2f} MT, "
        f"{facts['domains']:,} domains",
        f"contrasts: {len(study.contrasts)} ({judged} judged); "
        f"signals: {len(study.signals)}; contaminated texts left out: {len(study.hits)}",
    ]
    for rung in study.config.rungs:
        lines.append(_ngram_line(study) if rung == "ngram" else _neural_line(study, rung))
    lines.append(
        "an arm without one of the recipe's edits is not made here: it needs its own run "
        "(`decant filter --from`) and design recipe-vs-recipe"
    )
    return lines


def _ngram_line(study: Study) -> str:
    """Runs, what each reads and CPU minutes: two arms and every placebo, on each data seed."""
    design = study.design
    judged = sum(c.judged for c in study.contrasts)
    models = 2 + design.draws * len(design.kinds)
    runs = judged * design.data_seeds * design.orders * models
    tokens = float(np.mean(study.budget)) * runs
    return (
        f"rung ngram: {runs} runs of {_budget(study, 'ngram')}: "
        f"{tokens / NGRAM_TOKENS_PER_S / 60:.1f} CPU minutes"
    )


def _neural_line(study: Study, rung: str) -> str:
    """Distinct runs over all learning rates, what each reads, and their cost.

    Rates after the first train the arms of HELPS and HURTS alone: how many is not known before.
    """
    found = {rate: study.training_runs(study.terms(rung, rate)) for rate in study.rates(rung)}
    first, *_ = found.values()
    tokens = sum(run.tokens for runs in found.values() for run in runs)
    start = study.config.neural.continue_from
    tokens = int(tokens / (1 - start.replay_share)) if start else tokens
    epochs = max((run.epochs for run in first), default=0.0)
    counts = " + up to ".join(f"{len(runs)} at rate {rate:g}" for rate, runs in found.items())
    return (
        f"rung {rung}: {counts} runs of {_budget(study, rung)}, at most {epochs:.1f} epochs, "
        f"{tokens / 1e6:.1f} MT at most: {_neural_cost(rung, tokens, study.pool.vocab_size)}"
    )


def _budget(study: Study, rung: str) -> str:
    """What a run of the rung reads, in words."""
    terms = study.terms(rung)
    if terms.design.match == "epochs":
        return f"{terms.design.epochs:g} epochs of its arm"
    sizes = " and ".join(f"{size:,.0f}" for size in dict.fromkeys(terms.budget))
    return f"{sizes} {terms.design.match}"


def _neural_cost(rung: str, tokens: float, vocab_size: int) -> str:
    """FLOPs, and hours and energy on one device of each kind."""
    step = named(rung).with_vocab(vocab_size)
    found = [estimate(step, tokens, machine(name)) for name in MACHINES]
    hours = ", ".join(
        f"{one.hours:.2g} h ({one.kwh:.2g} kWh) on one {name}"
        for one, name in zip(found, MACHINES, strict=True)
    )
    return f"{found[0].flops:.2g} FLOP, {hours}"
