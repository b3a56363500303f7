"""Rules of one's own in a configuration: which files it names, and their place in the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from decant.filters.catalogue import CATALOGUE
from decant.filters.rule import Rule
from decant.pipeline.engine.strict_yaml import ConfigError, Lines
from decant.pipeline.recipes.execution import summarised
from decant.pipeline.recipes.extends import step_name
from decant.pipeline.recipes.rule_files import RuleFile, read_rule_file
from decant.pipeline.recipes.shipped import Source


def add_rule_files(
    data: dict[str, Any], source: Source, rules_from: Sequence[str], lines: Lines
) -> bool:
    """Whether `data` got files of rules that may be run: those that its user names.

    The configuration of a run directory brings its files as data; their code stays where it is
    unless `rules_from` names files anew.
    """
    configured = [] if source.is_of_a_run else data.get("rules_from") or []
    if not isinstance(configured, list) or not all(isinstance(one, str) for one in configured):
        where = lines.where(source.name, ("rules_from",))
        raise ConfigError(f"{where}: rules_from takes a list of files or modules")
    folder = source.folder or Path.cwd()
    files = [read_rule_file(name, folder) for name in configured]
    more = [read_rule_file(name, Path.cwd()) for name in rules_from]
    digests = {file.digest for file in files}
    more = [file for file in more if file.digest not in digests]
    if not files and not more:
        return False
    rules = _add_summaries(data, files, more)
    _place_at_end(data, rules)
    data["rules_from"] = [*configured, *rules_from]
    return True


def _add_summaries(
    data: dict[str, Any], files: Sequence[RuleFile], more: Sequence[RuleFile]
) -> list[Rule]:
    """Put the described files into `data`; the rules of `more`."""
    catalogue, described, rules = CATALOGUE, [], []
    for file in (*files, *more):
        known = catalogue.rules
        file, catalogue = summarised(file, catalogue)
        described.append(file.model_dump(mode="json"))
        if len(described) > len(files):
            rules += [rule for name, rule in catalogue.rules.items() if name not in known]
    data["rule_files"] = described
    return rules


def _place_at_end(data: dict[str, Any], rules: Sequence[Rule]) -> None:
    section = data.get("filter") or {}
    steps = list(section.get("rules") or ())
    named = set(map(step_name, steps))
    steps += [{rule.name: rule.keep.as_mapping()} for rule in rules if rule.name not in named]
    data["filter"] = {**section, "rules": steps}
