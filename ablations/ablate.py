"""`decant ablate CONFIG`: plan, train, score, judge; results to stdout, progress to stderr."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from decant.ablations.annealing import run as annealing
from decant.ablations.arms.arms import ArmsError
from decant.ablations.arms.finished_run import RunUnfit
from decant.ablations.config import StudyConfig, load
from decant.ablations.elsewhere.export import export_arms
from decant.ablations.judging import outcome
from decant.ablations.judging.outcome import NGRAM_SAYS, RungOutcome
from decant.ablations.judging.verdict import HURTS, INCONCLUSIVE, Settings
from decant.ablations.measuring.effects import Measured
from decant.ablations.plan import check_rungs, check_storage, plan_lines, rung_says
from decant.ablations.report import page, rendering
from decant.ablations.rungs.ladder import RungUnfit
from decant.ablations.scoring.questions import BenchmarkError
from decant.ablations.scoring.references import HeldoutError
from decant.ablations.study import Study, measure, prepare
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import Engine, StepError
from decant.pipeline.engine.lock import Lock, LockError
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.rundir.versions import versions

FINISHED, FAILED, WRONG, GATE_CLOSED = 0, 1, 2, 4

# What a user can mend: one line, no traceback.
MISUSE = (ConfigError, RunUnfit, ArmsError, BenchmarkError, HeldoutError, LockError, RungUnfit)


def ablate(
    config_path: str,
    output: str = "STUDY",
    gate: bool = False,
    workers: int | None = None,
    overrides: tuple[str, ...] = (),
    ray: str | None = None,
    export_to: Path | None = None,
) -> int:
    """The exit code of one study: 0 done, 2 wrong configuration, 4 closed gate, 1 anything else.

    With `export_to`, the arms are written there and nothing is trained. With `gate`, any HURTS or
    INCONCLUSIVE on any rung gives 4. Finished work stays under `output`; the same call goes on from
    there.
    """
    try:
        config = load(config_path, overrides)
        if export_to is not None:
            return _export(config, output, export_to)
        outcomes = run_study(config, output, workers, ray)
    except MISUSE as error:
        print(f"decant: {error}", file=sys.stderr)
        return WRONG
    except (StepError, StorageError, OSError, ValueError) as error:
        print(f"decant: {error}", file=sys.stderr)
        print(f"decant: finished work stays in {output}; the same call goes on", file=sys.stderr)
        return FAILED
    closed = any(v.label in (HURTS, INCONCLUSIVE) for o in outcomes for v in o.verdicts)
    return GATE_CLOSED if gate and closed else FINISHED


def _export(config: StudyConfig, output: str, folder: Path) -> int:
    """Writes the arms of a study for another trainer; prepares the study, trains nothing."""
    store = Store(output)
    if store.is_local:
        Path(store.path("")).mkdir(parents=True, exist_ok=True)
    with Lock(store):
        runs, tokens = export_arms(prepare(config, store), folder)
    print(
        f"{folder}: {runs} token files, {tokens / 1e6:.2f} million tokens, and arms.csv. Train and "
        f"score each, then: decant judge RESULTS --arms {folder / 'arms.csv'}"
    )
    return FINISHED


def run_study(
    config: StudyConfig, output: str, workers: int | None = None, ray: str | None = None
) -> list[RungOutcome]:
    """The outcomes of every rung, after writing them under `output`, which has one owner."""
    store = Store(output)
    check_storage(config, store)
    if store.is_local:
        Path(store.path("")).mkdir(parents=True, exist_ok=True)
    with Lock(store):
        return _run_owned(config, store, workers, ray)


def _run_owned(
    config: StudyConfig, store: Store, workers: int | None, ray: str | None
) -> list[RungOutcome]:
    started = time.monotonic()
    study = prepare(config, store)
    check_rungs(study)
    for line in plan_lines(study):
        print(line, file=sys.stderr)
    workers = workers if workers is not None else config.workers
    outcomes: list[RungOutcome] = []
    drawn: dict[str, dict[str, bytes]] = {}  # figures by rung and file name
    seconds: dict[str, Any] = {"preparation": f"{time.monotonic() - started:.0f} s"}
    with Engine(store, RunConfig(), workers, ray, Progress(store)) as engine:
        _write_about(store, study)
        for rung in config.rungs:
            began = time.monotonic()
            concluded, measured = _conclude_rung(study, engine, rung)
            outcomes.append(concluded)
            drawn[rung] = rendering.figures(study, concluded, measured)
            for name, data in drawn[rung].items():
                store.write_bytes(f"plots/{name}", data)
            seconds[f"rung {rung}"] = f"{time.monotonic() - began:.0f} s"
    store.write_bytes("verdict.json", rendering.as_json(study, outcomes, seconds))
    text = rendering.as_markdown(study, outcomes, seconds)
    store.write_bytes("verdict.md", text.encode())
    store.write_bytes("study.html", page.as_html(study, outcomes, drawn, seconds).encode())
    print(rendering.as_summary(outcomes))
    print(f"{store.url}: verdict.md, verdict.json, study.html")
    return outcomes


def _conclude_rung(study: Study, engine: Engine, rung: str) -> tuple[RungOutcome, Measured]:
    """The rung's verdicts, and what its first rate measured."""
    if rung == annealing.RUNG:
        return annealing.measure(study, engine, settings_of(study))
    measured = _measure_rung(study, engine, rung)
    says = NGRAM_SAYS if rung == "ngram" else rung_says(rung)
    return outcome.conclude(study.signals, settings_of(study), measured, says), measured[0]


def _measure_rung(study: Study, engine: Engine, rung: str) -> list[Measured]:
    """The rung on all its terms: the first judge, the others retry HELPS and HURTS."""
    first, *others = study.terms(rung)
    measured = [measure(study, engine, first)]
    if measured[0].diverged:
        print(
            f"decant: rung {rung}: trainings that diverged and are left out: "
            f"{measured[0].diverged}; lower neural.learning_rates",
            file=sys.stderr,
        )
    again = outcome.to_confirm(study.signals, settings_of(study), measured[0]) if others else []
    return measured + [measure(study, engine, terms, only=again) for terms in others if again]


def settings_of(study: Study) -> Settings:
    """When a verdict of this study is given."""
    config = study.config.verdict
    return Settings(config.alpha, config.margin_bpb, config.correction, config.power)


def _write_about(store: Store, study: Study) -> None:
    about = {
        "study": study.config.model_dump(mode="json"),
        "address": study.address,
        "versions": versions(),
    }
    store.write_bytes("study.json", (json.dumps(about, indent=1) + "\n").encode())
