"""The token count of an ASCII word under GPT-2's byte-level BPE, as a kernel.

`tokenizers` takes 5 µs a call, and a new page brings 50 words never seen before. A kernel splits a
word as GPT-2's pattern does and merges byte pairs by rank; `tests/parity/test_tokens.py` compares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from decant.filters.compile import Number, kernel
from decant.filters.words.ngrams import GOLDEN

SPACE, LETTER, DIGIT, OTHER = 0, 1, 2, 3
KINDS = np.full(256, OTHER, np.int8)  # of a byte; no letter is among those of U+2000-U+203F
KINDS[[*range(9, 14), 32]] = SPACE
KINDS[[*range(65, 91), *range(97, 123)]] = LETTER
KINDS[48:58] = DIGIT
NO_MERGE = np.int64(1 << 62)


class Merges(NamedTuple):
    """What each byte is as a token, and what pairs of tokens merge into, see `merge_table`."""

    byte_ids: np.ndarray
    keys: np.ndarray
    ranks: np.ndarray
    tokens: np.ndarray


def merges_of(vocabulary: dict[str, int], merges: Sequence[Sequence[str]]) -> Merges:
    """The merges of a vocabulary; KeyError where it lacks a byte or a merged token."""
    names = byte_names()
    byte_ids = np.array([vocabulary[names[byte]] for byte in range(256)], np.int64)
    pairs = np.array([[vocabulary[a], vocabulary[b]] for a, b in merges], np.int64)
    merged = np.array([vocabulary[a + b] for a, b in merges], np.int64)
    return Merges(byte_ids, *merge_table(pairs.reshape(-1, 2), merged))


def merges_of_tokenizer(tokenizer: Tokenizer) -> Merges | None:
    """The merges of a tokenizer; None where its model does more than merge bytes."""
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    plain = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
    merges_only = not any(model.get(name) for name in (*plain, "byte_fallback", "ignore_merges"))
    if model["type"] != "BPE" or not merges_only:
        return None
    pairs = [tuple(one.split(" ") if isinstance(one, str) else one) for one in model["merges"]]
    try:
        return merges_of(model["vocab"], pairs)
    except (KeyError, ValueError):  # bytes or merges that the vocabulary lacks
        return None


def byte_names() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary (Radford et al. 2019).

    Visible Latin-1 characters stand for themselves, the others for U+0100 and on, in order.
    """
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte if byte in shown else 256 + hidden.index(byte)) for byte in range(256)]


@kernel
def merge_table(pairs: np.ndarray, merged: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(keys, ranks, tokens) of an open-addressed table: what a pair of tokens merges into."""
    size = 16
    while size < 2 * len(pairs):
        size *= 2
    keys = np.full(size, -1, np.int64)
    ranks, tokens = np.empty(size, np.int64), np.empty(size, np.int64)
    for rank in range(len(pairs)):
        key = pairs[rank, 0] << 32 | pairs[rank, 1]
        slot = place_of(key, size)
        while keys[slot] >= 0 and keys[slot] != key:
            slot = (slot + 1) & (size - 1)
        keys[slot], ranks[slot], tokens[slot] = key, rank, merged[rank]
    return keys, ranks, tokens


@kernel
def place_of(key: Number, size: int) -> int:
    """Where a pair of tokens is looked for first in a table of `size`, a power of two."""
    return int((np.uint64(key) * GOLDEN) >> np.uint64(32)) & (size - 1)


@kernel
def count_word(text: np.ndarray, start: int, stop: int, merges: Merges) -> int:
    """The number of tokens of the word text[start:stop], which `word_memo.word_end` allows."""
    count = 0
    while start < stop:
        end = piece_end(text, start, stop)
        ids = np.empty(end - start, np.int64)
        for k in range(len(ids)):
            ids[k] = merges.byte_ids[text[start + k]]
        count += merged_length(ids, merges.keys, merges.ranks, merges.tokens)
        start = end
    return count


@kernel
def piece_end(text: np.ndarray, start: int, end: int) -> int:
    """Where the piece of GPT-2's pattern that begins at `start` ends, in text[:end].

    's|'t|'re|'ve|'m|'ll|'d| ?letters| ?digits| ?others|white space but the last before a word
    """
    kind = KINDS[text[start]]
    if kind == SPACE:
        visible = start + 1
        while visible < end and KINDS[text[visible]] == SPACE:
            visible += 1
        if visible == end:
            return end
        if visible > start + 1:
            return visible - 1
        if text[start] != 32:
            return visible
        start, kind = visible, KINDS[text[visible]]
    elif text[start] == ord("'") and start + 1 < end:
        first = text[start + 1]
        if first in (ord("s"), ord("t"), ord("m"), ord("d")):
            return start + 2
        if start + 2 < end:
            second = text[start + 2]
            if (first in (ord("r"), ord("v")) and second == ord("e")) or (
                first == ord("l") and second == ord("l")
            ):
                return start + 3
    while start < end and KINDS[text[start]] == kind:
        start += 1
    return start


@kernel
def merged_length(ids: np.ndarray, keys: np.ndarray, ranks: np.ndarray, tokens: np.ndarray) -> int:
    """How many tokens are left of `ids` when the pair of lowest rank is merged until none is."""
    count = len(ids)
    while count > 1:
        best_rank, best, token = NO_MERGE, -1, np.int64(0)
        for i in range(count - 1):
            key = ids[i] << 32 | ids[i + 1]
            slot = place_of(key, len(keys))
            while keys[slot] >= 0 and keys[slot] != key:
                slot = (slot + 1) & (len(keys) - 1)
            if keys[slot] == key and ranks[slot] < best_rank:
                best_rank, best, token = ranks[slot], i, tokens[slot]
        if best < 0:
            break
        ids[best] = token
        for i in range(best + 1, count - 1):
            ids[i] = ids[i + 1]
        count -= 1
    return count
