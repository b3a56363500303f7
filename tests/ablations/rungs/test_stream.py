"""Documents as one row of tokens, cut into sequences."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from decant.ablations.rungs.stream import Replay, TokenStream, documents

EOS = 99


def test_documents_follow_each_other_with_an_end_token_and_begin_again():
    stream = documents([[1, 2, 3], [], [4]], EOS)
    assert len(stream) == 3 + 1 + 0 + 1 + 1 + 1
    assert stream.read(0, 10).tolist() == [1, 2, 3, EOS, EOS, 4, EOS, 1, 2, 3]


def test_spans_that_hold_their_own_end_get_none_added():
    assert documents([[1, EOS], [2, EOS]], None).read(1, 4).tolist() == [EOS, 2, EOS, 1]


def test_reading_at_any_position_equals_a_slice_of_the_whole():
    rng = np.random.default_rng(0)
    stream = documents([rng.integers(0, 90, n).tolist() for n in (5, 1, 0, 17, 3)], EOS)
    whole = np.tile(stream.read(0, len(stream)), 4)
    for start in range(2 * len(stream)):
        for count in (1, 2, 7, len(stream)):
            assert np.array_equal(stream.read(start, count), whole[start : start + count])


def test_a_sequence_s_targets_are_its_inputs_one_later():
    rows = documents([list(range(50))], None).rows(2, 3, 4)
    assert rows.tolist() == [[8, 9, 10, 11, 12], [12, 13, 14, 15, 16], [16, 17, 18, 19, 20]]


def test_replayed_sequences_are_the_share_asked_for_and_neither_stream_skips():
    new, old = documents([list(range(0, 400))], None), documents([list(range(500, 900))], None)
    rows = Replay(new, old, Fraction(1, 4)).rows(0, 12, 10)
    assert (rows[:, 0] >= 500).tolist() == [False, False, False, True] * 3
    assert rows[rows[:, 0] < 500][:, 0].tolist() == list(range(0, 90, 10))
    assert rows[rows[:, 0] >= 500][:, 0].tolist() == [500, 510, 520]


def test_an_arm_without_documents_says_so():
    with pytest.raises(ValueError, match="no tokens"):
        documents([], EOS).rows(0, 1, 4)


def test_a_span_outside_the_pool_is_refused():
    with pytest.raises(ValueError, match="within the pool's 10 tokens"):
        TokenStream(np.arange(10), np.array([[0, 11]]), EOS)


def test_the_digest_changes_with_order_and_with_tokens():
    one = documents([[1, 2], [3]], EOS)
    assert one.digest() == documents([[1, 2], [3]], EOS).digest()
    assert one.digest() != documents([[3], [1, 2]], EOS).digest()
    assert one.digest() != TokenStream(one.token_ids, one.spans[::-1], EOS).digest()
    assert one.digest() != documents([[1, 2], [4]], EOS).digest()
