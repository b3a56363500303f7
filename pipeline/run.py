"""One run: the stages in order, each finished once, the ledger balanced between them.

A finished stage leaves `manifests/<stage>.done.json`: the digest of the configuration keys it
read, the digest of what came before it, its ledger entry and the digest of what it left. A stage
whose marker matches is not run again; one whose marker belongs to another configuration is
refused, so that no command overwrites finished work.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from decant.pipeline import deduplicate, extract, shard
from decant.pipeline import filter as filtering
from decant.pipeline.config import RunConfig, validate
from decant.pipeline.engine import checked_json, manifest
from decant.pipeline.engine.damage import DamagedFile
from decant.pipeline.engine.execute import DamagedInput, Engine
from decant.pipeline.engine.secrets import public_values
from decant.pipeline.engine.storage import Store, Written
from decant.pipeline.engine.strict_yaml import parse_yaml
from decant.pipeline.rundir import ledger, paths
from decant.pipeline.rundir.repair import Repair
from decant.pipeline.rundir.retain import release, released_patterns
from decant.pipeline.rundir.versions import VERSIONS, refuse_later_format, versions
from decant.pipeline.stage_keys import changed_keys, stage_digest, stage_keys

StageFunction = Callable[[Engine, Store, RunConfig], dict[str, Any]]


@dataclass(frozen=True)
class Stage:
    """A verb of the pipeline: its function, the folder it fills, what it may leave behind it."""

    name: str
    function: StageFunction
    folder: str
    scratch: tuple[str, ...] = ()  # needed only until the stage is done


STAGES = (
    Stage("extract", extract.run, paths.EXTRACTED),
    Stage("filter", filtering.run, paths.FILTERED, (paths.SCORES_SCRATCH,)),
    Stage("deduplicate", deduplicate.run, paths.DEDUPLICATED, (paths.DEDUP_SCRATCH,)),
    Stage("shard", shard.run, paths.SHARDS, (paths.SHARD_PIECES, paths.SHARD_GROUPS)),
)


MARKER_KEYS = {"stage", "digest", "keys", "upstream", "output", "ledger", "quarantined"}


class RunError(Exception):
    """The run directory and the configuration do not go together; says what to do."""


@dataclass
class RunResult:
    """What a run came to: ledger entries by stage, inputs quarantined, digests of the corpus."""

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    quarantined: list[str] = field(default_factory=list)
    digest: dict[str, str] = field(default_factory=dict)
    was_finished: bool = False  # before this command


def run_stages(
    engine: Engine, store: Store, config: RunConfig, names: Sequence[str] | None = None
) -> RunResult:
    """Run the named stages (all by default) in order and write the ledger after each.

    A damaged file that one of these stages wrote is removed, and the stages are gone through again.
    """
    chosen = set(names or (stage.name for stage in STAGES))
    refuse_later_format(store)
    _remove_damaged_markers(engine, store, config)
    _refuse_other_configuration(store, config)
    write_run_files(store, config)
    folders = [stage.folder for stage in STAGES if stage.name in chosen]
    repair = Repair(store, engine.progress, folders)
    while True:
        try:
            result = _go_through(engine, store, config, chosen)
            if result.was_finished:
                engine.progress.say(
                    f"decant: finished before; `decant verify {store.url}` checks it"
                )
            return result
        except (DamagedFile, DamagedInput) as error:
            repair.remove(error)


def _go_through(engine: Engine, store: Store, config: RunConfig, chosen: set[str]) -> RunResult:
    """What the stages came to, those that are not finished having been run."""
    outcome, worked = RunResult(), False
    upstream = ""
    sharded = _marker(store, STAGES[-1]) is not None
    released = released_patterns(config.retain) if sharded else []
    for stage in STAGES:
        marker = _marker(store, stage)
        ready = _is_done(store, stage, marker, config, upstream, released)
        if not ready:
            if stage.name not in chosen:
                if chosen & {later.name for later in STAGES[STAGES.index(stage) :]}:
                    raise RunError(_why_not_done(store, stage, marker, released))
                break
            engine.upstream, worked = upstream, True
            marker = _run_stage(engine, store, config, stage, upstream, outcome.stages)
        assert marker is not None
        upstream = marker["output"]
        _add(outcome, marker)
        if not ready:
            write_ledger(store, outcome)
    write_ledger(store, outcome)
    if len(outcome.stages) == len(STAGES):
        outcome.was_finished = not worked
        release(engine, store, config)
    return outcome


def _add(outcome: RunResult, marker: dict[str, Any]) -> None:
    outcome.stages[marker["stage"]] = marker["ledger"]
    outcome.quarantined = marker["quarantined"] or outcome.quarantined
    if marker["stage"] == "shard":
        outcome.digest = {"documents": marker["ledger"]["documents"], "shards": marker["output"]}
    ledger.check_chain(outcome.stages)


def _run_stage(
    engine: Engine,
    store: Store,
    config: RunConfig,
    stage: Stage,
    upstream: str,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """The marker of a stage that has just finished and whose rows add up.

    `before`: the ledger entries of the stages before it. What it took in must be what they kept
    before the stage is marked done: a wrong stage that is marked stays wrong for ever.
    """
    entry = dict(stage.function(engine, store, config))
    quarantined = list(entry.pop("quarantined", []))
    ledger.check(stage.name, entry)
    ledger.check_chain({**before, stage.name: entry})
    marker = {
        "stage": stage.name,
        "digest": stage_digest(config, stage.name),
        "keys": stage_keys(config, stage.name),
        "upstream": upstream,
        "output": output_digest(lasting_outputs(store, stage)),
        "ledger": entry,
        "quarantined": quarantined,
    }
    checked_json.write(store, marker_path(stage), dict(sorted(marker.items())))
    for folder in stage.scratch:
        store.remove(folder)
    store.remove_drafts(stage.folder)
    return marker


def output_digest(outputs: Iterable[Written]) -> str:
    """sha256 (hex) over the name and checksum of every lasting file a stage left."""
    return ledger.digest_of(sorted({f"{output.path} {output.checksum}" for output in outputs}))


def lasting_outputs(store: Store, stage: Stage) -> list[Written]:
    """What the stage's manifests list, scratch left out; damaged manifests list nothing."""
    return [
        output
        for name in store.list(f"manifests/{stage.name}")
        for one in manifest.entries(store, name)
        if isinstance(one, manifest.Manifest)
        for output in one.outputs
        if not output.path.startswith(stage.scratch)
    ]


def write_ledger(store: Store, outcome: RunResult) -> None:
    """`ledger.json`, with the digests once the last stage is done."""
    data = ledger.encode(outcome.stages, outcome.digest)
    if not (store.exists("ledger.json") and store.read_bytes("ledger.json") == data):
        store.write_bytes("ledger.json", data)


def stored_config(store: Store) -> RunConfig:
    """The configuration that a run was made with."""
    name = f"{store.url}/config.yaml"
    refuse_later_format(store)
    try:
        source = store.read_bytes("config.yaml").decode()
    except FileNotFoundError:
        raise RunError(f"{name} is missing; is {store.url} a run directory?") from None
    return validate(*parse_yaml(source, name), name)


def write_run_files(store: Store, config: RunConfig) -> None:
    """`config.yaml` (resolved) and `versions.json`, for whoever finds the run later."""
    values = public_values(config.model_dump(mode="json"))
    resolved = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    store.write_bytes("config.yaml", resolved.encode())
    store.write_bytes(VERSIONS, (json.dumps(versions(), indent=2) + "\n").encode())


def _refuse_other_configuration(store: Store, config: RunConfig) -> None:
    for stage in STAGES:
        marker = _marker(store, stage)
        if marker is None or marker["digest"] == stage_digest(config, stage.name):
            continue
        changed = changed_keys(marker["keys"], config, stage.name)
        key, then, now = changed[0] if changed else ("another key", "another value", "this")
        raise RunError(
            f"{store.url}: stage {stage.name} is finished with {key} = {then!r}, the "
            f"configuration now says {now!r}{_changed_base(store, config)}; use another --output, "
            f"or delete {stage.folder}/ and what follows it, with their manifests, to redo it"
        )


def _changed_base(store: Store, config: RunConfig) -> str:
    """Which recipe says something else than when the run began, as an upgrade may make it."""
    then = {base.name: base.digest for base in stored_config(store).based_on}
    names = [
        base.name for base in config.based_on if then.get(base.name, base.digest) != base.digest
    ]
    return f" (the recipe {names[0]} has changed since this run began)" if names else ""


def _is_done(
    store: Store,
    stage: Stage,
    marker: dict | None,
    config: RunConfig,
    upstream: str,
    released: list[str],
) -> bool:
    if marker is None or marker["upstream"] != upstream:
        return False
    if marker["digest"] != stage_digest(config, stage.name):
        return False
    outputs = lasting_outputs(store, stage)
    if output_digest(outputs) != marker["output"]:
        return False  # a manifest is gone or damaged: its task is not known to be done
    return next(_changed_files(store, stage, outputs, released), None) is None


def _changed_files(
    store: Store, stage: Stage, outputs: Iterable[Written], released: list[str]
) -> Iterator[str]:
    """The lasting files of a stage that are gone, or not as long as the stage left them."""
    sizes = store.sizes(stage.folder)
    for output in outputs:
        kept = not any(re.fullmatch(pattern, output.path) for pattern in released)
        if kept and sizes.get(output.path) != output.bytes:
            yield output.path


def _why_not_done(store: Store, stage: Stage, marker: dict | None, released: list[str]) -> str:
    if marker is not None:
        for path in _changed_files(store, stage, lasting_outputs(store, stage), released):
            return (
                f"{store.url}/{path} is missing or cut off since stage {stage.name} wrote it; "
                "run that stage again"
            )
    return f"{store.url}: stage {stage.name} has not run yet; run it first"


def marker_path(stage: Stage) -> str:
    return f"manifests/{stage.name}.done.json"


def _marker(store: Store, stage: Stage) -> dict[str, Any] | None:
    """What a finished stage left; None before it is finished. Raises DamagedFile."""
    try:
        marker = checked_json.read(store, marker_path(stage))
    except FileNotFoundError:
        return None
    lacking = sorted(MARKER_KEYS - marker.keys())
    if lacking:
        raise DamagedFile(store.url, marker_path(stage), f"it lacks {', '.join(lacking)}")
    return marker


def _remove_damaged_markers(engine: Engine, store: Store, config: RunConfig) -> None:
    """Where a stage's marker is damaged, its tasks are looked at one by one and it is written anew.

    Only under the configuration that the run was made with: under another, finished work would be
    made again over what is there.
    """
    for stage in STAGES:
        try:
            _marker(store, stage)
        except DamagedFile as damage:
            digest = stage_digest(stored_config(store), stage.name)
            if digest != stage_digest(config, stage.name):
                raise RunError(
                    f"{damage.url}/{damage.path} is damaged ({damage.what}), and the configuration "
                    f"of stage {stage.name} is another than in config.yaml; use another --output"
                ) from None
            engine.progress.say(
                f"decant: {damage.path} is damaged ({damage.what}); what stage {stage.name} left "
                "is checked task by task"
            )
            store.remove(damage.path)
