"""Language and verdict; the numbers themselves are compared with the formula in tests/parity."""

import numpy as np
import pytest

from decant.filters.language import Language, LanguageId, LanguageRule
from decant.filters.lid.file import directory, read_model
from decant.filters.lid.kernel import FastScores
from decant.pipeline.page.language_model import model_path

MODEL = LanguageId(str(model_path()))
ENGLISH = "The ship came home and everyone in the harbour was glad to see it again."
GERMAN = "Das Schiff kam nach Hause und alle im Hafen freuten sich, es wieder zu sehen."


@pytest.mark.parametrize(("score", "kept"), [(0.6499, False), (0.65, False), (0.6501, True)])
def test_a_score_stays_above_the_threshold_not_at_it(score, kept):
    assert LanguageRule(threshold=0.65).keeps(Language("en", score, score)) is kept


def test_the_wanted_language_need_not_be_the_most_probable_one():
    found = Language("de", score=0.6, wanted_score=0.3)
    assert LanguageRule(keep=("en",), threshold=0.25).keeps(found) is True


def test_a_text_is_known_by_its_language():
    assert MODEL.identify(ENGLISH, ("en",)).language == "en"
    found = MODEL.identify(GERMAN, ("en", "fr"))
    assert found.language == "de"
    assert found.wanted_score < 0.01 < found.score


def test_without_wanted_languages_the_best_score_decides():
    found = MODEL.identify(GERMAN, None)
    assert found.wanted_score == found.score > 0.9


def test_a_language_the_model_does_not_know_scores_zero():
    assert MODEL.identify(ENGLISH, ("tlh",)).wanted_score == 0.0


def test_newlines_count_as_spaces_or_are_deleted():
    released = LanguageId(str(model_path()), newline="deleted")
    lines = ENGLISH.replace(" ", "\n")
    assert MODEL.scores(lines) == MODEL.scores(ENGLISH)
    assert released.scores(lines) == released.scores(ENGLISH.replace(" ", ""))
    assert len(released.scores(ENGLISH)) == 1  # the best label only, as then


@pytest.mark.parametrize("text", ["", "\n", " ", "\0", "😀", "\ud800", "a" * 1_000_000, "\x80" * 9])
def test_any_text_has_a_language_and_a_score(text):
    found = MODEL.identify(text, ("en",))
    assert found.language != ""
    assert 0.0 <= found.wanted_score <= found.score <= 1.001


def test_a_lone_surrogate_counts_as_the_replacement_character():
    assert MODEL.scores("ship \ud800 ahoy") == MODEL.scores("ship \ufffd ahoy")


def test_a_model_without_pruned_buckets_scores_like_one_that_keeps_them_all():
    model = read_model(model_path())
    words, buckets = len(model.word_ends), 500
    vectors = np.random.default_rng(1).normal(size=(words + buckets, 16)).astype(np.float32)
    dense = model._replace(vectors=vectors, buckets=buckets, kept=np.empty(0, np.uint64))
    every = dense._replace(kept=directory(np.arange(buckets), buckets, words))
    text = f"{ENGLISH} {GERMAN} 船が帰ってきた。".encode()
    found = FastScores(dense).probabilities(text)
    assert np.count_nonzero(found) > 1
    assert (FastScores(every).probabilities(text) == found).all()


def test_the_directory_counts_the_kept_buckets_before_each():
    kept = np.array([0, 3, 31, 32, 95])
    entries = directory(kept, 100, first=7).tolist()
    assert [entry >> 32 for entry in entries] == [7, 10, 11, 12]
    assert [entry & 0xFFFFFFFF for entry in entries] == [1 | 1 << 3 | 1 << 31, 1, 1 << 31, 0]
