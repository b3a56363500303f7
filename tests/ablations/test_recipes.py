"""Two recipes over one crawl, compared as a whole: each has a run of its own."""

import json

import numpy as np
import pyarrow as pa
import pytest
import yaml

from decant.ablations.ablate import FINISHED, WRONG, ablate
from decant.ablations.arms.arms import only_in
from decant.ablations.arms.pool import Pool
from decant.pipeline.rundir.records import EXTRACTED
from tests.ablations.small_runs import RULES, make_texts, write_run
from tests.ablations.test_study import STUDY

GOOD, REPEATED, SHORT = 110, 25, 8


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same pages under all rules, and under none that sees repeated lines."""
    folder = tmp_path_factory.mktemp("recipes")
    texts = make_texts(5, GOOD, REPEATED, SHORT)
    write_run(folder / "strict", texts)
    write_run(folder / "lenient", texts, rules=RULES[1:])
    return folder


def study(runs, out, mine, against):
    arms = {"designs": ["recipe-vs-recipe"], "against": str(runs / against)}
    config = {**STUDY, "run": str(runs / mine), "arms": arms}
    out.mkdir()
    (out / "study.yaml").write_text(yaml.safe_dump(config))
    assert ablate(str(out / "study.yaml"), str(out / "out")) == FINISHED
    (rung,) = json.loads((out / "out" / "verdict.json").read_text())["rungs"]
    (verdict,) = rung["verdicts"]
    return verdict


def test_the_recipe_that_drops_repeated_lines_is_the_better_one(runs, tmp_path):
    found = study(runs, tmp_path / "a", "strict", "lenient")
    assert found["changed_documents"] == REPEATED
    assert 0.05 < found["removed_fraction"] < 0.5
    assert found["overall"]["effect"] > 0


def test_two_runs_of_one_recipe_differ_in_nothing(runs, tmp_path):
    found = study(runs, tmp_path / "b", "strict", "strict")
    assert (found["changed_documents"], found["removed_fraction"]) == (0, 0.0)
    assert found["overall"]["effect"] == 0.0
    assert found["verdict"] == "NEUTRAL"


def test_a_run_of_another_crawl_is_refused(runs, tmp_path, capsys):
    other = write_run(tmp_path / "other", make_texts(6, GOOD, REPEATED, SHORT))
    path = "1-extracted/00000.parquet"
    table = other.read_table(path)
    ids = pa.array([f"<urn:uuid:other-{k}>" for k in range(len(table))])
    with other.table_writer(path, EXTRACTED) as writer:
        writer.write(table.set_column(table.column_names.index("id"), "id", ids))
    arms = {"designs": ["recipe-vs-recipe"], "against": other.url}
    config = tmp_path / "study.yaml"
    config.write_text(yaml.safe_dump({**STUDY, "run": str(runs / "strict"), "arms": arms}))
    assert ablate(str(config), str(tmp_path / "out")) == WRONG
    assert "two recipes are compared on one crawl" in capsys.readouterr().err


def test_a_document_of_both_runs_is_in_both_arms_whatever_its_place_in_the_pool():
    # Documents 0-2 are one run's, 3-5 the other's; ids a, b, c and a, b, d.
    identity = np.array([1, 2, 3, 1, 2, 4], dtype=np.uint64)
    pool = Pool(np.zeros(6, np.int32), np.arange(7), np.ones(6), identity, identity, 2, 1)
    first, second = np.arange(6) < 3, np.arange(6) >= 3
    assert np.flatnonzero(only_in(pool, first, second)).tolist() == [2]
    assert np.flatnonzero(only_in(pool, second, first)).tolist() == [5]
