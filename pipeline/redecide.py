"""Other bounds without another read of the web: a run's verdicts from the measures of another run.

`decant filter CONFIG --from RUN --output RUN2` makes RUN2 what a full run of CONFIG would have made
of the same texts, byte for byte: the extracted texts are linked, verdicts follow from stored
values, edited texts and signatures are taken over. It needs RUN's measures (`filter.all_measures`)
and refuses where CONFIG asks for something they do not answer: another edit, another measure.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from typing import Any

from decant.filters.recipe import Recipe
from decant.filters.rule import Rule
from decant.pipeline import filter as filtering
from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.run import RunResult, run_stages, stored_config
from decant.pipeline.rundir import paths
from decant.pipeline.stage_keys import stage_keys
from decant.pipeline.verdicts.redecided import redecide_partition

EXTRACT_MARKER = "manifests/extract.done.json"


def redecide(source: Store, store: Store, config: RunConfig, progress: Progress) -> RunResult:
    """The filter stage of `store` under `config`, decided from the measures in `source`."""
    old = stored_config(source)
    refuse_unanswerable(old, config)
    link_extracted(source, store)
    with Engine(store, config, 0, progress=progress) as engine:
        engine.upstream = checked_json.read(store, EXTRACT_MARKER)["output"]
        step = partial(redecide_partition, source.url, [rule.name for rule in old.recipe().rules])
        filtering.judge_partitions(engine, store, config, step)
        return run_stages(engine, store, config, ("filter",))


def refuse_unanswerable(old: RunConfig, new: RunConfig) -> None:
    """Raise ConfigError where the measures of `old` do not decide `new`."""
    if not old.filter.all_measures:
        raise ConfigError("--from needs a run with filter.all_measures: true; this one has none")
    for stage in ("extract", "filter"):
        then, now = stage_keys(old, stage), stage_keys(new, stage)
        for key in sorted(then.keys() | now.keys()):
            if not key.startswith("filter.") and then.get(key) != now.get(key):
                raise ConfigError(
                    f"--from: {key} was {then.get(key)!r} in that run and is {now.get(key)!r} now; "
                    "texts or signatures would differ, so a full run is needed"
                )
    before, after = old.recipe(), new.recipe()
    if [_identity(edit) for edit in before.edits] != [_identity(edit) for edit in after.edits]:
        raise ConfigError("--from: the recipe's edits differ; the texts would too, run it in full")
    measured = {_identity(rule): edits for rule, edits in _positions(before)}
    for rule, edits in _positions(after):
        if measured.get(_identity(rule)) != edits:
            raise ConfigError(
                f"--from: {rule.name} was not measured so in that run (other options, another "
                "place, or not at all); run it in full"
            )


def _identity(step: Any) -> str:
    return json.dumps([step.name, {key: step.options[key] for key in sorted(step.options)}])


def _positions(recipe: Recipe) -> list[tuple[Rule, int]]:
    """Each rule with the number of edits before it."""
    found, edits = [], 0
    for step in recipe.steps:
        if step.rule is None:
            edits += 1
        else:
            found.append((step.rule, edits))
    return found


def link_extracted(source: Store, store: Store) -> None:
    """Give `store` the finished extract stage of `source`: its input list, texts and manifests."""
    if not source.exists(EXTRACT_MARKER):
        raise ConfigError(f"{source.url}: its extract stage is not finished")
    names = ["inputs.parquet", EXTRACT_MARKER, *source.list(paths.EXTRACTED)]
    names += [name for name in source.list("manifests") if name.startswith("manifests/extract/")]
    for name in names:
        if not store.exists(name):
            _link(source, store, name)


def _link(source: Store, store: Store, name: str) -> None:
    if source.is_local and store.is_local:
        target = store.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.link(source.path(name), target)
            return
        except OSError:
            pass  # another file system: copied below
    with store.local_draft(name) as draft, source.open(name) as old, open(draft, "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
