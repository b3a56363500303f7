"""Every rule on both sides of its bound: the cases are data, in tests/cases/rules.yaml."""

from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from decant.filters.catalogue import EDITS, RULES
from decant.filters.recipe import Recipe
from decant.filters.steps import build

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "rules.yaml").read_text())


def recipe_of(name: str) -> Recipe:
    """A recipe of this rule alone, behind the edit it needs."""
    (rule,) = [rule for rule in RULES if rule.name == name]
    return build([*([{"edit": rule.needs}] if rule.needs else []), name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}: {case['why']}")
def test_the_rule_measures_and_decides(case: dict) -> None:
    text = "".join(part * times for part, times in case["parts"])
    verdict = recipe_of(case["rule"]).judge(text, all_measures=True)
    assert verdict.values == (float(Fraction(case["value"])),)
    assert verdict.kept is case["keep"]
    assert verdict.dropped_by == (None if case["keep"] else case["rule"])


def test_every_rule_has_cases_on_both_sides() -> None:
    sides = {(case["rule"], case["keep"]) for case in CASES}
    assert sides == {(rule.name, side) for rule in RULES for side in (True, False)}


@pytest.mark.parametrize("step", [*RULES, *EDITS], ids=lambda step: step.name)
def test_every_rule_and_edit_has_a_source(step) -> None:
    assert len(step.source) > 10
    assert not step.name.startswith(("min_", "max_", "too_"))
