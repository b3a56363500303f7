"""`decant config` and the manners of the program."""

from importlib import metadata

import pytest
from typer.testing import CliRunner

from decant.pipeline.cli import app
from decant.pipeline.command import USAGE
from decant.pipeline.config import RunConfig
from decant.pipeline.keys import keys

BY_NAME = {key.name: key for key in keys()}


def test_every_key_has_a_meaning():
    assert [key.name for key in keys() if not key.meaning] == []


def test_the_keys_are_those_of_a_configuration():
    def leaves(data: dict, prefix: str = "") -> set[str]:
        return {
            name
            for key, value in data.items()
            for name in (
                leaves(value, f"{prefix}{key}.")
                if isinstance(value, dict) and value
                else {f"{prefix}{key}"}
            )
        }

    printed = {key.name for key in keys() if key.values != "section"}
    optional = {name for name in printed if name.startswith("dedup.lines.")}
    assert printed - optional == leaves(RunConfig().model_dump()) - {"dedup.lines"}


@pytest.mark.parametrize(
    ("name", "default", "values"),
    [
        ("seed", "1", "whole number"),
        ("language.threshold", "0.65", "number >= 0 <= 1"),
        ("dedup.mode", "cluster", "cluster | greedy"),
        ("input.limit", "null", "whole number >= 1 | null"),
        ("shard.target_bytes", "2000000000", "size, as 256MB"),
        ("language.keep", "[en]", "list | null"),
    ],
)
def test_a_key_shows_its_default_and_its_values(name, default, values):
    assert (BY_NAME[name].default, BY_NAME[name].values) == (default, values)


def test_a_part_of_the_keys_and_a_name_that_is_none():
    done = CliRunner().invoke(app, ["config", "shard"])
    assert done.stdout.count("\n") == 4
    wrong = CliRunner().invoke(app, ["config", "shrad"])
    assert wrong.exit_code == USAGE
    assert "did you mean" in wrong.output


def test_the_version_is_that_of_the_package():
    done = CliRunner().invoke(app, ["--version"])
    assert done.stdout == f"decant {metadata.version('decant')}\n"


@pytest.mark.parametrize("setting", ["dedup.against=[set]", "dedup.index=index"])
def test_keys_that_do_not_go_together_are_refused_before_any_work(tmp_path, setting):
    (tmp_path / "page.warc").write_bytes(b"")
    (tmp_path / "run.yaml").write_text("tokens: {when_missing: null}\n")
    output = tmp_path / "RUN"
    command = ["run", str(tmp_path / "run.yaml"), "--input", str(tmp_path / "page.warc")]
    done = CliRunner().invoke(app, [*command, "--set", setting, "--output", str(output)])
    assert done.exit_code == USAGE
    assert "set dedup.scope: run" in done.output
    assert not (output / "1-extracted").exists()
