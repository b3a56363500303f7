"""The pool as token ids, made once per study: one tokenizer for all arms, never one per arm.

A byte-level BPE is trained on the union of all documents, before any rule, so that no arm is
encoded better than another for having shaped the vocabulary; or GPT-2's is read from its files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from decant.filters.words.unicode import without_surrogates
from decant.pipeline.tokens.counter import END_OF_TEXT, load_tokenizer

# A vocabulary of a few thousand is settled by a few megabytes; more only costs time.
TRAINING_CHARS = 20_000_000
LONGEST_CHARS = 50_000  # of one document in training: a page of machine noise is no language
BATCH_DOCUMENTS = 1_000


class StudyTokenizer:
    """Byte-level BPE behind the scoring door; a lone surrogate counts as U+FFFD."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        eos = tokenizer.token_to_id(END_OF_TEXT)
        if eos is None:
            raise ValueError(f"the tokenizer has no {END_OF_TEXT} token to end documents with")
        self.eos: int = eos
        self.vocab_size: int = tokenizer.get_vocab_size()

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text; no token is added."""
        clean = [without_surrogates(text)[0] for text in texts]
        return [e.ids for e in self._tokenizer.encode_batch(clean, add_special_tokens=False)]

    def to_bytes(self) -> bytes:
        """The tokenizer file."""
        return self._tokenizer.to_str().encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> StudyTokenizer:
        """The inverse of `to_bytes`."""
        return cls(Tokenizer.from_str(data.decode()))


def train_bpe(texts: Iterable[str], vocab_size: int) -> StudyTokenizer:
    """A byte-level BPE of at most `vocab_size` tokens, the same for the same texts in order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(texts), trainer)
    return StudyTokenizer(tokenizer)


def _training_texts(texts: Iterable[str]) -> Iterator[str]:
    left = TRAINING_CHARS
    for text in texts:
        part, _ = without_surrogates(text[: min(LONGEST_CHARS, left)])
        left -= len(part)
        yield part
        if left <= 0:
            return


def read_tokenizer(path: str | Path) -> StudyTokenizer:
    """A tokenizer from its file, or GPT-2's from the folder of its two files."""
    return StudyTokenizer(load_tokenizer(Path(path)))


def tokenise(
    tokenizer: StudyTokenizer, texts: Iterable[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids int32 [tokens], first int64 [n + 1], UTF-8 bytes int64 [n]), documents in order.

    The ids lie in a nameless file under `$TMPDIR` and are mapped, so that a pool may be larger than
    memory; what is held is a batch of texts and 16 bytes a document.
    """
    counts, sizes = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    with tempfile.TemporaryFile(prefix="decant-tokens-") as spool:
        for batch in _batches(texts):
            sizes.append(np.array([len(t.encode("utf-8", "replace")) for t in batch], np.int64))
            encodings = tokenizer.encode_batch(batch)
            counts.append(np.array([len(ids) for ids in encodings], np.int64))
            spool.write(np.fromiter(chain.from_iterable(encodings), np.int32).tobytes())
        spool.flush()
        first = np.cumsum(np.concatenate(counts))
        flat = np.memmap(spool, np.int32, "r") if first[-1] else np.zeros(0, dtype=np.int32)
    return flat, first, np.concatenate(sizes)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_DOCUMENTS:
            yield batch
            batch = []
    if batch:
        yield batch
