"""Our language and verdict against the formula of datatrove's LanguageFilter on lid.176.ftz.

datatrove's own block asks fastText for an attribute that the predict-only build does not have, so
its formula is written out here on the raw model.
"""

import pytest
from fasttext.FastText import _FastText
from hypothesis import given, settings
from hypothesis import strategies as st

from decant.filters.language import LanguageId, LanguageRule
from decant.pipeline.page.language_model import model_path
from tests import real_data

pytestmark = pytest.mark.parity

MODEL = _FastText(str(model_path()))
OURS = LanguageId(str(model_path()))
TEXTS = [
    "", "\n", "The ship came home.\nEveryone was glad to see it, and the harbour was full.",
    "Das Schiff kam nach Hause.\nAlle freuten sich, und der Hafen war voll.", "😀", "1 2 3",
    "Le bateau rentre.\nThe boat is back.", "船が帰ってきた。\n港は人でいっぱいだった。",
    "a" * 100_000, "Корабль вернулся домой.", "the\x00ship\x00came", "ok " * 1_000,
    "the </s> ship", "</s>", "__label__en __label__xx ship", "__label__ </S> <the> the",
    " \t\v\f\r ", "wort" * 20_000 + " 船" * 5_000 + " __label__" + "x" * 9_000,
    "船" * 9_000, "\u0301\u0302 e\u0301 \U0001f600\u200d",
    "the\u00a0ship\u3000came",
]  # fmt: skip


def formula(text, languages, threshold=0.65):
    """`lid.py` and `language_filter.py` of datatrove 0.10.1, in one piece."""
    labels, scores = MODEL.predict(text.replace("\n", " "), k=-1)
    pairs = {label.split("__")[2]: score for label, score in zip(labels, scores, strict=True)}
    best = max(pairs.items(), key=lambda pair: pair[1])
    asked = {name: pairs.get(name, 0.0) for name in languages} if languages else pairs
    kept = any(score > threshold for score in asked.values()) if languages else best[1] > threshold
    return best, kept


def compare(texts, languages):
    kept = 0
    for text in texts:
        best, expected = formula(text, languages)
        found = OURS.identify(text, languages)
        assert (found.language, found.score) == best
        assert LanguageRule(languages).keeps(found) is expected
        kept += expected
    print(f"{len(texts)} texts compared, {kept} kept, no difference")
    return kept


@pytest.mark.parametrize("languages", [("en",), ("en", "de"), ("xx",), None])
def test_written_texts_get_the_same_language_and_verdict(languages):
    compare(TEXTS, languages)


def test_every_label_gets_the_probability_of_the_library_bit_for_bit():
    texts = [*TEXTS, *real_data.texts(200)]
    for text in texts:
        labels, found = MODEL.predict(text.replace("\n", " "), k=-1)
        named = {label.split("__")[2]: score for label, score in zip(labels, found, strict=True)}
        assert OURS.scores(text) == named


def test_the_fast_kernel_is_what_scores_here():
    assert OURS._score is not None and OURS._score.__qualname__.startswith("_fast")


PIECES = st.sampled_from(
    [
        "the ",
        "</s>",
        " </s> ",
        "__label__",
        "en",
        " ",
        "\t",
        "\0",
        "船",
        "é",
        "e\u0301",
        "<",
        ">",
        "der ",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=200, deadline=None)
def test_marks_labels_and_white_space_in_any_order_get_the_same_language(text):
    compare([text], ("en",))


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_the_same_language_and_verdict(text):
    compare([text], ("en",))


def test_real_texts_get_the_same_language_and_verdict():
    texts = real_data.texts(200)
    assert 0 < compare(texts, ("en",)) < len(texts)
