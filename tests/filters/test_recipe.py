"""Recipes: what is refused and where, the order of verdicts, and measures beside decisions."""

import math

import numpy as np
import pytest

from decant.filters.catalogue import RULES, rule_row
from decant.filters.rule import above, at_least, at_most, below, between
from decant.filters.steps import RecipeError, build
from tests.filters import made_texts

FINEWEB = [
    *[rule.name for rule in RULES if rule.name.startswith("gopher")],
    {"edit": {"c4_lines": {"min_words_per_line": 3}}},
    *[rule.name for rule in RULES if rule.name.startswith(("c4", "fineweb"))],
]


@pytest.mark.parametrize(
    ("bounds", "kept", "dropped"),
    [
        (at_least(2), 2.0, 1.999),
        (above(2), 2.001, 2.0),
        (at_most(2), 2.0, 2.001),
        (below(2), 1.999, 2.0),
        (between(1, 2), 1.0, 0.999),
    ],
)
def test_bounds_keep_their_end_only_where_it_is_closed(bounds, kept, dropped) -> None:
    assert bounds.keeps(kept) is True
    assert bounds.keeps(dropped) is False
    assert bounds.keeps(math.nan) is False
    assert bounds.keeps_array(np.array([kept, dropped, math.nan])).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ([{"no_such_rule": {"at_least": 1}}], (0, "no_such_rule"), "no rule is called"),
        ([{"edit": {"no_edit": {}}}], (0, "edit", "no_edit"), "no edit is called"),
        (
            ["gopher_stop_words", {"gopher_text_chars": {"minimum": 1}}],
            (1, "gopher_text_chars", "minimum"),
            "no option is called",
        ),
        (
            [{"gopher_text_chars": {"at_least": "much"}}],
            (0, "gopher_text_chars", "at_least"),
            "takes a number",
        ),
        (
            [{"gopher_text_chars": {"between": [3, 1]}}],
            (0, "gopher_text_chars", "between"),
            "[low, high]",
        ),
        (["gopher_text_chars", "gopher_text_chars"], (1, "gopher_text_chars"), "stands twice"),
        (["c4_sentences"], (0, "c4_sentences"), "the edit c4_lines"),
        ([{"a": 1, "b": 2}], (0,), "one rule or `edit`"),
        ([3], (0,), "one rule or `edit`"),
        (
            [{"edit": {"c4_lines": {"min_words_per_line": "3"}}}],
            (0, "edit", "c4_lines", "min_words_per_line"),
            "is like 3",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_place(steps, path, words) -> None:
    with pytest.raises(RecipeError) as refusal:
        build(steps)
    assert refusal.value.path == path
    assert words in str(refusal.value)


def test_a_rule_shows_the_bounds_and_options_of_the_recipe() -> None:
    recipe = build([{"fineweb_short_line_fraction": {"below": 0.5, "short_line_chars": 20}}])
    (rule,) = recipe.rules
    assert rule.keep == below(0.5)
    assert rule.options == {"short_line_chars": 20, "blank_lines": False}


def test_the_first_failing_rule_of_the_recipe_names_the_verdict() -> None:
    text = "# " * 10
    assert build(["gopher_hashes_per_word", "gopher_stop_words"]).judge(text).dropped_by == (
        "gopher_hashes_per_word"
    )
    assert build(["gopher_stop_words", "gopher_hashes_per_word"]).judge(text).dropped_by == (
        "gopher_stop_words"
    )


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        ("one { two three.", "lorem ipsum again.", "c4_curly_bracket_lines"),
        ("lorem ipsum again.", "one { two three.", "c4_lorem_ipsum_lines"),
    ],
)
def test_of_bracket_and_lorem_ipsum_the_one_met_first_is_named(first, second, rule) -> None:
    recipe = build(FINEWEB[-9:])
    for all_measures in (False, True):
        verdict = recipe.judge(f"{first}\n{second}", all_measures)
        assert verdict.dropped_by == rule
        assert verdict.value == 1.0


def test_measuring_everything_changes_no_verdict_and_no_kept_text() -> None:
    recipe = build(FINEWEB)
    kept = 0
    for text in made_texts.texts(400, seed=2):
        short, full = recipe.judge(text), recipe.judge(text, all_measures=True)
        assert (short.dropped_by, short.value, short.bound) == (
            full.dropped_by,
            full.value,
            full.bound,
        )
        assert full.values is not None
        assert len(full.values) == len(recipe.rules)
        if short.kept:
            kept += 1
            assert short.text == full.text
            assert full.failed == ()
        else:
            assert full.failed[0] == full.dropped_by or "c4_" in full.failed[0]
    assert kept > 10


def test_a_dropped_document_has_an_edited_text_too() -> None:
    recipe = build(FINEWEB)
    verdict = recipe.judge("Short page.\nThis line { stays in it.", all_measures=True)
    assert verdict.kept is False
    assert verdict.text == "This line { stays in it."


def test_the_catalogue_gives_every_rule_what_the_command_prints() -> None:
    rows = [rule_row(rule) for rule in RULES]
    assert [row["name"] for row in rows] == [rule.name for rule in RULES]
    assert all(set(row) == {"name", "unit", "keep", "source", "reference"} for row in rows)
    references = [row["reference"] for row in rows if row["reference"] not in (None, "empty")]
    assert len(references) == len(set(references)) == 30
