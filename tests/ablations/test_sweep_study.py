"""A threshold sweep from configuration to the trend in verdict.json."""

import json
from random import Random

import pytest
import yaml

from decant.ablations.ablate import FINISHED, ablate
from decant.pipeline.sample.english import TOPICS, Writer
from tests.ablations.small_runs import write_run
from tests.ablations.test_study import STUDY

RULE = "gopher_duplicate_line_fraction"


def repetitive_page(number: int, copies: int) -> str:
    """Nine lines of prose, then one more line `copies` times."""
    writer = Writer(Random(f"page {number}"), sorted(TOPICS)[number % 10])
    lines = [writer.paragraph(3) for _ in range(9)]
    return "\n".join(lines + [writer.sentence()] * copies)


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    """Pages that repeat a line not at all, 5, 20 or 80 times: fractions 0.29, 0.66 and 0.89."""
    folder = tmp_path_factory.mktemp("sweep")
    counts = [0] * 100 + [5] * 20 + [20] * 20 + [80] * 20
    write_run(folder / "run", [repetitive_page(n, copies) for n, copies in enumerate(counts)])
    arms = {
        "designs": ["threshold-sweep"],
        "sweeps": [{"rule": RULE, "at_most": [0.1, 0.8, 0.5]}],
        "dedup": False,
    }
    config = {"run": str(folder / "run"), **STUDY, "arms": arms, "placebo": {"draws": 8}}
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    assert ablate(str(folder / "study.yaml"), str(folder / "out")) == FINISHED
    return folder / "out"


def test_a_sweep_ends_with_its_trend_in_both_files(verdict):
    (rung,) = json.loads((verdict / "verdict.json").read_text())["rungs"]
    (trend,) = rung["trends"]
    assert trend["sweep"] == f"{RULE} at_most"
    assert trend["bounds"] == [0.8, 0.5, 0.1]  # loosest first, whatever the order asked for
    removed = [v["removed_fraction"] for v in rung["verdicts"]]
    assert removed[1] < removed[2] < removed[0]
    assert trend["effects"] == [rung["verdicts"][k]["overall"]["effect"] for k in (1, 2, 0)]
    text = (verdict / "verdict.md").read_text()
    assert f"| {RULE} at_most | 0.8 → 0.5 → 0.1 |" in text


def test_the_loosest_bound_takes_the_worst_pages_and_the_next_ones_add_less(verdict):
    (rung,) = json.loads((verdict / "verdict.json").read_text())["rungs"]
    loose, middle, strict = rung["trends"][0]["effects"]
    assert loose > 0
    assert middle - loose < loose
    assert abs(strict - middle) < loose
