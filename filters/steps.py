"""A recipe from YAML: a list of steps, each a mapping of one key.

The key is a rule's name, with its bounds and, where they differ from the catalogue's, its options;
or `edit`, with the name of an edit and its options; or `column`, with the name of a column of the
documents, or of `input.scores`, that holds numbers:

    - gopher_top_2_gram_char_fraction: {at_most: 0.20}
    - edit: {c4_lines: {min_words_per_line: 3}}
    - column: {name: edu_score, at_least: 3, missing: keep}
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from decant.filters.catalogue import CATALOGUE, Catalogue
from decant.filters.doc import Doc
from decant.filters.recipe import Recipe, Step
from decant.filters.rule import BOUND_KEYS, BatchMeasure, Bounds, Rule


class RecipeError(ValueError):
    """A recipe is wrong; `path` leads to the step or key, from the list of steps."""

    def __init__(self, path: tuple[int | str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question about the nearest known name; nothing where none is near.

    >>> did_you_mean("treshold", ["model", "threshold"])
    " (did you mean 'threshold'?)"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def build(steps: Sequence[Any], catalogue: Catalogue = CATALOGUE) -> Recipe:
    """The recipe of a YAML list over a catalogue; raises RecipeError where it is none."""
    built: list[Step] = []
    names: dict[str, int] = {}
    edits: set[str] = set()
    for index, entry in enumerate(steps):
        key, value = _single_key(entry, (index,))
        if key == "edit":
            step = _edit_step(value, (index, "edit"), catalogue)
            assert step.edit is not None
            name = step.edit.name
            edits.add(name)
        elif key == "column":
            step = _column_step(value, (index, "column"), catalogue)
            assert step.rule is not None
            name = step.rule.name
        else:
            step = _rule_step(key, value, (index, key), catalogue)
            assert step.rule is not None
            name = step.rule.name
            if step.rule.needs and step.rule.needs not in edits:
                raise RecipeError(
                    (index, key),
                    f"{key} reads the notes of the edit {step.rule.needs}; put that before",
                )
        if name in names:
            raise RecipeError(
                (index, key), f"{name} stands twice (first as step {names[name] + 1})"
            )
        names[name] = index
        built.append(step)
    return Recipe(tuple(built))


def _single_key(entry: Any, path: tuple[int | str, ...]) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, None
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((key, value),) = entry.items()
        return str(key), value
    raise RecipeError(
        path,
        f"a step is one rule or `edit`, as `- gopher_stop_words: {{at_least: 2}}`; found {entry!r}",
    )


def _edit_step(value: Any, path: tuple[int | str, ...], catalogue: Catalogue) -> Step:
    name, options = _single_key(value, path)
    known = catalogue.edits
    if name not in known:
        raise RecipeError(
            (*path, name),
            f"no edit is called {name!r}{did_you_mean(name, known)}; "
            f"edits: {', '.join(sorted(known))}",
        )
    edit = known[name]
    options = _options(edit.options, options or {}, (*path, name))
    edit = replace(edit, options=options)
    return Step(None, edit, partial(edit.apply, **options))


def _rule_step(name: str, value: Any, path: tuple[int | str, ...], catalogue: Catalogue) -> Step:
    known = catalogue.rules
    if name not in known:
        raise RecipeError(
            path,
            f"no rule is called {name!r}{did_you_mean(name, known)}; "
            f"`decant rules` lists all {len(known)}",
        )
    rule = known[name]
    keys = {} if value is None else value
    if not isinstance(keys, Mapping):
        raise RecipeError(
            path, f"{name} takes bounds and options, such as {{at_most: 0.2}}; found {value!r}"
        )
    bounds = {key: keys[key] for key in keys if key in BOUND_KEYS}
    others = {key: keys[key] for key in keys if key not in BOUND_KEYS}
    options = _options(rule.options, others, path)
    keep = bounds_of(bounds, path) if bounds else rule.keep
    rule = replace(rule, keep=keep, options=options)
    if isinstance(rule.measure, BatchMeasure):
        return Step(rule, None, rule.measure)
    return Step(rule, None, partial(rule.measure, **options))


COLUMN_OPTIONS = {"missing": ("drop", "keep"), "duplicate": ("missing", "first")}
COLUMN_HINT = "{name: edu_score, at_least: 3}"


def _column_step(value: Any, path: tuple[int | str, ...], catalogue: Catalogue) -> Step:
    """A rule that compares a stored number: nothing of the text is measured."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise RecipeError(
            path, f"column takes a name and bounds, as {COLUMN_HINT}; found {value!r}"
        )
    column = value["name"]
    name = column.rsplit(".", 1)[-1]
    if name in catalogue.rules:
        raise RecipeError((*path, "name"), f"a rule is called {name!r}; rename the column")
    bounds = {key: value[key] for key in value if key in BOUND_KEYS}
    if not bounds:
        raise RecipeError(path, f"column {column!r} has no bounds; write {COLUMN_HINT}")
    options: dict[str, Any] = {"column": column}
    for key, choices in COLUMN_OPTIONS.items():
        options[key] = value.get(key, choices[0])
        if options[key] not in choices:
            raise RecipeError((*path, key), f"{key} is one of {', '.join(choices)}")
    unknown = [key for key in value if key not in (*BOUND_KEYS, *COLUMN_OPTIONS, "name")]
    if unknown:
        valid = ", ".join(("name", *COLUMN_OPTIONS, *BOUND_KEYS))
        raise RecipeError(
            (*path, unknown[0]), f"no option is called {unknown[0]!r}; valid: {valid}"
        )
    keep = replace(bounds_of(bounds, path), keeps_nan=options.pop("missing") == "keep")
    measure, source = partial(column_value, name), f"column {column} of the input"
    rule = Rule(name, measure, keep, "as stored", source, options=options, reads=(name,))
    return Step(rule, None, measure)


def column_value(name: str, doc: Doc) -> float:
    """The number in a document's column; NaN where there is none."""
    value = doc.record.get(name)
    return math.nan if value is None else float(value)


def _options(known: Mapping[str, Any], options: Any, path: tuple[int | str, ...]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise RecipeError(path, f"options are a mapping; found {options!r}")
    for key, value in options.items():
        if key not in known:
            valid = ", ".join([*known, *BOUND_KEYS])
            raise RecipeError(
                (*path, key),
                f"no option is called {key!r}{did_you_mean(key, [*known, *BOUND_KEYS])}; "
                f"valid here: {valid}",
            )
        if type(value) is not type(known[key]) and not isinstance(known[key], tuple):
            raise RecipeError((*path, key), f"{key} is like {known[key]!r}; found {value!r}")
    return {key: _frozen(options.get(key, default)) for key, default in known.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def bounds_of(ends_by_key: Mapping[str, Any], path: tuple[int | str, ...]) -> Bounds:
    bounds = Bounds()
    for key, value in ends_by_key.items():
        ends = value if key == "between" else [value]
        if not isinstance(ends, list | tuple) or not all(_is_number(end) for end in ends):
            raise RecipeError((*path, key), f"{key} takes a number, between two; found {value!r}")
        if key == "between":
            if len(ends) != 2 or ends[0] > ends[1]:
                raise RecipeError((*path, key), f"between takes [low, high]; found {value!r}")
            bounds = replace(bounds, low=float(ends[0]), high=float(ends[1]))
        elif key in ("at_least", "above"):
            bounds = replace(bounds, low=float(value), low_open=key == "above")
        else:
            bounds = replace(bounds, high=float(value), high_open=key == "below")
    return bounds


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
