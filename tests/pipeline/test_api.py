"""decant from Python: what the commands do, as values and Arrow tables."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import decant
from decant.pipeline.command import OK, QUARANTINED
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.run import RunError
from decant.pipeline.sample.crawl import generate

PAGES = 60


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> decant.Run:
    folder = tmp_path_factory.mktemp("api")
    generate(folder / "crawl", pages=PAGES, seed=5, files=1)
    return decant.run("quickstart", input=folder / "crawl", output=folder / "run")


def test_a_run_has_its_funnel_and_every_page_in_one_table(finished):
    stages = finished.funnel()
    kept, dropped = finished.kept(), finished.dropped()
    assert stages["extract"]["in"] == PAGES
    assert kept.num_rows == stages["filter"]["kept"] > 0
    duplicates = sum(stages["deduplicate"]["dropped"].values())
    assert kept.num_rows + dropped.num_rows - duplicates == PAGES
    assert finished.shards().count_rows() == stages["shard"]["kept"]
    assert finished.shards().to_table(columns=["text"]).num_rows == stages["shard"]["kept"]


def test_what_a_rule_dropped_is_its_rows(finished):
    for rule, count in finished.funnel()["filter"]["dropped"].items():
        rows = finished.dropped(rule)
        assert rows.num_rows == count
        assert set(rows.column("rule").to_pylist()) == {rule}


def test_tables_go_to_polars_and_pandas_as_they_are(finished):
    assert isinstance(finished.kept(), pa.Table)
    polars = pytest.importorskip("polars", reason="polars is no dependency of decant")
    assert polars.from_arrow(finished.kept()).height == finished.kept().num_rows


def test_a_finished_run_is_opened_by_its_path_alone(finished):
    again = decant.Run(finished.path)
    assert again.funnel() == finished.funnel()
    assert again.kept().equals(finished.kept())
    with pytest.raises(RunError, match="a run directory"):
        decant.Run(Path(finished.path).parent)


def test_settings_are_keys_and_another_run_may_be_the_source(finished):
    stricter = decant.run(
        "quickstart",
        output=Path(finished.path).parent / "stricter",
        settings={"filter.rules.gopher_stop_words.at_least": 8},
        source=finished.path,
    )
    assert stricter.funnel()["filter"]["dropped"]["gopher_stop_words"] > 0
    assert stricter.kept().num_rows < finished.kept().num_rows
    with pytest.raises(ConfigError, match="shard has not run yet"):
        stricter.shards()


def test_texts_are_judged_by_a_recipe_of_any_name_path_or_list(tmp_path):
    (tmp_path / "mine.yaml").write_text("filter: {rules: [{gopher_stop_words: {at_least: 1}}]}\n")
    texts = ["the end", "no end"]
    expected = [None, "gopher_stop_words"]
    for recipe in (tmp_path / "mine.yaml", [{"gopher_stop_words": {"at_least": 1}}]):
        assert [one.dropped_by for one in decant.judge(texts, recipe)] == expected
    assert [one.kept for one in decant.judge(texts)] == [False, False]
    with pytest.raises(ConfigError, match="no recipe of this name"):
        decant.judge(texts, "finweb")
    with pytest.raises(ConfigError, match="no rule is called"):
        decant.judge(texts, ["no_such_rule"])


def test_duplicates_are_named_by_the_number_of_the_text_that_stays():
    words = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "isle", "jade"]
    one = " ".join(words[(k * k + k // 3) % 10] + words[k % 7] for k in range(120))
    other = " ".join(words[(k * 3 + k // 5) % 10] + words[k % 9] for k in range(120))
    assert decant.dedup([one, other, f"{one} again", "short", other]) == [None, None, 0, None, 1]


def test_importing_decant_loads_nothing_heavy_and_knows_its_names():
    code = (
        "import decant, sys; print({'numpy', 'pyarrow', 'numba'} & set(sys.modules), dir(decant))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("set() ")
    assert "'judge'" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'juge'"):
        _ = decant.juge  # type: ignore[attr-defined]


FOREIGN = "raise ImportError('a module of the project that uses decant was imported by it')\n"
ONE_NAME_EACH = """
import sys
from decant import Rule, at_most

def twice(doc):
    files = [getattr(one, "__file__", None) for one in list(sys.modules.values())]
    files = [file for file in files if file and "decant" in file]
    return len(files) - len(set(files))

RULES = [Rule("modules_under_two_names", twice, at_most(0))]
"""


@pytest.mark.ray
def test_a_project_with_a_pipeline_and_filters_of_its_own_runs_decant(tmp_path):
    for name in ("pipeline", "filters", "ablations"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(FOREIGN)
    (tmp_path / "my_rules.py").write_text(ONE_NAME_EACH)
    generate(tmp_path / "crawl", pages=30, seed=5, files=1)
    code = "import sys; sys.path.insert(0, ''); from decant.ablations.program import main; main()"
    command = ["run", "quickstart", "--input", "crawl", "--rules-from", "my_rules.py"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode in (OK, QUARANTINED), done.stderr  # the crawl has a damaged member
    run = decant.Run(tmp_path / "RUN")
    assert run.funnel()["filter"]["kept"] > 0
    assert run.dropped("modules_under_two_names").num_rows == 0
    assert "corpus: RUN/4-shards/data   report: RUN/report.html" in done.stdout
