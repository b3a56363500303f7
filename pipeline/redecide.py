"""Other rules without another read of the web: a run's verdicts from what another run measured.

`decant filter CONFIG --from RUN --output RUN2` makes RUN2 what a full run of CONFIG would have made
of the same texts, byte for byte. The extracted texts are linked. Where RUN has a rule's values
(`filter.all_measures`), verdicts follow from them, and edited texts and signatures are taken over;
a rule that RUN has not, or has with other options or at another place, is measured from the texts.
Where the edits or the signatures differ, every text is judged anew. Only another extraction, or
texts that RUN's `retain` has released, are refused.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import partial

from decant.filters.recipe import Recipe
from decant.filters.rule import Edit, Rule
from decant.pipeline import filter as filtering
from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.run import RunResult, run_stages, stored_config
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import signature_parameters
from decant.pipeline.stage_keys import stage_keys
from decant.pipeline.verdicts.redecided import TextReading, redecide_partition

EXTRACT_MARKER = "manifests/extract.done.json"
SHARD_MARKER = "manifests/shard.done.json"


def redecide(source: Store, store: Store, config: RunConfig, progress: Progress) -> RunResult:
    """The filter stage of `store` under `config`, as far as `source` has measured it."""
    old = stored_config(source)
    refuse_other_texts(source, old, config)
    reusable = reusable_rules(old, config)
    link_extracted(source, store)
    rules = [rule.name for rule in config.recipe().rules]
    missing = [name for name in rules if name not in (reusable or ())]
    documents = checked_json.read(source, EXTRACT_MARKER)["ledger"]["kept"]
    with Engine(store, config, 0, progress=progress) as engine:
        engine.upstream = checked_json.read(store, EXTRACT_MARKER)["output"]
        if reusable is None:
            _say(f"judges the texts of all {documents:,} documents")
            return run_stages(engine, store, config, ("filter",))
        if missing:
            _say(f"measures {', '.join(missing)}: reads up to {documents:,} texts")
        reading = TextReading(source.url, tuple(name for name in rules if name in reusable))
        filtering.judge_partitions(engine, store, config, partial(redecide_partition, reading))
        if missing:
            _say(f"has read {reading.texts.total():,} texts")
        return run_stages(engine, store, config, ("filter",))


def _say(line: str) -> None:
    print(f"decant: --from: {line}", file=sys.stderr)


def refuse_other_texts(source: Store, old: RunConfig, new: RunConfig) -> None:
    """Raise ConfigError where `new` extracts other texts, or `source` has released its own."""
    then, now = stage_keys(old, "extract"), stage_keys(new, "extract")
    for key in sorted(then.keys() | now.keys()):
        if then.get(key) != now.get(key):
            raise ConfigError(
                f"--from: {key} was {then.get(key)!r} in that run and is {now.get(key)!r} now; "
                "the extracted texts would differ, so a full run is needed"
            )
    if source.exists(SHARD_MARKER):
        for key in ("extracted", "dropped_text"):
            if not getattr(old.retain, key):
                raise ConfigError(
                    f"--from: {source.url} has released its texts (retain.{key}: false); run "
                    "CONFIG in full"
                )


def reusable_rules(old: RunConfig, new: RunConfig) -> set[str] | None:
    """The rules whose values `old` holds as `new` would measure them; None where nothing holds.

    Texts and signatures of `old` are those of `new` only under the same edits and MinHash.
    """
    before, after = old.recipe(), new.recipe()
    same_edits = [_identity(old, edit) for edit in before.edits] == [
        _identity(new, edit) for edit in after.edits
    ]
    if not old.filter.all_measures or not same_edits:
        return None
    if signature_parameters(old) != signature_parameters(new):
        return None
    measured = {_identity(old, rule): edits for rule, edits in _positions(before)}
    return {
        rule.name
        for rule, edits in _positions(after)
        if measured.get(_identity(new, rule)) == edits
    }


def _identity(config: RunConfig, step: Rule | Edit) -> str:
    """What a step computes: its name, its options, and the code where it is a user's own."""
    code = [
        file.digest
        for file in config.rule_files
        if step.name in {one.name for one in (*file.rules, *file.edits)}
    ]
    options = {key: step.options[key] for key in sorted(step.options)}
    if "column" in options:  # of the documents, or of the table that the configuration names
        code += [config.input.scores, config.input.scores_id]
    return json.dumps([step.name, options, code])


def _positions(recipe: Recipe) -> list[tuple[Rule, int]]:
    """Each rule with the number of edits before it."""
    rules, edits = [], 0
    for step in recipe.steps:
        if step.rule is None:
            edits += 1
        else:
            rules.append((step.rule, edits))
    return rules


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
