"""Recipes by name, beside configurations by path."""

from pathlib import Path

import pytest
import yaml

from decant.ablations.config import load as load_study
from decant.pipeline.config import load, origin_lines
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.recipes.shipped import STUDIES, names, shipped

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.mark.parametrize("name", names())
def test_a_recipe_by_name_is_the_recipe_of_its_file(name):
    by_name, by_path = load(name), load(CONFIGS / f"{name}.yaml")
    assert by_name.model_copy(update={"based_on": ()}) == by_path.model_copy(
        update={"based_on": ()}
    )
    assert by_name.based_on[0].name == name


def test_every_file_of_the_folder_has_a_name():
    assert names() == sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    assert names(STUDIES) == sorted(path.stem for path in CONFIGS.glob("ablations/*.yaml"))


def test_a_printed_recipe_is_the_file():
    assert shipped("fineweb").text == (CONFIGS / "fineweb.yaml").read_text(encoding="utf-8")


def test_a_study_goes_by_its_name_too():
    assert load_study("quickstart") == load_study(CONFIGS / "ablations" / "quickstart.yaml")


def test_a_file_of_that_path_wins_over_a_name_and_the_run_says_which(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert origin_lines("fineweb", load("fineweb")) == [
        "configuration: recipe fineweb of decant 0.1.0"
    ]
    (tmp_path / "fineweb").write_text("seed: 5\n")
    config = load("fineweb")
    assert config.seed == 5
    (line,) = origin_lines("fineweb", config)
    assert line == "configuration: the file fineweb; the recipe fineweb of decant is not used"


def test_a_folder_of_that_name_does_not_hide_a_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fineweb").mkdir()
    assert load("fineweb").based_on


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"did you mean 'fineweb'\?.*recipes: c4, fineweb"):
        load("finweb")


def test_a_mistake_in_a_flag_of_a_named_recipe_is_the_flags():
    with pytest.raises(ConfigError, match=r"^--set language\.threshold"):
        load("fineweb", ["language.threshold=2"])


def test_a_resolved_configuration_loads_as_itself(tmp_path):
    config = load("fineweb", ["seed=3"])
    (tmp_path / "resolved.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load(tmp_path / "resolved.yaml") == config
