"""What a study will cost, and what is refused, said before anything is trained.

Refused is a rung that cannot run as configured, or whose verdicts would tell nothing.
"""

from __future__ import annotations

import numpy as np

from decant.ablations.annealing import run as annealing
from decant.ablations.config import StudyConfig
from decant.ablations.judging.verdict import LEAST_SETS
from decant.ablations.measuring.terms import group_size
from decant.ablations.rungs.cost import estimate, machine
from decant.ablations.rungs.ladder import Rung, RungUnfit
from decant.ablations.rungs.ladder import rung as named
from decant.ablations.study import Study
from decant.pipeline.engine.storage import Store

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
        if rung == annealing.RUNG:
            lines.append(annealing.plan_line(study))
        else:
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
    at_rate = {terms.rate: study.trainings(terms) for terms in study.terms(rung)}
    first, *_ = at_rate.values()
    tokens = sum(t.tokens for trainings in at_rate.values() for t in trainings)
    start = study.config.neural.continue_from
    tokens = int(tokens / (1 - start.replay_share)) if start else tokens
    epochs = max((t.epochs for t in first), default=0.0)
    counts = " + up to ".join(f"{len(ts)} at rate {rate:g}" for rate, ts in at_rate.items())
    return (
        f"rung {rung}: {counts} trainings of {_budget(study, rung)}, at most {epochs:.1f} epochs, "
        f"{tokens / 1e6:.1f} MT at most: {_neural_cost(rung, tokens, study.pool.vocab_size)}"
    )


def _budget(study: Study, rung: str) -> str:
    """What a run of the rung reads, in words."""
    terms, *_ = study.terms(rung)
    if terms.design.match == "epochs":
        return f"{terms.design.epochs:g} epochs of its arm"
    sizes = " and ".join(f"{size:,.0f}" for size in dict.fromkeys(terms.budget))
    return f"{sizes} {terms.design.match}"


def _neural_cost(rung: str, tokens: float, vocab_size: int) -> str:
    """FLOPs, and hours and energy on one device of each kind."""
    step = named(rung).with_vocab(vocab_size)
    estimates = [estimate(step, tokens, machine(name)) for name in MACHINES]
    hours = ", ".join(
        f"{one.hours:.2g} h ({one.kwh:.2g} kWh) on one {name}"
        for one, name in zip(estimates, MACHINES, strict=True)
    )
    return f"{estimates[0].flops:.2g} FLOP, {hours}"


def check_storage(config: StudyConfig, store: Store) -> None:
    """Refuses a neural rung on an object store: training state is mapped and renamed files."""
    neural = [name for name in config.rungs if name != "ngram"]
    if neural and not store.is_local:
        raise RungUnfit(
            f"rung {neural[0]} keeps its training state in files that are mapped and renamed, as "
            f"{store.url} cannot: give --output a folder that every worker sees (local or "
            "network file system), and copy it when it is done. The n-gram rung runs anywhere."
        )


def check_rungs(study: Study) -> None:
    """Refuses runs too short for a rung, weights that do not fit it, and groups it cannot serve."""
    if annealing.RUNG in study.config.rungs:
        annealing.check(study)
    for name in _neural(study.config):
        step = named(name).with_vocab(study.pool.vocab_size)
        trainings = study.trainings(study.terms(name)[0])
        check_length(step, max((t.tokens for t in trainings), default=0))
        _check_start(study, step)
        check_sets(step, study.config.neural.draws)
        workers = group_size(study.config.neural.placed())
        if step.batch_sequences % workers:
            raise RungUnfit(
                f"neural.gpus_per_run: rung {name}'s {step.batch_sequences} sequences a batch do "
                f"not split over {workers} GPUs"
            )


def check_sets(step: Rung, sets: int) -> None:
    """Refuses a rung that could give verdicts, with too few placebo sets to give one."""
    if step.min_steps and sets < LEAST_SETS:
        raise RungUnfit(
            f"neural.draws: {sets} placebo sets of a kind cannot tell an effect from noise on rung "
            f"{step.name}: at least {LEAST_SETS}"
        )


def check_length(step: Rung, longest: int) -> None:
    """Refuses a rung of which not even the longest run has the least number of updates."""
    if longest and step.steps(longest) < step.min_steps:
        raise RungUnfit(
            f"rung {step.name}: a run of {longest:,} tokens is {step.steps(longest)} updates, and "
            f"under {step.min_steps} training noise hides any effect. It needs "
            f"{step.min_steps * step.batch_tokens:,} tokens a run: more data, fewer "
            "budget.data_seeds, a larger budget.size or neural.size, or a smaller rung"
        )


def _check_start(study: Study, step: Rung) -> None:
    section = study.config.neural.placed()["continue_from"]
    if section is None:
        return
    from decant.ablations.rungs.continuing import Start  # torch is imported only where it is needed

    Start.of(section).check(study.store, step.shape)


def _neural(config: StudyConfig) -> list[str]:
    """The rungs that train whole runs."""
    return [name for name in config.rungs if name not in ("ngram", annealing.RUNG)]
