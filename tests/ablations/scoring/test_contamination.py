"""Leaked questions and reference texts are found, chance repeats are not."""

import re
from random import Random

import numpy as np

from decant.ablations.scoring import contamination
from decant.ablations.scoring.contamination import find_hits, scored_ngrams
from decant.ablations.scoring.ngram_search import word_characters

LEAK = "the quick brown fox jumps over the lazy dog and runs into the dark forest at night"


def test_thirteen_words_in_common_are_a_hit_whatever_the_case_and_punctuation():
    texts = ["nothing here", f"Before. {LEAK.upper().replace(' ', ', ')}! After."]
    hits = find_hits(scored_ngrams([("task/1", LEAK)]), ["a", "b"], texts)
    assert [(h.owner, h.document, h.share) for h in hits] == [("task/1", "b", 1.0)]


def test_twelve_words_in_common_are_none():
    part = " ".join(LEAK.split()[:12])
    assert find_hits(scored_ngrams([("task/1", LEAK)]), ["a"], [part]) == []


def test_a_short_question_is_compared_whole_and_a_very_short_one_never():
    short = "which of these eight words is in common"
    assert len(find_hits(scored_ngrams([("q", short)]), ["a"], [f"x {short} y"])) == 1
    assert find_hits(scored_ngrams([("q", "what is the name")]), ["a"], ["what is the name"]) == []


def test_the_share_counts_the_n_grams_of_the_text():
    words = [f"w{k}" for k in range(25)]  # 13 n-grams of 13 words
    text = " ".join(words[:15])  # three of them
    (hit,) = find_hits(scored_ngrams([("d", " ".join(words))]), ["a"], [text])
    assert hit.share == 3 / 13


def test_two_owners_of_one_n_gram_are_both_found():
    hits = find_hits(scored_ngrams([("b", LEAK), ("a", LEAK)]), ["x"], [LEAK])
    assert [h.owner for h in hits] == ["a", "b"]


def test_a_megabyte_of_one_word_costs_little_and_hits_nothing():
    assert find_hits(scored_ngrams([("q", LEAK)]), ["a"], ["a " * 500_000]) == []


def plain_hits(texts, ids, documents):
    """The same answer, word by word: (owner, document, words, share) of each owner that is hit."""
    found = []
    for owner, text in texts:
        words = re.findall(r"\w+", text.lower())
        size = min(13, len(words))
        if size < 8:
            continue
        grams = [tuple(words[k : k + size]) for k in range(len(words) - size + 1)]
        first, present = None, set()
        for name, document in zip(ids, documents, strict=True):
            read = re.findall(r"\w+", document.lower())
            for k in range(len(read) - size + 1):
                gram = tuple(read[k : k + size])
                if gram in grams:
                    first = first or (name, " ".join(gram))
                    present.add(gram)
        if first:
            found.append((owner, *first, sum(g in present for g in grams) / len(grams)))
    return sorted(found)


WORDS = [
    "a",
    "the",
    "Straße",
    "STRASSE",
    "naïve",
    "x_1",
    "élan",
    "日本",
    "語",
    "İstanbul",
    "ß",
    "42",
]


def test_the_kernel_finds_what_a_search_word_by_word_finds():
    random = Random(5)

    def some(count, kinds):
        return random.choice(["", "…"]) + random.choice([" ", ", ", "\n-"]).join(
            random.choice(WORDS[:kinds]) for _ in range(count)
        )

    texts = [
        (f"t/{k}", some(random.randrange(5, 30), random.choice([2, 3, 12]))) for k in range(60)
    ]
    documents = [some(random.randrange(0, 400), random.choice([2, 3, 12])) for _ in range(40)]
    documents += [f"{some(20, 12)} {text} {some(20, 12)}" for _, text in texts[::7]]
    ids = [f"d{k}" for k in range(len(documents))]
    hits = find_hits(scored_ngrams(texts), ids, documents)
    expected = plain_hits(texts, ids, documents)
    assert [(h.owner, h.document, h.words, h.share) for h in hits] == expected
    assert len(expected) > 10


def test_two_n_grams_of_one_hash_are_told_apart_by_their_words(monkeypatch):
    other = " ".join(f"o{k}" for k in range(13))
    scored = scored_ngrams([("task/1", " ".join(f"w{k}" for k in range(14)))])
    first = int(np.flatnonzero(scored.first == 0)[0])
    alike = scored.hashes[first : first + 1], np.array([[0, 13, len(other)]])

    def find(codes, *_):
        return alike if len(codes) else (scored.hashes[:0], np.zeros((0, 3), np.int64))

    monkeypatch.setattr(contamination, "find", find)
    assert find_hits(scored, ["a"], [other]) == []
    other = " ".join(scored.ngram(first))
    alike = alike[0], np.array([[0, 13, len(other)]])
    (hit,) = find_hits(scored, ["a"], [other])
    assert hit.owner == "task/1"


def test_no_n_gram_crosses_from_one_document_into_the_next():
    words = LEAK.split()
    halves = [" ".join(words[:9]), " ".join(words[9:])]
    assert find_hits(scored_ngrams([("q", LEAK)]), ["a", "b"], halves) == []


def test_every_code_point_that_the_pattern_calls_a_word_is_one():
    words = set(re.findall(r"\w", "".join(map(chr, range(0x110000)))))
    assert set(map(chr, np.flatnonzero(word_characters()))) == words


def test_lone_surrogates_and_an_empty_text_are_no_words():
    assert find_hits(scored_ngrams([("q", LEAK)]), ["a", "b"], ["\ud800 \udfff", ""]) == []


def test_nothing_to_look_for_finds_nothing():
    assert find_hits(scored_ngrams([]), ["a"], [LEAK]) == []
