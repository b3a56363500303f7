"""Log-likelihoods of continuations, against the model's own logits."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from decant.ablations.rungs import scorer  # noqa: E402
from decant.ablations.rungs.devices import pick_device  # noqa: E402
from decant.ablations.rungs.ladder import Shape  # noqa: E402
from decant.ablations.rungs.llama import Llama  # noqa: E402
from decant.ablations.rungs.scorer import NeuralModel  # noqa: E402

SHAPE = Shape(hidden=32, layers=2, heads=2, ff=48, vocab=50, context=12)


@pytest.fixture(scope="module")
def model():
    return NeuralModel(Llama(SHAPE, seed=4), eos=0, device=pick_device("cpu"))


def by_hand(model, context, continuation):
    """ln p of the continuation from the logits of one unpadded sequence."""
    tokens = torch.tensor([context + continuation])
    table = torch.log_softmax(model.model(tokens[:, :-1])[0].double(), dim=-1)
    places = range(len(context) - 1, len(context) + len(continuation) - 1)
    return sum(table[p, t].item() for p, t in zip(places, continuation, strict=True))


def test_batched_likelihoods_equal_those_of_each_sequence_alone(model):
    rng = np.random.default_rng(0)
    contexts = [rng.integers(0, 50, rng.integers(1, 8)).tolist() for _ in range(40)]
    tails = [rng.integers(0, 50, rng.integers(1, 5)).tolist() for _ in range(40)]
    expected = [by_hand(model, c, t) for c, t in zip(contexts, tails, strict=True)]
    np.testing.assert_allclose(model.loglikelihood(contexts, tails), expected, atol=1e-4)


def test_options_that_share_a_context_are_scored_as_if_alone(model):
    rng = np.random.default_rng(2)
    contexts, tails = [], []
    for _ in range(30):  # one to five options of one to four tokens, some too many for one row
        context = rng.integers(0, 50, rng.integers(1, 9)).tolist()
        for _ in range(rng.integers(1, 6)):
            contexts.append(context)
            tails.append(rng.integers(0, 50, rng.integers(1, 5)).tolist())
    expected = [by_hand(model, c, t) for c, t in zip(contexts, tails, strict=True)]
    np.testing.assert_allclose(model.loglikelihood(contexts, tails), expected, atol=1e-4)


def test_a_shared_context_is_read_once(model, monkeypatch):
    read = []
    real = model.model.hidden
    monkeypatch.setattr(
        model.model,
        "hidden",
        lambda tokens, *rest: read.append(tokens.numel()) or real(tokens, *rest),
    )
    model.loglikelihood([[1, 2, 3, 4, 5, 6]] * 4, [[7, 8], [9], [10, 11], [12]])
    assert read == [6 + 1 + 0 + 1 + 0]


def test_the_batch_size_does_not_matter(model, monkeypatch):
    contexts, tails = [[1], [2, 3], [4, 5, 6]] * 5, [[7, 8], [9], [1, 2, 3, 4]] * 5
    large = model.loglikelihood(contexts, tails)
    monkeypatch.setitem(scorer._BATCH_POSITIONS, "cpu", 1)
    np.testing.assert_allclose(model.loglikelihood(contexts, tails), large, atol=1e-5)


def test_a_context_too_long_is_cut_on_the_left(model):
    context, tail = list(range(1, 40)), [7, 8, 9]
    cut = (context + tail)[-13:-3]
    assert model.loglikelihood([context], [tail])[0] == pytest.approx(by_hand(model, cut, tail))


def test_a_document_longer_than_the_context_is_read_in_windows_once(model):
    text = np.random.default_rng(1).integers(0, 50, 30).tolist()
    expected = (
        by_hand(model, [0], text[:12])
        + by_hand(model, [text[11]], text[12:24])
        + by_hand(model, [text[23]], text[24:])
    )
    assert model.loglikelihood([[0]], [text])[0] == pytest.approx(expected, abs=1e-4)


def test_an_empty_context_stands_for_the_start_of_a_document(model):
    empty, started = model.loglikelihood([[], [0]], [[5, 6], [5, 6]])
    assert empty == pytest.approx(started, abs=1e-6)
    without = NeuralModel(model.model, eos=None, device=model.device)
    with pytest.raises(ValueError, match="eos"):
        without.loglikelihood([[]], [[5]])


def test_nothing_asked_or_an_empty_continuation_is_certain(model):
    assert model.loglikelihood([], []).shape == (0,)
    assert model.loglikelihood([[1, 2]], [[]]).tolist() == [0.0]
