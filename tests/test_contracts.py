"""What every rule, stage and command owes its users."""

import importlib
import re
from inspect import getdoc, getmodule
from pathlib import Path

import numpy as np
import pytest
import typer

from decant.ablations.program import app
from decant.filters.catalogue import EDITS, RULES
from decant.filters.recipe import Recipe
from decant.pipeline import config
from decant.pipeline.dedup import rules
from decant.pipeline.dedup.rules import NEAR_RULE
from decant.pipeline.rules import rule_rows
from decant.pipeline.run import STAGES
from decant.pipeline.stage_keys import STAGE_KEYS
from tests import tree
from tests.story.test_story import KEPT, SKIPPED, STORY

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
ROWS = rule_rows()
NAMES = [row["name"] for row in ROWS]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
STAGE_COMMANDS = {
    "extract": "extract",
    "filter": "filter",
    "deduplicate": "dedup",
    "shard": "shard",
}
AWKWARD = {
    "empty": "",
    "newline": "\n",
    "emoji": "\U0001f600",
    "surrogate": "\ud800 and \udfff",
    "nul": "\0" * 1_000,
    "letters": "a" * 1_000_000,
    "brackets": "(" * 100_000,
    "lines": "a\n" * 100_000,
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u200f\u202eabc " * 1_000,
    "combining": "e\u0301\u0308" * 10_000,
}


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_rule_says_what_it_measures_what_it_keeps_and_who_said_so(row):
    assert set(row) == {"name", "unit", "keep", "source", "reference"}
    for column in ("name", "unit", "keep", "source"):
        assert row[column]
    assert row["reference"] is None or re.fullmatch(r"[a-z0-9_{}]+", row["reference"])


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_named_for_its_quantity(name):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert not re.search(r"(^|_)(max|min|too|bad)(_|$)", name)


def test_no_two_rules_share_a_name():
    assert len(set(NAMES)) == len(NAMES)


def test_every_way_a_document_can_end_is_a_rule_that_decant_prints():
    fates = {line.fate for line in STORY} - {KEPT, SKIPPED, "error"}
    assert fates | {NEAR_RULE, *rules.EXACT_RULES} <= set(NAMES)


def shipped_recipe(path: Path) -> Recipe:
    return config.load(path).recipe()


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_rule_of_a_recipe_has_a_value_for_any_text_and_the_same_one_twice(path, text):
    shipped = shipped_recipe(path)
    first, second = (shipped.judge(text, all_measures=True) for _ in range(2))
    assert first.values is not None and second.values is not None
    assert len(first.values) == len(shipped.rules)
    assert np.array_equal(first.values, second.values, equal_nan=True)
    assert first.doc.text == second.doc.text


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_verdict_is_the_same_when_the_other_rules_are_not_measured(path, text):
    shipped = shipped_recipe(path)
    every, early = shipped.judge(text, all_measures=True), shipped.judge(text)
    same = ("dropped_by", "bound", "detail")
    assert [getattr(every, name) for name in same] == [getattr(early, name) for name in same]
    if early.dropped_by is None:
        assert every.doc.text == early.doc.text


def test_every_rule_and_every_edit_stands_in_a_shipped_recipe():
    recipes = [shipped_recipe(path) for path in CONFIGS]
    assert {rule.name for one in recipes for rule in one.rules} == {rule.name for rule in RULES}
    assert {edit.name for one in recipes for edit in one.edits} == {edit.name for edit in EDITS}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_has_a_folder_a_command_its_config_keys_and_an_explanation(stage):
    assert re.fullmatch(r"[1-4]-[a-z]+", stage.folder)
    assert STAGE_COMMANDS[stage.name] in COMMANDS
    assert STAGE_KEYS[stage.name]
    module = getmodule(stage.function)
    assert module is not None
    assert getdoc(module)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_in_a_sentence_and_an_example(name):
    text = COMMANDS[name].help or ""
    sentence, _, rest = text.partition("\n")
    assert len(sentence) > 10
    assert f"Example: decant {name} " in rest or f"Example: decant {name}\n" in rest + "\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_of_a_command_has_a_help_text(name):
    for parameter in COMMANDS[name].params:
        if "--help" not in parameter.opts and not getattr(parameter, "hidden", False):
            assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("name", tree.modules())
def test_every_module_and_public_function_says_what_it_is(name):
    loaded = importlib.import_module(name)
    assert getdoc(loaded)
