"""The pool as token ids: mapped from a file, whatever its size, the same bytes as in memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xxhash

from decant.ablations.arms import tokens
from decant.ablations.arms.pool_files import load_array, npy_bytes, write_array
from decant.pipeline.engine.storage import Store


@pytest.fixture(scope="module")
def tokenizer():
    return tokens.train_bpe(["the cat sat on the mat, a naïve cat"] * 3, 300)


@pytest.mark.parametrize("batch", [1, 2, 1_000])
def test_documents_are_the_same_tokens_whatever_the_batch(tokenizer, monkeypatch, batch):
    texts = ["the cat", "", "naïve \ud800 mat", "sat on"]
    monkeypatch.setattr(tokens, "BATCH_DOCUMENTS", batch)
    ids, first, size = tokens.tokenise(tokenizer, texts)
    expected = tokenizer.encode_batch(texts)
    assert [ids[a:b].tolist() for a, b in pairwise(first)] == expected
    assert size.tolist() == [len(text.encode("utf-8", "replace")) for text in texts]
    assert (ids.dtype, first.dtype, size.dtype) == (np.int32, np.int64, np.int64)
    assert isinstance(ids, np.memmap)


@pytest.mark.parametrize("texts", [[], [""]])
def test_a_pool_without_tokens_is_empty_and_no_error(tokenizer, texts):
    ids, first, size = tokens.tokenise(tokenizer, texts)
    assert len(ids) == 0 and first.tolist() == [0] * (len(texts) + 1) and len(size) == len(texts)


@pytest.mark.parametrize("array", [np.arange(7), np.zeros((0, 3)), np.ones((2, 5), np.uint64)])
def test_an_array_written_in_pieces_has_the_bytes_of_one_written_whole(tmp_path, array):
    store = Store(str(tmp_path))
    digest = write_array(store, "pool/x.npy", array)
    data = (tmp_path / "pool" / "x.npy").read_bytes()
    assert data == npy_bytes(array)
    assert digest == xxhash.xxh3_128_digest(data)
    assert np.array_equal(load_array(store, "pool/x.npy"), array)
