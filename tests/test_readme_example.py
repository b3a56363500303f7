"""The README's own rule, from its function to its verdict, as the README has it."""

import json
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from decant.ablations.program import app
from decant.pipeline.sample.crawl import generate

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## A rule of your own, from function to verdict\n")[1].split("\n## ")[0]
# A crawl of 2,000 pages and 20 placebos take a minute; this is the same with less.
SMALL = ["placebo.draws=2", "arms.designs=[leave-one-out]", "arms.dedup=false"]
SMALL += ["tokenizer.vocab_size=400"]


def test_a_function_becomes_a_verdict_in_two_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    assert len(code.splitlines()) <= 10
    (tmp_path / "my_rules.py").write_text(code)
    generate(tmp_path / "quickstart" / "crawl", pages=150, seed=3, files=1)
    (commands,) = re.findall(r"```\n(decant.*?)```", SECTION, re.DOTALL)
    run, ablate = (shlex.split(line)[1:] for line in commands.strip().splitlines())
    done = CliRunner().invoke(app, [*run, "--workers", "0"])
    assert done.exit_code in (0, 3), done.output  # 3: a page of the sample is damaged
    small = [part for setting in SMALL for part in ("--set", setting)]
    done = CliRunner().invoke(app, [*ablate, *small, "--workers", "0"])
    assert done.exit_code == 0, done.output
    (rung,) = json.loads((tmp_path / "STUDY" / "verdict.json").read_text())["rungs"]
    assert [verdict["name"] for verdict in rung["verdicts"]] == ["mine"]
