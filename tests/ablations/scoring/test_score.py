"""Metrics by hand, the cut between context and continuation, and option rows."""

import math

import numpy as np
import pytest

from decant.ablations.scoring import score
from decant.ablations.scoring.questions import Question


class Letters:
    """A token per byte."""

    vocab_size = 257
    eos = 256

    def encode_batch(self, texts):
        return [list(text.encode()) for text in texts]


class Swallowing(Letters):
    """Encodes `ab` as one token, so that a cut inside it leaves nothing."""

    def encode_batch(self, texts):
        return [[1 if pair == "ab" else ord(pair[0])] for pair in texts if pair] or [[]]


class Fixed:
    """Answers with given likelihoods."""

    def __init__(self, values):
        self.values = np.array(values, dtype=float)

    def loglikelihood(self, contexts, continuations):
        return self.values


QUESTION = Question("t", "0", "c", ("Q:",) * 3, (" four", " a", " twelve"), 0)


def test_trailing_blanks_of_the_context_belong_to_the_continuation():
    left, right = score.encode_pairs(Letters(), ["ab  "], ["cd"])
    assert bytes(left[0]) == b"ab"
    assert bytes(right[0]) == b"  cd"


def test_a_continuation_swallowed_by_a_merge_is_encoded_alone():
    left, right = score.encode_pairs(Swallowing(), ["a"], ["b"])
    assert (left, right) == ([[ord("a")]], [[ord("b")]])


def test_metrics_are_those_of_the_definitions():
    encoded = score.encode_questions(Letters(), [QUESTION])
    ll = [-4.0, -2.0, -5.0]
    found = score.question_metrics(encoded, np.array(ll))
    per_char = [-4 / 4, -2 / 1, -5 / 6]
    p = [math.exp(x) for x in per_char]
    bpb = [4 / math.log(2) / 4, 2 / math.log(2), 5 / math.log(2) / 6]
    assert found["acc"].tolist() == [0.0]  # " a" has the largest sum
    assert found["acc_norm"].tolist() == [0.0]  # " twelve" has the largest mean
    assert found["gold_bpb"][0] == pytest.approx(bpb[0])
    assert found["rel_bpb"][0] == pytest.approx(bpb[0] - (bpb[1] + bpb[2]) / 2)
    assert found["correct_prob"][0] == pytest.approx(p[0])
    assert found["norm_prob"][0] == pytest.approx(p[0] / sum(p))
    assert found["margin"][0] == pytest.approx(p[0] - max(p[1:]))


def test_the_first_of_equal_options_is_taken():
    tied = score.question_metrics(
        score.encode_questions(Letters(), [QUESTION]), np.array([-1.0, -1.0, -1.0])
    )
    assert tied["acc"].tolist() == [1.0]


def test_bytes_and_characters_are_counted_without_the_leading_blank():
    question = Question("t", "0", "c", ("",) * 2, (" é", "  é"), 0)
    encoded = score.encode_questions(Letters(), [question])
    assert encoded.chars.tolist() == [1, 2]
    assert encoded.size_bytes.tolist() == [2, 3]


def test_an_undefined_likelihood_stops_the_score():
    encoded = score.encode_questions(Letters(), [QUESTION])
    with pytest.raises(ValueError, match="1 of 3 option likelihoods are not finite"):
        score.score_questions(Fixed([0.0, math.nan, 0.0]), encoded)


def test_every_option_gets_one_row():
    other = Question("t", "1", "d", ("x",) * 2, (" y", " z"), 1)
    encoded = score.encode_questions(Letters(), [QUESTION, other])
    table = score.option_table(encoded, np.array([-4.0, -2.0, -5.0, -1.0, -3.0]))
    assert table.schema == score.OPTION_SCHEMA
    assert table.column("option").to_pylist() == [0, 1, 2, 0, 1]
    assert table.column("is_gold").to_pylist() == [True, False, False, False, True]
    assert table.column("question").to_pylist() == ["0", "0", "0", "1", "1"]


def test_held_out_bits_are_weighted_by_bytes():
    documents = score.encode_documents(Letters(), "d", ["aaaa", "bb"])
    bpb = score.heldout_bpb(Fixed([-8 * math.log(2), -1 * math.log(2)]), documents)
    assert bpb == pytest.approx((8 + 1) / (4 + 2))


def test_no_questions_give_no_metrics():
    encoded = score.encode_questions(Letters(), [])
    assert all(len(v) == 0 for v in score.question_metrics(encoded, np.zeros(0)).values())
    assert score.option_table(encoded, np.zeros(0)).num_rows == 0
