"""Any text gives a value and a verdict."""

import math
import unicodedata

import pytest

from decant.filters import minhash
from decant.filters.doc import Doc
from decant.filters.steps import build
from decant.filters.words.splitter import decomposed
from tests.filters.hostile import HOSTILE
from tests.filters.test_recipe import FINEWEB

RECIPE = build([*FINEWEB, {"edit": "refinedweb_lines"}, "refinedweb_flagged_word_fraction"])
NO_WORDS = {"gopher_mean_word_length_floor", "gopher_mean_word_length_ceiling"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_has_a_verdict_and_finite_values(name: str) -> None:
    verdict = RECIPE.judge(HOSTILE[name], all_measures=True)
    assert verdict.kept is False
    assert verdict.values is not None
    for rule, value in zip(RECIPE.rules, verdict.values, strict=True):
        assert isinstance(value, float)
        assert math.isfinite(value) or rule.name in NO_WORDS
    hashes = minhash.shingles(verdict.doc)
    signature = minhash.signature(hashes)
    assert (signature is None) is (len(hashes) == 0)


def test_lone_surrogates_become_replacement_characters_and_are_counted() -> None:
    doc = Doc("a\ud800b \udfff")
    assert doc.text == "a\ufffdb \ufffd"
    assert doc.replaced_surrogates == 2


def test_long_runs_of_marks_are_put_in_order_as_python_does() -> None:
    text = "a" + "\u0315\u0300\u05ae\u0327" * 300 + "\u302e\u302ee\u0301\u0345\u0300각" + "ǭ" * 300
    assert decomposed(text) == unicodedata.normalize("NFD", text)
