"""What is refused before anything is trained: a rung that cannot run as asked, or tells nothing."""

from __future__ import annotations

from decant.ablations.rungs import Rung, RungUnfit, rung
from decant.ablations.study import Study
from decant.ablations.study_config import StudyConfig
from decant.ablations.terms import group_size
from decant.pipeline.engine.storage import Store


def check_storage(config: StudyConfig, store: Store) -> None:
    """Refuses a neural rung on an object store: training state is mapped and renamed files."""
    neural = _neural(config)
    if neural and not store.is_local:
        raise RungUnfit(
            f"rung {neural[0]} keeps its training state in files that are mapped and renamed, as "
            f"{store.url} cannot: give --output a folder that every worker sees (local or "
            "network file system), and copy it when it is done. The n-gram rung runs anywhere."
        )


def check_rungs(study: Study) -> None:
    """Refuses runs too short for a rung, weights that do not fit it, and groups it cannot serve."""
    for name in _neural(study.config):
        step = rung(name).with_vocab(study.pool.vocab_size)
        runs = study.training_runs(study.terms(name, study.rates(name)[0]))
        check_length(step, max((run.tokens for run in runs), default=0))
        _check_start(study, step)
        workers = group_size(study.config.neural.placed())
        if step.batch_sequences % workers:
            raise RungUnfit(
                f"neural.gpus_per_run: rung {name}'s {step.batch_sequences} sequences a batch do "
                f"not split over {workers} GPUs"
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
    from decant.ablations.continuing import Start  # torch is imported only where it is needed

    Start.of(section).check(study.store, step.shape)


def _neural(config: StudyConfig) -> list[str]:
    return [name for name in config.rungs if name != "ngram"]
