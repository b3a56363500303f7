"""`extends: fineweb`: a configuration that says only what differs from another one.

Sections are merged key by key. In `filter.rules` a step of the base changes where it is named
again, `leave_out` takes steps away, and a new step goes to the end or to where `after` or `before`
says:

    extends: fineweb
    filter:
      rules:
        - gopher_stop_words: {at_least: 3}
        - leave_out: [fineweb_newlines_per_word]
        - my_rule: {at_most: 0.1, after: c4_sentences}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from decant.filters.rule import BOUND_KEYS
from decant.filters.steps import did_you_mean
from decant.pipeline.engine.strict_yaml import (
    ConfigError,
    Lines,
    Section,
    apply_override,
    parse_override,
    parse_yaml,
)
from decant.pipeline.recipes.shipped import Source, located

STEPS = ("filter", "rules")
LEAVE_OUT, PLACES = "leave_out", ("after", "before")


class Base(Section):
    """A recipe that a configuration was made from, and the digest of what it said then."""

    name: str
    digest: str


def resolved(source: Source, package: str) -> tuple[dict[str, Any], Lines, list[Base]]:
    """The data of a configuration with all that it extends, the place of each key, and the bases.

    Bases are named with the digest of what they came to: first what `source` itself is where it is
    shipped, then what it extends, the nearest first.
    """
    return _resolved(source, package, ())


def _resolved(
    source: Source, package: str, inside: tuple[str, ...]
) -> tuple[dict[str, Any], Lines, list[Base]]:
    data, lines = parse_yaml(source.text, source.name)
    lines = lines.named(source.name)
    bases: list[Base] = []
    if (name := data.pop("extends", None)) is not None:
        where = lines.where(source.name, ("extends",))
        if not isinstance(name, str):
            raise ConfigError(f"{where}: extends takes the name of a recipe or a file's path")
        if name in (source.name, *inside):
            raise ConfigError(f"{where}: {name} extends itself")
        base = _base_source(name, source, package, where)
        base_data, base_lines, bases = _resolved(base, package, (*inside, source.name, name))
        if not base.is_shipped:
            bases = [Base(name=name, digest=digest_of(base_data)), *bases]
        data, lines = merged((base_data, base_lines), (data, lines))
    if source.is_shipped:
        name = source.name.removeprefix("recipe ")
        bases = [Base(name=name, digest=digest_of(data)), *bases]
    return data, lines, bases


def _base_source(name: str, source: Source, package: str, where: str) -> Source:
    if source.folder is not None and (source.folder / name).is_file():
        return located(source.folder / name, package)
    try:
        return located(name, package)
    except ConfigError as error:
        raise ConfigError(f"{where}: extends: {error}") from None


def read(
    source: Source, overrides: Sequence[str], package: str
) -> tuple[dict[str, Any], Lines, list[Base]]:
    """`resolved`, with `--set key=value` laid over it: what a command works with."""
    data, lines, bases = resolved(source, package)
    for override in overrides:
        key, value = parse_override(override)
        if not set_rule(data, lines, key, value):
            apply_override(data, lines, key, value)
    return data, lines, bases


def digest_of(data: Mapping[str, Any]) -> str:
    """sha256 (hex) of what a configuration says, whatever its comments and layout."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


Placed = tuple[dict[str, Any], Lines]


def merged(base: Placed, changes: Placed) -> Placed:
    """The base with the changes laid over it, and the place that each key comes from."""
    lines = Lines()
    data = _merged(base, changes, (), lines)
    return data, lines


def _merged(base: Placed, changes: Placed, path: tuple, lines: Lines) -> dict[str, Any]:
    (old, old_lines), (new, new_lines) = base, changes
    data: dict[str, Any] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        at = (*path, key)
        one, other = old.get(key), new.get(key)
        if at == STEPS and key in old and key in new:
            data[key] = _merged_steps((one, old_lines), (other, new_lines), lines)
        elif isinstance(one, dict) and isinstance(other, dict):
            lines.graft(at, new_lines, at, deep=False)
            data[key] = _merged((one, old_lines), (other, new_lines), at, lines)
        else:
            data[key] = other if key in new else one
            lines.graft(at, new_lines if key in new else old_lines, at)
    return data


def _merged_steps(base: tuple[Any, Lines], changes: tuple[Any, Lines], lines: Lines) -> list[Any]:
    """The steps of the base with those of `changes` put in, changed or left out."""
    steps, new_lines = changes
    if not isinstance(steps, list):
        where = new_lines.where("", STEPS)
        raise ConfigError(f"{where}: filter.rules is a list of steps; found {steps!r}")
    # (step, its lines, the path of the step in them), so that a mistake is named where it was made.
    line_up = [(step, base[1], (*STEPS, k)) for k, step in enumerate(base[0] or ())]
    for k, step in enumerate(steps):
        path = (*STEPS, k)
        where = new_lines.where("", path)
        if isinstance(step, dict) and list(step) == [LEAVE_OUT]:
            listed = step[LEAVE_OUT]
            for name in listed if isinstance(listed, list) else [listed]:
                del line_up[position(name, [one for one, _, _ in line_up], where)]
            continue
        name, options = named(step)
        known = [one for one, _, _ in line_up]
        step, place = _placed(step, known, where)
        if place is None and name in map(step_name, known):
            at = position(name, known, where)
            line_up[at] = (changed(known[at], options), new_lines, path)
        else:
            line_up.insert(len(known) if place is None else place, (step, new_lines, path))
    for k, (_, origin, path) in enumerate(line_up):
        lines.graft((*STEPS, k), origin, path)
    return [step for step, _, _ in line_up]


def named(step: Any) -> tuple[str, Any]:
    """The name of a step's rule or edit, and its bounds and options; ("", None) for neither."""
    if isinstance(step, dict) and len(step) == 1:
        ((key, value),) = step.items()
        if key == "column" and isinstance(value, dict) and isinstance(value.get("name"), str):
            options = {option: one for option, one in value.items() if option != "name"}
            return value["name"].rsplit(".", 1)[-1], options
        return named(value) if key == "edit" else (str(key), value)
    return (step, None) if isinstance(step, str) else ("", None)


def step_name(step: Any) -> str:
    """The name of a step's rule or edit."""
    return named(step)[0]


def position(name: Any, steps: Sequence[Any], where: str) -> int:
    """The place of the step of this name; a ConfigError where there is none."""
    known = [step_name(step) for step in steps]
    if name not in known:
        near = did_you_mean(str(name), known)
        raise ConfigError(f"{where}: the recipe has no step {name!r}{near}")
    return known.index(name)


def changed(step: Any, options: Any) -> Any:
    """A step under other options: bounds replace its bounds, an option its own value only."""
    name, before = named(step)
    before = before if isinstance(before, dict) else {}
    if isinstance(options, dict):
        kept = {
            key: value
            for key, value in before.items()
            if not (key in BOUND_KEYS and any(one in BOUND_KEYS for one in options))
        }
        options = {**kept, **options}
    else:
        options = before if options is None else options
    return with_options(step, name, options)


def with_options(step: Any, name: str, options: Any) -> dict[str, Any]:
    """The step of this name with other options."""
    kind = next(iter(step)) if isinstance(step, dict) else name
    if kind == "column":
        return {"column": {"name": step["column"]["name"], **(options or {})}}
    return {"edit": {name: options}} if kind == "edit" else {name: options}


def _placed(step: Any, known: Sequence[Any], where: str) -> tuple[Any, int | None]:
    """The step without `after` or `before`, and the place that they give."""
    name, options = named(step)
    words = [word for word in PLACES if isinstance(options, dict) and word in options]
    if not words:
        return step, None
    if len(words) > 1:
        raise ConfigError(f"{where}: {name} is placed after or before a step, not both")
    if name in map(step_name, known):
        raise ConfigError(
            f"{where}: the recipe has {name} already; leave it out first to place it anew"
        )
    place = position(options[words[0]], known, where) + (words[0] == "after")
    options = {key: value for key, value in options.items() if key not in PLACES}
    return with_options(step, name, options), place


def set_rule(data: dict[str, Any], lines: Lines, key: str, value: Any) -> bool:
    """Whether `key` is `filter.rules.NAME.OPTION`, which is then set; NAME not there is added."""
    parts = key.split(".")
    if tuple(parts[:2]) != STEPS or len(parts) != 4:
        return False
    flag = f"--set {key}"
    section = data.get("filter") or {}
    steps = list(section.get("rules") or ())
    name, option = parts[2:]
    change = {name: {option: value}}
    if name in map(step_name, steps) and option not in PLACES:
        at = position(name, steps, flag)
        steps[at] = changed(steps[at], change[name])
        lines[(*STEPS, at)] = flag
        lines[(*STEPS, at, name)] = flag
        lines[(*STEPS, at, name, option)] = flag
    else:
        step, place = _placed(change, steps, flag)
        steps.insert(len(steps) if place is None else place, step)
        lines[STEPS] = flag
    data["filter"] = {**section, "rules": steps}
    return True
