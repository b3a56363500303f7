"""Rules of one's own: from a file to rows, and every way in which such a file can be wrong."""

import itertools
import json
import pickle
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from decant.filters.recipe import Recipe
from decant.filters.rule import Bounds
from decant.filters.steps import bounds_of, build
from decant.pipeline.cli import app
from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.config import RunConfig, load, origin_lines
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.recipes.execution import executed
from decant.pipeline.recipes.rule_files import RulesError
from decant.pipeline.redecide import redecide
from decant.pipeline.report.funnel import build_page
from decant.pipeline.run import stored_config
from decant.pipeline.stage_keys import changed_keys, stage_digest, stage_keys
from tests.pipeline import test_filter
from tests.pipeline.test_filter import MEASURED, rows, stage_files, two_stages

PLAIN = """
from decant import at_most, text_rule

RULES = [text_rule("exclamation_marks", lambda text: text.count("!"), at_most(2))]
"""

MANY = """
import words
from decant import Batched, Rule, at_least, at_most

HELPERS = ("words.py",)
FILES = {"listed": "listed.txt"}


def load():
    with open(FILES["listed"]) as file:
        return set(file.read().split())


def shares(docs, listed):
    return [
        {"share": words.share(doc.text, listed), "chars": len(doc.text)} for doc in docs
    ]


LISTED = Batched(shares, load, size=3)


def url_chars(doc):
    return len(doc.record["url"]) + (doc.record["language"] != "en")


RULES = (
    Rule("listed_share", LISTED["share"], at_most(0.2), unit="fraction of words"),
    Rule("listed_chars", LISTED["chars"], at_least(10)),
    Rule("url_chars", url_chars, at_most(25), reads=("url", "language")),
)
"""
WORDS = "def share(text, listed):\n    words = text.split()\n"
WORDS += "    return sum(word in listed for word in words) / max(1, len(words))\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of rule files, in which the test stands."""
    (tmp_path / "plain.py").write_text(PLAIN)
    (tmp_path / "many.py").write_text(MANY)
    (tmp_path / "words.py").write_text(WORDS)
    (tmp_path / "listed.txt").write_text("the of and")
    monkeypatch.chdir(tmp_path)
    return tmp_path


_ = two_stages  # used by every test here: a run of the two stages that read no archive


def alone(config: RunConfig, *names: str) -> Recipe:
    """A recipe of these rules and no edit, with the code of the configuration's files."""
    return build(names, executed(config.rule_files))


def names_of(config: RunConfig) -> list[str]:
    return [rule.name for rule in config.recipe().rules]


def test_a_plain_function_in_one_line_measures_and_decides(folder):
    config = load("fineweb", rules_from=["plain.py"])
    verdict = config.measuring_recipe().judge("No! No! No!", all_measures=True)
    assert verdict.values is not None
    assert verdict.values[-1] == 3.0
    assert verdict.failed[-1] == "exclamation_marks"


def test_a_rule_of_the_flag_goes_to_the_end_or_where_a_step_puts_it(folder):
    at_end = load("fineweb", rules_from=["plain.py"]).recipe().rules
    assert at_end[-1].name == "exclamation_marks"
    setting = "filter.rules.exclamation_marks.after=gopher_stop_words"
    placed = [rule.name for rule in load("fineweb", [setting], ["plain.py"]).recipe().rules]
    assert placed.index("exclamation_marks") == placed.index("gopher_stop_words") + 1
    lines = origin_lines("fineweb", load("fineweb", rules_from=["plain.py"]))
    assert lines[1] == "plain.py: exclamation_marks (keeps at_most 2.0; rule 33 of 33)"


def test_a_configuration_names_its_files_from_where_it_lies(folder, monkeypatch, tmp_path):
    (folder / "mine.yaml").write_text(
        "extends: gopher\nrules_from: [plain.py]\n"
        "filter:\n  rules:\n    - exclamation_marks: {at_most: 1}\n"
    )
    monkeypatch.chdir("/")
    config = load(folder / "mine.yaml")
    assert str(config.recipe().rules[-1].keep) == "at_most 1.0"
    assert config.measuring_recipe().judge("!" * 9).kept is False


def test_several_measures_of_one_call_read_the_record_a_helper_and_a_file(folder):
    config = load("fineweb", rules_from=["many.py"])
    recipe = alone(config, "listed_share", "listed_chars", "url_chars")
    texts = ["the of red green", "red", "a longer text about green things"] * 3
    records = [{"url": "https://a.example/", "language": "en"}] * len(texts)
    verdicts = recipe.judge_all(texts, all_measures=True, records=records)
    assert [one.values for one in verdicts[:2]] == [(2 / 4, 16.0, 18.0), (0.0, 3.0, 18.0)]
    assert [one.dropped_by for one in verdicts[:3]] == ["listed_share", "listed_chars", None]
    assert [one.values for one in verdicts[:3]] == [one.values for one in verdicts[3:6]]


def test_many_at_once_and_one_at_a_time_give_the_same_verdicts(folder):
    recipe = load("fineweb", rules_from=["many.py", "plain.py"]).measuring_recipe()
    texts = test_filter.texts_of(1)
    records = [{"url": f"https://example.org/{k}", "language": "en"} for k in range(len(texts))]
    for every in (False, True):
        together = recipe.judge_all(texts, every, records)
        alone = [
            recipe.judge(text, every, record) for text, record in zip(texts, records, strict=True)
        ]
        for one, other in zip(together, alone, strict=True):
            assert (one.dropped_by, one.value, one.failed) == (
                other.dropped_by,
                other.value,
                other.failed,
            )
    assert any(one.dropped_by == "listed_share" for one in recipe.judge_all(texts, False, records))


def test_a_run_has_the_rows_of_a_users_rule_and_deciding_again_adds_one(folder):
    setting = "filter.rules.url_chars.at_most=20"
    config = load("fineweb", [MEASURED, setting], ["many.py"])
    full = test_filter.run(folder / "full", config)
    names = [row["rule"] for row in rows(full, "dropped")]
    assert "url_chars" in names or "listed_share" in names
    source = test_filter.run(folder / "source", load("fineweb", [MEASURED]))
    again = Store(str(folder / "again"))
    redecide(source, again, config, Progress(again, live=False))
    assert stage_files(again) == stage_files(full)
    stored = stored_config(full)
    assert [rule.name for rule in stored.recipe().rules] == names_of(config)
    with pytest.raises(RulesError, match=r"--rules-from \(many\.py\)"):
        stored.measuring_recipe()
    with pytest.raises(ConfigError, match="--rules-from"):
        load(folder / "full" / "config.yaml").measuring_recipe()
    report = build_page(full, stored.model_dump(mode="json"))
    assert "url_chars" in report


RAISING = """
from decant import Rule, at_least

def measure(doc):
    if "bridge" in doc.text:
        raise ValueError("no bridges,\\nplease")
    return "many" if "council" in doc.text else float("nan") if "x" in doc.text else 1

RULES = [Rule("moody", measure, at_least(0))]
"""


def test_a_rule_that_raises_or_gives_no_number_costs_the_document(folder):
    (folder / "moody.py").write_text(RAISING)
    recipe = alone(load("fineweb", rules_from=["moody.py"]), "moody")
    details = {text: recipe.judge(text).detail for text in ("bridge", "council", "x", "plain")}
    assert details == {
        "bridge": "ValueError: no bridges, please",
        "council": "returned 'many', not a number",
        "x": "returned NaN",
        "plain": None,
    }
    assert [recipe.judge(text).kept for text in details] == [False, False, False, True]


def test_what_it_costs_is_counted_told_and_the_same_when_decided_again(folder):
    (folder / "moody.py").write_text(RAISING)
    config = load("fineweb", [MEASURED], ["moody.py"])
    full = test_filter.run(folder / "full", config)
    entry = json.loads(full.read_bytes("ledger.json"))["stages"]["filter"]
    count = entry["without_value"]["moody"]
    assert count == entry["dropped"]["moody"] > 0
    details = {row["detail"] for row in rows(full, "dropped") if row["rule"] == "moody"}
    assert "ValueError: no bridges, please" in details
    assert "moody" in json.loads(full.read_bytes("2-filtered/overlap.json"))["warnings"][0]
    again = Store(str(folder / "again"))
    redecide(full, again, config, Progress(again, live=False))
    assert stage_files(again) == stage_files(full)


def test_a_batch_that_raises_costs_only_the_documents_that_raise(folder):
    (folder / "batch.py").write_text(
        "from decant import Batched, Rule, at_least\n"
        "def score(docs, _):\n"
        "    return [{'x': 1 / len(doc.text)} for doc in docs]\n"
        "RULES = [Rule('inverse', Batched(score)['x'], at_least(0))]\n"
    )
    recipe = alone(load("fineweb", rules_from=["batch.py"]), "inverse")
    verdicts = recipe.judge_all(["ab", "", "abcd"])
    assert [one.dropped_by for one in verdicts] == [None, "inverse", None]
    assert verdicts[1].detail == "ZeroDivisionError: division by zero"


FAULTS = {
    "a syntax error": ("x = (\n", ":1: not valid Python: "),
    "a null byte": ("x = 1\0\n", ":1: not valid Python"),
    "a failing import": ("import os\nimport no_such_module_x\n", ":2: ModuleNotFoundError: "),
    "a failing line": ("\n1 / 0\n", ":2: ZeroDivisionError: "),
    "no rules": ("x = 1\n", ":1: has neither RULES nor EDITS"),
    "rules that are none": ("\nRULES = ['x']\n", ":2: RULES[0] is no Rule; found 'x'"),
    "rules that are no list": ("\nRULES = 5\n", ":2: RULES is a tuple or list"),
    "a name that is taken": (
        "from decant import at_most, text_rule\n"
        "RULES = [text_rule('gopher_stop_words', len, at_most(1))]\n",
        ":2: 'gopher_stop_words' exists already",
    ),
    "a name twice": (
        "from decant import at_most, text_rule\n"
        "RULES = [text_rule('mine', len, at_most(1)), text_rule('mine', len, at_most(1))]\n",
        ":2: 'mine' exists already",
    ),
    "a column's name": (
        "from decant import at_most, text_rule\nRULES = [text_rule('offset', len, at_most(1))]\n",
        ":2: 'offset' cannot name a column",
    ),
    "a helper that is not there": ("HELPERS = ('gone.py',)\n", "HELPERS names gone.py, but"),
    "helpers that are no literal": ("HELPERS = sorted([])\n", ":1: HELPERS is a literal"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_file_is_one_line_with_file_and_line(folder, fault):
    source, expected = FAULTS[fault]
    (folder / "wrong.py").write_text(source)
    with pytest.raises(ConfigError) as refused:
        load("fineweb", rules_from=["wrong.py"])
    assert expected in str(refused.value)
    assert str(refused.value).startswith("wrong.py")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["gone.py", "no_such_module_x.rules", "math"])
def test_a_file_or_module_without_python_source_is_named(folder, name):
    with pytest.raises(RulesError, match=f"--rules-from {name}: no file"):
        load("fineweb", rules_from=[name])


def test_a_module_is_found_by_its_dotted_name(folder, monkeypatch):
    package = folder / "my_package_of_rules"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "quality.py").write_text(PLAIN)
    monkeypatch.syspath_prepend(str(folder))
    config = load("fineweb", rules_from=["my_package_of_rules.quality"])
    assert config.recipe().rules[-1].name == "exclamation_marks"
    assert "my_package_of_rules.quality" not in sys.modules


def test_code_helpers_and_data_enter_the_digest_of_the_filter_stage_only(folder):
    def digests(name: str = "many.py") -> tuple[str, str]:
        config = load("fineweb", rules_from=[name])
        return stage_digest(config, "filter"), stage_digest(config, "extract")

    first = digests()
    assert digests() == first
    assert first[0] != stage_digest(load("fineweb"), "filter")
    for name in ("many.py", "words.py", "listed.txt"):
        before = digests()
        (folder / name).write_text((folder / name).read_text() + "\n")
        assert digests()[0] != before[0]
        assert digests()[1] == first[1]


def test_a_changed_file_is_a_changed_key(folder):
    before = load("fineweb", rules_from=["plain.py"])
    then = stage_keys(before, "filter")
    assert then["rule_files"] == [before.rule_files[0].digest]
    (folder / "plain.py").write_text(PLAIN + "\n# another\n")
    after = load("fineweb", rules_from=["plain.py"])
    ((key, old, new),) = changed_keys(then, after, "filter")
    assert (key, old, new) == ("rule_files", then["rule_files"], [after.rule_files[0].digest])


def test_a_data_file_that_changes_during_the_run_is_refused(folder):
    config = load("fineweb", rules_from=["many.py"])
    for name in [name for name in sys.modules if name.startswith("decant_rules_")]:
        del sys.modules[name]
    (folder / "listed.txt").write_text("other words")
    with pytest.raises(RulesError, match=r"listed\.txt is missing here, or has changed"):
        config.measuring_recipe()


def test_the_configuration_takes_the_code_to_another_process(folder):
    """Where the file does not lie, and under one name only."""
    config = load("fineweb", rules_from=["many.py"])
    (folder / "config.pickle").write_bytes(pickle.dumps(config))
    for name in ("many.py", "words.py"):
        (folder / name).unlink()
    code = (
        "import pickle, sys\n"
        "config = pickle.load(open('config.pickle', 'rb'))\n"
        "record = {'url': 'u', 'language': 'en'}\n"
        "verdict = config.measuring_recipe().judge('the of the', True, record)\n"
        "assert verdict.values[-3:] == (1.0, 10.0, 1.0), verdict.values\n"
        "assert not {'many', 'words'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_a_run_directory_with_rules_in_it_runs_none_of_them(folder):
    """A hostile directory: its config.yaml names a file beside it, and brings source of its own."""
    run = folder / "hostile"
    run.mkdir()
    (run / "versions.json").write_text("{}")
    (run / "evil.py").write_text("raise SystemExit('it ran')\n")
    source = "raise SystemExit('it ran')"
    rule = "{name: evil_rule, unit: x, source: x, keep: {at_most: 1}}"
    (run / "config.yaml").write_text(
        "rules_from: [evil.py]\n"
        f'rule_files: [{{name: evil.py, digest: abc, source: "{source}", rules: [{rule}]}}]\n'
        "filter: {rules: [evil_rule]}\n"
    )
    for config in (load(run / "config.yaml"), stored_config(Store(str(run)))):
        assert config.recipe().rules[0].name == "evil_rule"
        with pytest.raises(RulesError):
            config.measuring_recipe()
    with pytest.raises(RulesError, match="code is not at hand"):
        load(run / "config.yaml").recipe().rules[0].measure(None)


def test_decant_rules_lists_them(folder):
    done = CliRunner().invoke(app, ["rules", "--json", "--rules-from", "many.py"])
    by_name = {row["name"]: row for row in json.loads(done.stdout)}
    assert by_name["listed_share"]["keep"] == {"at_most": 0.2}
    assert by_name["url_chars"]["source"] == "many.py"
    failed = CliRunner().invoke(app, ["rules", "--rules-from", "gone.py"])
    assert failed.exit_code == 2


def test_edits_of_ones_own_change_the_text_at_their_place(folder):
    (folder / "edit.py").write_text(
        "from decant import text_edit\n"
        "EDITS = [text_edit('no_vowels', lambda text: text.replace('a', ''))]\n"
    )
    (folder / "mine.yaml").write_text(
        "rules_from: [edit.py]\n"
        "filter:\n  rules:\n    - gopher_text_chars\n    - edit: no_vowels\n"
        "    - gopher_stop_words: {at_least: 0}\n"
    )
    verdict = load(folder / "mine.yaml").measuring_recipe().judge("banana")
    assert (verdict.text, verdict.kept) == ("bnn", True)


def test_bounds_with_one_open_end_survive_their_description():
    for low_open, high_open in itertools.product((False, True), repeat=2):
        bounds = Bounds(1.0, 2.0, low_open, high_open)
        assert bounds_of(bounds.as_mapping(), ()) == bounds


def test_a_rules_file_that_leaves_the_program_is_a_mistake_in_it(tmp_path, capsys):
    rules = tmp_path / "leaves.py"
    rules.write_text("import sys\nsys.exit(0)\n")
    request = RunRequest(
        config="quickstart", output=str(tmp_path / "run"), rules_from=(str(rules),), workers=0
    )
    assert execute_run(request) == 2
    assert "leaves.py:2: SystemExit" in capsys.readouterr().err
