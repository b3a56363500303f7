"""Our token counts against `tokenizers` on whole texts, as datatrove's TokensCounter calls it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from decant.pipeline.tokens import counter as counting
from decant.pipeline.tokens.bpe import merges_of_tokenizer
from tests import real_data, small_tokenizer

pytestmark = pytest.mark.parity

ATOMS = [
    *"ab1é!日\n\t \u3000\u00a0\u0085\u200b\x1c’—…\u2009\u2028\u203f", "'s", "'ll", "<|endoftext|>",
    "<|endof", "text|>",
    "  ", " \n", "word", "...", "\U0001f600",
]  # fmt: skip


@pytest.fixture(scope="module")
def small_vocabulary(tmp_path_factory):
    return small_tokenizer.write(tmp_path_factory.mktemp("bpe"))


def whole_counts(tokenizer: Tokenizer, texts):
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]


def test_cutting_a_text_at_safe_places_does_not_change_its_count(small_vocabulary, monkeypatch):
    monkeypatch.setattr(counting, "PART_CHARS", 3)
    draw = random.Random(3)
    texts = ["".join(draw.choices(ATOMS, k=30)) for _ in range(5_000)]
    counter = counting.token_counter(path=small_vocabulary)
    assert sum(len(list(counting.parts(text))) > 1 for text in texts) > 3_000
    assert counter.count(texts) == whole_counts(counting.load_tokenizer(small_vocabulary), texts)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_counts_the_same_word_by_word(small_vocabulary, text):
    counter = counting.token_counter(path=small_vocabulary)
    whole = counting.load_tokenizer(small_vocabulary).encode(text)
    normal, counting.PART_CHARS = counting.PART_CHARS, 2
    try:
        assert counter.count([text]) == [len(whole)]
    finally:
        counting.PART_CHARS = normal


PIECES = st.sampled_from(
    ["'", "s", "re", "ll", "The", " ", "  ", "\n", "\r\n", "\t", "12", ".", "?!", "<", "\x1c",
     "\x7f", "ship", "SHIP", "'ve", "_", "<|endoftext|>", "é", "\u00a0",
     "’", "“", "—", "…", "\u200d", "\u2009"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=20).map("".join))
@settings(max_examples=500, deadline=None)
def test_words_marks_and_white_space_in_any_order_count_the_same(small_vocabulary, text):
    whole = counting.load_tokenizer(small_vocabulary).encode(text)
    assert counting.token_counter(path=small_vocabulary).count([text]) == [len(whole)]


def test_a_full_memory_of_words_changes_no_count(small_vocabulary, monkeypatch):
    monkeypatch.setattr(counting, "MEMO_WORDS", 5)
    draw = random.Random(4)
    texts = ["".join(draw.choices(ATOMS, k=12)) for _ in range(300)]
    counter = counting.token_counter(path=small_vocabulary)
    assert counter.count(texts) == whole_counts(counting.load_tokenizer(small_vocabulary), texts)


def test_ascii_words_are_counted_by_the_kernel(small_vocabulary):
    assert merges_of_tokenizer(counting.load_tokenizer(small_vocabulary)) is not None


def test_gpt2_counts_of_real_texts_are_those_of_datatroves_counter():
    path = real_data.folder("tokenizers", "gpt2")
    texts = real_data.texts(200)
    counts = counting.token_counter(path=path).count(texts)
    assert counts == whole_counts(counting.load_tokenizer(path), texts)
    assert sum(counts) > 100 * len(texts)
