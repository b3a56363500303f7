"""The shipped recipes: all of them load, and fineweb.yaml says the catalogue's bounds."""

from pathlib import Path

import pytest

from decant.filters.catalogue import EDITS, RULES
from decant.pipeline import config

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = ("fineweb", "fineweb-2024", "gopher", "c4", "refinedweb", "massivetext")


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_loads_and_shows_every_bound(name: str) -> None:
    loaded = config.load(CONFIGS / f"{name}.yaml")
    assert loaded.recipe().rules
    assert all(isinstance(step, dict) for step in loaded.filter.rules)  # none without its bounds
    assert loaded.filter.all_measures is False
    assert loaded.tokens.when_missing == "error"


def test_fineweb_says_the_bounds_and_options_of_the_catalogue() -> None:
    known = {rule.name: rule for rule in RULES}
    recipe = config.load(CONFIGS / "fineweb.yaml").recipe()
    for rule in recipe.rules:
        assert (rule.keep, rule.options) == (known[rule.name].keep, known[rule.name].options)
    assert [edit.options for edit in recipe.edits] == [EDITS[0].options]
    expected = [rule.name for rule in RULES if not rule.name.startswith("refinedweb")]
    assert [rule.name for rule in recipe.rules] == expected


@pytest.mark.parametrize(("name", "value"), [("fineweb", 1 / 5), ("fineweb-2024", 5 / 5)])
def test_quotation_marks_end_a_line_in_the_release_time_recipe_only(name, value) -> None:
    passage = 'He said that the house had been sold to the people of the town, and left."\n'
    text = "".join(f"{word} {passage}" for word in ("Once", "Twice", "Then", "So"))
    text += "They have to be told about it, with all that it means. It is late! Is it? No. Yes."
    recipe = config.load(CONFIGS / f"{name}.yaml").recipe()
    verdict = recipe.judge(text, all_measures=True)
    names = [rule.name for rule in recipe.rules]
    assert verdict.values is not None
    assert verdict.values[names.index("fineweb_line_punctuation_fraction")] == value
