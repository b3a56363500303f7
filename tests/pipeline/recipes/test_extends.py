"""A configuration that says only what differs from another one."""

from pathlib import Path

import pytest

from decant.pipeline.config import RunConfig, load
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.recipes.shipped import shipped
from decant.pipeline.run import _changed_base, write_run_files

FINEWEB = load("fineweb")
LOREM_LINE = 1 + next(
    number
    for number, line in enumerate(shipped("fineweb").text.splitlines())
    if "c4_lorem_ipsum_lines" in line
)
NAMES = [rule.name for rule in FINEWEB.recipe().rules]


@pytest.fixture
def extended(tmp_path):
    def load_text(text: str, base: str = "fineweb") -> RunConfig:
        path = tmp_path / "mine.yaml"
        path.write_text(f"extends: {base}\n{text}")
        return load(path)

    return load_text


def rule_names(config: RunConfig) -> list[str]:
    return [rule.name for rule in config.recipe().rules]


def test_nothing_that_differs_is_the_base(extended):
    config = extended("")
    assert config == load("fineweb")
    assert config.extends is None  # resolved: read again, it extends nothing


def test_a_section_keeps_what_the_extending_file_does_not_say(extended):
    config = extended("language:\n  threshold: 0.8\nseed: 9\n")
    assert (config.seed, config.language.threshold, config.language.keep) == (9, 0.8, ("en",))
    assert config.filter == FINEWEB.filter


def test_a_rule_named_again_gets_its_bounds_and_keeps_its_options_and_place(extended):
    config = extended("filter:\n  rules:\n    - fineweb_short_line_fraction: {below: 0.5}\n")
    assert rule_names(config) == NAMES
    rule = config.recipe().rules[NAMES.index("fineweb_short_line_fraction")]
    assert str(rule.keep) == "below 0.5"
    assert rule.options["short_line_chars"] == 30


def test_an_option_alone_keeps_the_bounds(extended):
    config = extended(
        "filter:\n  rules:\n    - fineweb_short_line_fraction: {short_line_chars: 29}\n"
    )
    rule = config.recipe().rules[NAMES.index("fineweb_short_line_fraction")]
    assert (str(rule.keep), rule.options["short_line_chars"]) == ("at_most 0.67", 29)


def test_an_option_of_an_edit_keeps_its_others(extended):
    config = extended("filter:\n  rules:\n    - edit: {c4_lines: {min_words_per_line: 5}}\n")
    (edit,) = config.recipe().edits
    assert (edit.options["min_words_per_line"], edit.options["word_chars"]) == (5, 1000)


def test_rules_are_left_out_put_in_and_put_at_the_end(extended):
    config = extended(
        "filter:\n"
        "  rules:\n"
        "    - leave_out: [fineweb_newlines_per_word, gopher_text_chars]\n"
        "    - refinedweb_flagged_word_fraction: {at_most: 1, after: c4_lines}\n"
        "    - edit: {refinedweb_lines: {before: refinedweb_flagged_word_fraction}}\n"
        "    - gopher_text_chars: {at_least: 2}\n"
    )
    names = rule_names(config)
    assert names[-1] == "gopher_text_chars"
    assert "fineweb_newlines_per_word" not in names
    steps = [next(iter(step)) for step in config.filter.rules]
    assert steps.index("refinedweb_flagged_word_fraction") == steps.index("edit") + 2
    assert [edit.name for edit in config.recipe().edits] == ["c4_lines", "refinedweb_lines"]


def test_two_columns_are_two_steps_and_one_named_again_is_changed(extended, tmp_path):
    two = "filter:\n  rules:\n    - column: {name: a.edu, at_least: 3, missing: keep}\n"
    two += "    - column: {name: toxicity, at_most: 0.5, after: edu}\n"
    assert rule_names(extended(two)) == [*NAMES, "edu", "toxicity"]
    (tmp_path / "mine.yaml").rename(tmp_path / "two.yaml")
    again = extended("filter:\n  rules:\n    - column: {name: a.edu, at_least: 4}\n", "two.yaml")
    rule = again.recipe().rules[len(NAMES)]
    assert (rule.name, rule.keep.low, rule.keep.keeps_nan) == ("edu", 4.0, True)


def test_the_base_is_recorded_with_a_digest_of_what_it_says(extended, tmp_path):
    assert extended("seed: 2\n").based_on == FINEWEB.based_on
    base = tmp_path / "base.yaml"
    base.write_text("extends: gopher\nseed: 4\n")
    first = extended("", "base.yaml").based_on
    assert [one.name for one in first] == ["base.yaml", "gopher"]
    base.write_text("# a comment changes nothing\nextends: gopher\nseed: 4\n")
    assert extended("", "base.yaml").based_on == first
    base.write_text("extends: gopher\nseed: 5\n")
    second = extended("", "base.yaml").based_on
    assert (second[0] == first[0], second[1] == first[1]) == (False, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 1\nlanguage:\n  treshold: 1\n", "mine.yaml:4: unknown key 'language.treshold'"),
        ("language:\n  treshold: 1\n", "did you mean 'threshold'?"),
        (
            "filter:\n  rules:\n    - gopher_stop_words: {at_least: many}\n",
            "mine.yaml:4: at_least takes a number",
        ),
        (
            "filter:\n  rules:\n    - leave_out: [gopher_stopwords]\n",
            "mine.yaml:4: the recipe has no step 'gopher_stopwords' (did you mean "
            "'gopher_stop_words'?)",
        ),
        (
            "filter:\n  rules:\n    - refinedweb_flagged_word_fraction: {after: nowhere}\n",
            "mine.yaml:4: the recipe has no step 'nowhere'",
        ),
        (
            "filter:\n  rules:\n    - gopher_stop_words: {after: c4_lines}\n",
            "mine.yaml:4: the recipe has gopher_stop_words already",
        ),
        ("filter:\n  rules: {a: 1}\n", "mine.yaml:3: filter.rules is a list"),
        (
            "filter:\n  rules:\n    - leave_out: c4_lines\n",
            f"recipe fineweb:{LOREM_LINE}: c4_lorem_ipsum_lines reads the notes of the edit",
        ),
    ],
)
def test_a_mistake_is_named_in_the_file_and_line_that_has_it(extended, text, expected):
    with pytest.raises(ConfigError) as refused:
        extended(text)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("base", "expected"),
    [("finweb", "mine.yaml:1: extends: "), ("[a]", "mine.yaml:1: extends takes the name")],
)
def test_a_base_that_is_not_there_is_named_with_its_line(extended, base, expected):
    with pytest.raises(ConfigError) as refused:
        extended("", base)
    assert expected in str(refused.value)


def test_a_circle_is_refused(tmp_path):
    (tmp_path / "one.yaml").write_text("extends: two.yaml\n")
    (tmp_path / "two.yaml").write_text("extends: one.yaml\n")
    with pytest.raises(ConfigError, match="extends itself"):
        load(tmp_path / "one.yaml")


def test_a_flag_sets_a_bound_an_option_and_the_place_of_a_new_rule():
    config = load(
        "c4",
        [
            "filter.rules.c4_sentences.at_least=3",
            "filter.rules.c4_lines.min_words_per_line=4",
            "filter.rules.gopher_stop_words.before=c4_sentences",
            "filter.rules.gopher_stop_words.at_least=1",
        ],
    )
    rules = {rule.name: rule for rule in config.recipe().rules}
    assert str(rules["c4_sentences"].keep) == "at_least 3.0"
    assert config.recipe().edits[0].options["min_words_per_line"] == 4
    names = list(rules)
    assert names.index("gopher_stop_words") == names.index("c4_sentences") - 1
    assert str(rules["gopher_stop_words"].keep) == "at_least 1.0"


def test_a_mistake_in_such_a_flag_names_the_flag():
    with pytest.raises(
        ConfigError, match=r"^--set filter\.rules\.gopher_stop_words\.at_last: no option"
    ):
        load("fineweb", ["filter.rules.gopher_stop_words.at_last=3"])


def test_a_path_of_a_base_starts_at_the_extending_file(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    (tmp_path / "base.yaml").write_text("seed: 4\n")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\n")
    assert load(tmp_path / "mine.yaml").seed == 4


def test_a_base_that_changed_since_a_run_began_is_named_when_it_is_resumed(tmp_path):
    store = Store(str(tmp_path / "run"))
    base = tmp_path / "base.yaml"
    base.write_text("filter: {rules: [gopher_text_chars]}\n")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\n")
    config = load(tmp_path / "mine.yaml")
    write_run_files(store, config)
    assert _changed_base(store, load(tmp_path / "mine.yaml")) == ""
    base.write_text("filter: {rules: [gopher_stop_words]}\n")
    changed = _changed_base(store, load(tmp_path / "mine.yaml"))
    assert changed == " (the recipe base.yaml has changed since this run began)"
