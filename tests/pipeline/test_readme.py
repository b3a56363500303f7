"""The examples of pipeline/README.md are run as they stand there."""

import re
from pathlib import Path

import decant
from decant.pipeline.config import load
from decant.pipeline.sample.crawl import generate

README = (Path(__file__).parents[2] / "pipeline" / "README.md").read_text(encoding="utf-8")


def example(heading: str, language: str) -> str:
    """The first block of code under a heading."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[0]


def test_the_recipe_that_says_only_what_differs(tmp_path):
    (tmp_path / "mine.yaml").write_text(example("A recipe of your own", "yaml"))
    config = load(tmp_path / "mine.yaml")
    names = [rule.name for rule in config.recipe().rules]
    assert "fineweb_newlines_per_word" not in names
    assert names[-1] == "refinedweb_flagged_word_fraction"
    assert [edit.name for edit in config.recipe().edits] == ["c4_lines", "refinedweb_lines"]
    assert (config.language.threshold, config.dedup) == (0.8, load("fineweb").dedup)


def test_the_file_of_rules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_rules.py").write_text(example("Rules of your own", "python"))
    (tmp_path / "words.py").write_text("def share(text):\n    return 0.5\n")
    (tmp_path / "quality.bin").write_bytes(b"a model")
    config = load("gopher", rules_from=["my_rules.py"])
    rules = config.measuring_recipe().rules
    assert [rule.name for rule in rules[-3:]] == ["listed_share", "quality", "url_chars"]
    (batch,) = config.measuring_recipe().batches
    assert (batch.gpus, batch.memory_mb, batch.size) == (0, 1500, 256)


def test_the_python_interface(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "crawl", pages=40, seed=2, files=1)
    names: dict = {}
    exec(example("From Python", "python"), names)
    assert isinstance(names["run"], decant.Run)
    assert names["run"].funnel()["extract"]["in"] == 40
