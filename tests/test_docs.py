"""The documents say what the program says."""

import re
from pathlib import Path

import pytest
import typer

from decant.ablations.program import app
from decant.filters.catalogue import RULES
from decant.pipeline import config, rules
from decant.pipeline.rundir.records import PUBLISHED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def table_rows(text: str, first: str) -> list[list[str]]:
    """The cells of a markdown table whose header's first cell is `first`."""
    lines = text[text.index(f"| {first} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def test_readme_has_a_line_for_every_command_and_for_no_other():
    named = [row[0].strip("`").split()[1] for row in table_rows(README, "command")]
    assert sorted(named) == sorted(COMMANDS)


def test_readme_is_short():
    assert len(README.splitlines()) < 200


def test_readme_has_no_placeholder_left():
    assert re.findall(r"^[A-Z]+_[A-Z_]+$", README, re.MULTILINE) == []


def test_readme_names_the_published_columns():
    named = [row[0].strip("`") for row in table_rows(README, "column")]
    assert named == PUBLISHED.names


def test_every_file_that_readme_links_to_exists():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


READMES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "build"} & set(path.relative_to(ROOT).parts)
)


# What runs and studies leave, and what a user brings.
NOT_OURS = {"config.yaml", "STUDY/verdict.md", "verdict.md", "my_rules.py", "mine.yaml"}


def named_files(text: str) -> list[str]:
    """The names of sources, recipes and documents that stand in backticks."""
    names = re.findall(r"`([\w./-]+\.(?:py|yaml|md|toml))`", text)
    return [name for name in names if name not in NOT_OURS]


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_document_names_in_backticks_exists(path):
    folder = path.parent
    missing = [
        name
        for name in named_files(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists() and not any(folder.rglob(name))
    ]
    assert missing == []


def test_options_named_in_readme_exist():
    options = {opt for command in COMMANDS.values() for one in command.params for opt in one.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named <= options


def test_rule_table_of_the_filters_has_the_rules_over_text_as_decant_prints_them():
    text = (ROOT / "filters" / "README.md").read_text(encoding="utf-8")
    named = [row[0].strip("`") for row in table_rows(text, "rule")]
    printed = [row["name"] for row in rules.rule_rows()]
    assert [name for name in printed if name in set(named)] == named
    assert {rule.name for rule in RULES} == set(named)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_is_valid_and_says_where_it_is_from(path):
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert config.load(path).filter.rules
    documents = README + (ROOT / "Makefile").read_text(encoding="utf-8")
    assert path.name in documents or f"decant run {path.stem} " in documents
