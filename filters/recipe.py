"""A recipe: an ordered list of edits and rules with their bounds, and the verdict it gives.

In YAML each step is a mapping of one key: a rule's name with its bounds and, where they differ from
the catalogue's, its options; or `edit` with the name of an edit and its options:

    - gopher_top_2_gram_char_fraction: {at_most: 0.20}
    - edit: {c4_lines: {min_words_per_line: 3}}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from decant.filters import c4, fineweb, gopher_quality, gopher_repetition, refinedweb
from decant.filters.doc import Doc
from decant.filters.rule import BOUND_KEYS, Bounds, Edit, Rule, Verdict

RULES: tuple[Rule, ...] = (
    *gopher_repetition.RULES,
    *gopher_quality.RULES,
    *c4.RULES,
    *fineweb.RULES,
    *refinedweb.RULES,
)
EDITS: tuple[Edit, ...] = (*c4.EDITS, *refinedweb.EDITS)


class RecipeError(ValueError):
    """A recipe is wrong; `path` leads to the step or key, from the list of steps."""

    def __init__(self, path: tuple[int | str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Step:
    """A rule or an edit at its place, its options bound."""

    rule: Rule | None
    edit: Edit | None
    call: Callable[[Doc], Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in order; `judge` applies them to a text."""

    steps: tuple[Step, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in order, with the bounds and options of this recipe."""
        return tuple(step.rule for step in self.steps if step.rule is not None)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in order, with the options of this recipe."""
        return tuple(step.edit for step in self.steps if step.edit is not None)

    def judge(self, text: str, all_measures: bool = False) -> Verdict:
        """What the recipe says of `text`: stops at the first failing rule, or measures them all.

        The verdict is the same either way; `all_measures` adds the values and carries the text
        through every edit even when a rule failed before it.
        """
        doc = Doc(text)
        values: list[float] = []
        failed: list[tuple[Rule, float, Doc]] = []
        for step in self.steps:
            rule = step.rule
            if rule is None:
                if failed and not all_measures:
                    break
                doc = step.call(doc)
                continue
            if failed and not all_measures and not _shares_place(failed[-1][0], rule):
                break
            value = step.call(doc)
            values.append(value)
            if not rule.keep.keeps(value):
                failed.append((rule, value, doc))
        return _verdict(doc, failed, tuple(values) if all_measures else None)


def _shares_place(one: Rule, other: Rule) -> bool:
    return one.met_at is not None and other.met_at is not None


def _verdict(
    doc: Doc, failed: list[tuple[Rule, float, Doc]], values: tuple[float, ...] | None
) -> Verdict:
    if not failed:
        return Verdict(doc, values=values)
    rule, value, _ = _first(failed)
    return Verdict(
        doc,
        dropped_by=rule.name,
        value=value,
        bound=rule.keep.crossed(value),
        values=values,
        failed=tuple(rule.name for rule, _, _ in failed),
    )


def _first(failed: list[tuple[Rule, float, Doc]]) -> tuple[Rule, float, Doc]:
    """The failure that names the verdict: the first, but for rules that share a place."""
    first = failed[0]
    if first[0].met_at is None:
        return first
    tied = [first]
    for failure in failed[1:]:
        if failure[0].met_at is None:
            break
        tied.append(failure)
    return min(tied, key=lambda failure: failure[0].met_at(failure[2]))  # type: ignore[misc]


def build(steps: Sequence[Any]) -> Recipe:
    """The recipe of a YAML list; raises RecipeError where it is none."""
    built: list[Step] = []
    names: dict[str, int] = {}
    edits: set[str] = set()
    for index, entry in enumerate(steps):
        key, value = _single_key(entry, (index,))
        if key == "edit":
            step = _edit_step(value, (index, "edit"))
            assert step.edit is not None
            name = step.edit.name
            edits.add(name)
        else:
            step = _rule_step(key, value, (index, key))
            assert step.rule is not None
            name = step.rule.name
            if step.rule.needs and step.rule.needs not in edits:
                raise RecipeError(
                    (index, key),
                    f"{key} reads what the edit {step.rule.needs} found; put it before",
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


def _edit_step(value: Any, path: tuple[int | str, ...]) -> Step:
    name, given = _single_key(value, path)
    known = {edit.name: edit for edit in EDITS}
    if name not in known:
        raise RecipeError(
            (*path, name), f"no edit is called {name!r}; edits: {', '.join(sorted(known))}"
        )
    edit = known[name]
    options = _options(edit.options, given or {}, (*path, name))
    edit = replace(edit, options=options)
    return Step(None, edit, partial(edit.apply, **options))


def _rule_step(name: str, value: Any, path: tuple[int | str, ...]) -> Step:
    known = {rule.name: rule for rule in RULES}
    if name not in known:
        raise RecipeError(path, f"no rule is called {name!r}; rules: {', '.join(sorted(known))}")
    rule = known[name]
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        raise RecipeError(
            path, f"{name} takes bounds and options, such as {{at_most: 0.2}}; found {value!r}"
        )
    bounds = {key: given[key] for key in given if key in BOUND_KEYS}
    others = {key: given[key] for key in given if key not in BOUND_KEYS}
    options = _options(rule.options, others, path)
    keep = _bounds(bounds, path) if bounds else rule.keep
    rule = replace(rule, keep=keep, options=options)
    return Step(rule, None, partial(rule.measure, **options))


def _options(known: Mapping[str, Any], given: Any, path: tuple[int | str, ...]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise RecipeError(path, f"options are a mapping; found {given!r}")
    for key, value in given.items():
        if key not in known:
            valid = ", ".join([*known, *BOUND_KEYS])
            raise RecipeError((*path, key), f"no option is called {key!r}; valid here: {valid}")
        if type(value) is not type(known[key]) and not isinstance(known[key], tuple):
            raise RecipeError((*path, key), f"{key} is like {known[key]!r}; found {value!r}")
    return {key: _frozen(given.get(key, default)) for key, default in known.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _bounds(given: Mapping[str, Any], path: tuple[int | str, ...]) -> Bounds:
    bounds = Bounds()
    for key, value in given.items():
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


def catalogue() -> list[dict[str, Any]]:
    """Every rule as `decant rules --json` prints it."""
    return [
        {
            "name": rule.name,
            "unit": rule.unit,
            "keep": rule.keep.as_mapping(),
            "source": rule.source,
            "reference": rule.reference,
        }
        for rule in RULES
    ]
