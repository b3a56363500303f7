"""Leaked questions and reference texts are found, chance repeats are not."""

from decant.ablations.scoring.contamination import find_hits, wanted

LEAK = "the quick brown fox jumps over the lazy dog and runs into the dark forest at night"


def test_thirteen_words_in_common_are_a_hit_whatever_the_case_and_punctuation():
    texts = ["nothing here", f"Before. {LEAK.upper().replace(' ', ', ')}! After."]
    hits = find_hits(wanted([("task/1", LEAK)]), ["a", "b"], texts)
    assert [(h.owner, h.document, h.share) for h in hits] == [("task/1", "b", 1.0)]


def test_twelve_words_in_common_are_none():
    part = " ".join(LEAK.split()[:12])
    assert find_hits(wanted([("task/1", LEAK)]), ["a"], [part]) == []


def test_a_short_question_is_compared_whole_and_a_very_short_one_never():
    short = "which of these eight words is in common"
    assert len(find_hits(wanted([("q", short)]), ["a"], [f"x {short} y"])) == 1
    assert find_hits(wanted([("q", "what is the name")]), ["a"], ["what is the name"]) == []


def test_the_share_counts_the_n_grams_of_the_text():
    words = [f"w{k}" for k in range(25)]  # 13 n-grams of 13 words
    text = " ".join(words[:15])  # three of them
    (hit,) = find_hits(wanted([("d", " ".join(words))]), ["a"], [text])
    assert hit.share == 3 / 13


def test_two_owners_of_one_n_gram_are_both_found():
    hits = find_hits(wanted([("b", LEAK), ("a", LEAK)]), ["x"], [LEAK])
    assert [h.owner for h in hits] == ["a", "b"]


def test_a_megabyte_of_one_word_costs_little_and_hits_nothing():
    assert find_hits(wanted([("q", LEAK)]), ["a"], ["a " * 500_000]) == []
