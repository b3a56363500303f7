"""What a stage command does: configuration, lock, engine, stages, funnel, exit code."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from decant.pipeline import config as configuration
from decant.pipeline import deduplicate
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.against import DatasetError
from decant.pipeline.dedup.neighbours import NeighbourError
from decant.pipeline.dedup.ranks import RankError
from decant.pipeline.dedup.signatures import SignatureError
from decant.pipeline.dedup.summary import print_curve
from decant.pipeline.engine import interrupts
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import Engine, StepError
from decant.pipeline.engine.lock import Lock, LockError
from decant.pipeline.engine.secrets import public_text
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.page.language_model import ModelMissing, UnknownLanguage, check_languages
from decant.pipeline.report import funnel
from decant.pipeline.run import RunError, RunResult, run_stages
from decant.pipeline.rundir import losses
from decant.pipeline.rundir.inputs import freeze, load
from decant.pipeline.rundir.ledger import LedgerError
from decant.pipeline.rundir.listing import InputError
from decant.pipeline.rundir.versions import OtherFormat
from decant.pipeline.tokens import counter
from decant.pipeline.tokens.counter import TokenizerMissing

OK, FAILED, USAGE, QUARANTINED = 0, 1, 2, 3

USAGE_ERRORS = (
    ConfigError,
    InputError,
    RunError,
    LockError,
    TokenizerMissing,
    ModelMissing,
    UnknownLanguage,
    DatasetError,
    RankError,
    NeighbourError,
    OtherFormat,
)
DATA_ERRORS = (StepError, StorageError, LedgerError, SignatureError, OSError)
EXPECTED = (*USAGE_ERRORS, *DATA_ERRORS)


@dataclass(frozen=True)
class RunRequest:
    """One stage command as typed."""

    config: str
    output: str
    inputs: tuple[str, ...] = ()
    dump: str | None = None
    workers: int | None = None
    ray: str | None = None
    limit: int | None = None
    limit_records: int | None = None
    settings: tuple[str, ...] = ()
    stages: tuple[str, ...] | None = None
    source: str | None = None  # re-decide from this run's measures
    rules_from: tuple[str, ...] = ()  # files of rules of one's own


def execute_run(request: RunRequest) -> int:
    """The exit code of a stage command; expected failures print one line to stderr."""
    try:
        return _execute(request)
    except KeyboardInterrupt:
        interrupts.say()
        return interrupts.EXIT_CODE
    except EXPECTED as error:
        print(f"decant: {public_text(str(error))}", file=sys.stderr)
        return exit_code(error)


def exit_code(error: Exception) -> int:
    return USAGE if isinstance(error, USAGE_ERRORS) else FAILED


def resolve(request: RunRequest) -> RunConfig:
    """The configuration with the command line's flags laid over it."""
    flags = {
        "input.dump": request.dump,
        "input.limit": request.limit,
        "input.limit_records": request.limit_records,
        "workers": request.workers,
    }
    overrides = [f"{key}={value}" for key, value in flags.items() if value is not None]
    settings: Sequence[str] = (*request.settings, *overrides)
    config = configuration.load(request.config, settings, request.rules_from)
    if request.inputs:
        chosen = config.input.model_copy(update={"paths": request.inputs})
        config = config.model_copy(update={"input": chosen})
    return config


def _execute(request: RunRequest) -> int:
    config = resolve(request)
    for line in configuration.origin_lines(request.config, config):
        print(f"decant: {line}", file=sys.stderr)
    store = Store(request.output)
    outcome = perform(request, config)
    print(funnel.funnel_text(outcome.stages))
    print(funnel.places(store, outcome.stages))
    for name in outcome.quarantined:
        print(f"decant: quarantined: {name}", file=sys.stderr)
    return max(QUARANTINED if outcome.quarantined else OK, _say_losses(store, config, outcome))


def perform(request: RunRequest, config: RunConfig) -> RunResult:
    """What the stages of a request came to; raises one of EXPECTED where they cannot be done."""
    store = Store(request.output)
    _create(store)
    with Lock(store):
        progress = Progress(store)
        try:
            if request.source is None:
                check_keys(config, request.stages)
                freeze(store, config)
                # Before hours of work, not after: the tokenizer must be there.
                if request.stages is None or "shard" in request.stages:
                    counter.freeze(store, config)
                outcome = _run(store, config, request, progress)
            else:
                from decant.pipeline.redecide import redecide

                outcome = redecide(Store(request.source), store, config, progress)
        finally:
            progress.close()
        funnel.write(store, config)
    return outcome


def _say_losses(store: Store, config: RunConfig, outcome: RunResult) -> int:
    """Name on stderr what could not be read or came to nothing; the exit code that it asks for."""
    rows = losses.read(store)
    for line in losses.lines(rows) if rows else ():
        print(f"decant: {line}", file=sys.stderr)
    above = losses.too_many(rows, load(store), config) if rows else None
    if above:
        raise StorageError(above)
    limit = config.input.limit or config.input.limit_records
    if limit and not outcome.stages.get("extract", {}).get("in", 1):
        print(f"decant: the limit of {limit:,} ended with no document", file=sys.stderr)
        return QUARANTINED
    return QUARANTINED if rows else OK


def _run(store: Store, config: RunConfig, request: RunRequest, progress: Progress) -> RunResult:
    progress.event("begin", stages=request.stages, pid=os.getpid())
    if request.stages == ("deduplicate",):
        progress.say(print_curve(config.dedup.bands, config.dedup.rows))
    began = time.monotonic()
    with Engine(store, config, config.workers, request.ray, progress) as engine:
        outcome = run_stages(engine, store, config, request.stages)
    progress.event("end", seconds=round(time.monotonic() - began, 3))
    return outcome


def check_keys(config: RunConfig, stages: tuple[str, ...] | None) -> None:
    """Fail before anything is written: keys go together, and the languages are the model's."""
    if stages is None or "deduplicate" in stages:
        try:
            deduplicate.check(config)
        except SignatureError as error:
            raise ConfigError(str(error)) from None
    if stages is None or "extract" in stages:
        check_languages(config.language.model, config.language.keep)


def _create(store: Store) -> None:
    if not store.is_local:
        return
    try:
        os.makedirs(store.path(""), exist_ok=True)
    except OSError as error:
        raise RunError(f"--output {store.url}: {error.strerror or error}") from error
