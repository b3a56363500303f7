"""Our token counts against `tokenizers` on whole texts, as datatrove's TokensCounter calls it."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

from pipeline import tokens
from tests import real_data

pytestmark = pytest.mark.parity

ATOMS = [
    *"ab1é!日\n\t \u3000\u00a0\u0085\u200b\x1c", "'s", "'ll", "<|endoftext|>", "<|endof", "text|>",
    "  ", " \n", "word", "...", "\U0001f600",
]  # fmt: skip


@pytest.fixture(scope="module")
def small_vocabulary(tmp_path_factory):
    """A byte-level BPE with GPT-2's splitting, 26 merges deep, in OpenAI's two files."""
    folder = tmp_path_factory.mktemp("bpe")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "w"), ("o", "r"), ("or", "d"), ("Ġw", "ord"), ("a", "b"), ("Ġ", "Ġ")]
    merges += [("Ċ", "Ċ"), ("'", "s"), (".", "."), ("..", "."), ("ab", "ab"), ("Ġ", "a")]
    words = [*letters, *("".join(pair) for pair in merges), "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "encoder.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "vocab.bpe").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def whole_counts(tokenizer: Tokenizer, texts):
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]


def test_cutting_a_text_at_safe_places_does_not_change_its_count(small_vocabulary, monkeypatch):
    monkeypatch.setattr(tokens, "PIECE_CHARS", 3)
    draw = random.Random(3)
    texts = ["".join(draw.choices(ATOMS, k=30)) for _ in range(5_000)]
    counter = tokens.token_counter(path=small_vocabulary)
    assert sum(len(list(tokens.pieces(text))) > 1 for text in texts) > 3_000
    assert counter.count(texts) == whole_counts(tokens.load_tokenizer(small_vocabulary), texts)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_counts_the_same_in_pieces(small_vocabulary, text):
    counter = tokens.token_counter(path=small_vocabulary)
    whole = tokens.load_tokenizer(small_vocabulary).encode(text)
    normal, tokens.PIECE_CHARS = tokens.PIECE_CHARS, 2
    try:
        assert counter.count([text]) == [len(whole)]
    finally:
        tokens.PIECE_CHARS = normal


def test_gpt2_counts_of_real_texts_are_those_of_datatroves_counter():
    path = real_data.folder("tokenizers", "gpt2")
    texts = real_data.texts(200)
    counts = tokens.token_counter(path=path).count(texts)
    assert counts == whole_counts(tokens.load_tokenizer(path), texts)
    assert sum(counts) > 100 * len(texts)
