"""The annealing rung of a study, from its plan to its verdicts."""

from __future__ import annotations

import numpy as np

from decant.ablations import statistics
from decant.ablations.annealing.design import KEPT, REMOVED, RUNG, AnnealDesign, BranchLayout
from decant.ablations.annealing.tasks import task_args, train_branches, train_trunks
from decant.ablations.annealing.verdicts import conclude
from decant.ablations.config import StudyConfig
from decant.ablations.judging.outcome import RungOutcome
from decant.ablations.judging.verdict import LEAST_SETS, Settings
from decant.ablations.measuring.effects import Measured
from decant.ablations.rungs.cost import estimate, machine
from decant.ablations.rungs.ladder import RungUnfit
from decant.ablations.statistics import Spread
from decant.ablations.study import Study
from decant.pipeline.engine.execute import Engine


def design_of(config: StudyConfig) -> AnnealDesign:
    """The design that a study's `anneal` section asks for."""
    section = config.anneal
    return AnnealDesign(
        section.rung, section.trunks, section.trunk_tokens, section.branch_tokens,
        section.doses, section.sets, section.removed_sets or section.sets, config.seed,
    )  # fmt: skip


def layout_of(study: Study) -> BranchLayout:
    """Who reads what in this study."""
    section = study.config.anneal
    judged = [
        k for k, c in enumerate(study.contrasts)
        if c.judged
        and (section.rules is None or c.name in section.rules)
        and (section.designs is None or c.design in section.designs)
    ]  # fmt: skip
    return BranchLayout(study.pool, design_of(study.config), study.contrasts, tuple(judged))


def check(study: Study) -> None:
    """Refuses a rung that does not exist, and trunks or sets too small for any verdict."""
    layout = layout_of(study)
    design = layout.design
    try:
        step = design.step(study.pool.vocab_size)
    except ValueError as error:
        raise RungUnfit(f"anneal.rung: {error}") from error
    if design.sets < LEAST_SETS:
        raise RungUnfit(f"anneal.sets: {design.sets} placebo sets; a verdict needs {LEAST_SETS}")
    updates = step.steps(layout.trunk_tokens)
    if updates < step.min_steps:
        raise RungUnfit(
            f"anneal: a trunk of {layout.trunk_tokens:,} tokens is {updates} updates of "
            f"{design.rung}, which needs {step.min_steps}: more data, a larger trunk_tokens, "
            "or a smaller anneal.rung"
        )


def measure(study: Study, engine: Engine, settings: Settings) -> tuple[RungOutcome, Measured]:
    """The rung's verdicts and what they rest on; finished trunks and branches are read back."""
    layout, section = layout_of(study), study.config.anneal
    args = task_args(study.address, layout, section.device)
    gpus = 0.0 if section.device == "cpu" else section.gpus_per_run
    chosen = [k for k in layout.judged if not layout.problem(k)]
    trunks = train_trunks(engine, args, gpus)
    scores = train_branches(engine, args, layout, chosen, gpus)
    return conclude(layout, study.signals, settings, trunks, scores)


def plan_line(study: Study) -> str:
    """What the rung trains, what that costs, and the smallest effect that its noise shows."""
    layout = layout_of(study)
    design, step = layout.design, layout.design.step(study.pool.vocab_size)
    judged = layout.judged
    fit = [k for k in judged if not layout.problem(k)]
    each = design.branches
    tokens = design.trunks * layout.trunk_tokens
    tokens += sum(each * layout.branch_tokens(k) for k in fit)
    cost = estimate(step, tokens, machine("cpu-core"))
    doses = " ".join(f"{dose:g}" for dose in design.doses)
    return (
        f"rung {RUNG} ({design.rung}, rate {step.learning_rate:g}): {design.trunks} trunks of "
        f"{layout.trunk_tokens:,} tokens, then {each} branches for each of {len(fit)} rules "
        f"({len(judged) - len(fit)} remove too little), up to {design.branch_tokens:,} tokens, "
        f"doses {doses}: {tokens / 1e6:.1f} MT, {cost.flops:.2g} FLOP, {60 * cost.hours:.1f} "
        f"minutes on one cpu-core and the scoring of {each * len(fit)} models; "
        f"{_noise(layout, len(fit), study)}"
    )


def _noise(layout: BranchLayout, rules: int, study: Study) -> str:
    """The run noise that was measured for the rung, and the effect that it hides."""
    noise = layout.design.step(study.pool.vocab_size).run_noise
    if noise is None:
        return f"run noise of {layout.design.rung}: not measured (decant.ablations.rungs.rates)"
    settings = study.config.verdict
    smallest = detectable_at_dose(layout.design, noise.sd, settings.alpha, max(rules, 1))
    return (
        f"runs differ by {noise.sd:.4f} bits per byte (sd of {noise.runs} of {noise.tokens:,} "
        f"tokens): {smallest:.4f} at dose {max(layout.design.doses):g} is found four times in "
        f"five among {max(rules, 1)} rules, more where sets of documents differ too"
    )


def detectable_at_dose(design: AnnealDesign, run_sd: float, alpha: float, rules: int) -> float:
    """The effect at the highest dose that run noise alone lets through four times in five.

    The t quantile is of the sets' degrees of freedom at Holm's first step, alpha over the rules.
    """
    of_slope = run_sd**2 / np.sum(np.square(design.doses))
    sets = [design.trunks * design.sets_of(arm) for arm in (REMOVED, KEPT)]
    error = statistics.total(*(Spread(of_slope / n, n - design.trunks) for n in sets))
    return max(design.doses) * statistics.detectable_effect(error, alpha / rules)
