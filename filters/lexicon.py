"""The memo of a process: white-space chunks and word tokens as small integers.

A page of 800 words has some 40 chunks not met before; the rest is a dictionary look-up. The memo is
bounded: a full one is dropped for a new one, which takes along the chunks that came up more than
once. Documents keep the lexicon they were read with, so ids never change under them.
"""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Sequence

import numpy as np

from filters import kernels
from filters.flags import JOINED_SHINGLES, JOINED_WORDS
from filters.words import Splitter, simplify

LEXICON_CHUNKS = 300_000
MERSENNE = (1 << 61) - 1
# Base of the hashes that find repeated n-grams, drawn anew by every process so that no text can be
# made to collide. Equal hashes are confirmed character by character: results do not depend on it.
HASH_BASE = 256 + secrets.randbelow(MERSENNE - 512)
HASH_INVERSE = pow(HASH_BASE, -1, MERSENNE)


class Column:
    """A numpy array that grows at its end."""

    def __init__(self, dtype: type, capacity: int = 1024) -> None:
        self._data = np.empty(capacity, dtype)
        self.size = 0

    def extend(self, values: Sequence[int] | bytes | bytearray) -> None:
        stop = self.size + len(values)
        if stop > len(self._data):
            self._data = np.concatenate([self._data, np.empty(stop, self._data.dtype)])
        if isinstance(values, bytes | bytearray):
            self._data[self.size : stop] = np.frombuffer(values, np.uint8)
        else:
            self._data[self.size : stop] = values
        self.size = stop

    @property
    def array(self) -> np.ndarray:
        return self._data[: self.size]


class Lexicon:
    """Chunk ids, token ids, and the tables that kernels read. One process, one thread.

    Tables per chunk: `word_starts` and `word_tokens` (token ids of chunk c:
    word_tokens[word_starts[c]:word_starts[c + 1]]), `shingle_starts` and `shingle_tokens` alike,
    `chunk_flags`. Tables per token: `token_chars` (code points), `byte_starts` and `bytes` (UTF-8),
    `token_flags`.
    """

    def __init__(self, splitter: Splitter) -> None:
        self.splitter = splitter
        self.chunk_ids: dict[str, int] = {}
        self.token_ids: dict[str, int] = {}
        self.word_starts, self.word_tokens = Column(np.int32), Column(np.int32)
        self.shingle_starts, self.shingle_tokens = Column(np.int32), Column(np.int32)
        self.chunk_flags = Column(np.uint8)
        self.token_chars, self.token_flags = Column(np.int32), Column(np.uint8)
        self.byte_starts, self.bytes = Column(np.int64), Column(np.uint8)
        self._hashes = np.empty((0, 3), np.uint64)
        for starts in (self.word_starts, self.shingle_starts, self.byte_starts):
            starts.extend((0,))

    def ids(self, chunks: Sequence[str]) -> np.ndarray:
        """The ids of `chunks`, int32; new chunks are split and remembered."""
        look_up = self.chunk_ids.__getitem__
        try:
            found = array("i", map(look_up, chunks))
        except KeyError:
            self._learn([chunk for chunk in dict.fromkeys(chunks) if chunk not in self.chunk_ids])
            found = array("i", map(look_up, chunks))
        return np.frombuffer(found, np.int32) if found else np.empty(0, np.int32)

    def chunk_ids_of(self, text: str, chunks: Sequence[str]) -> np.ndarray:
        """The ids of the chunks of `text`, each with the words it has beside its neighbours."""
        ids = self.ids(chunks)
        joined = np.flatnonzero(self.chunk_flags.array[ids] & JOINED_WORDS)
        if joined.size == 0:
            return ids
        ids = ids.copy()
        for number, words in self.splitter.words_in_context(text, joined.tolist()).items():
            ids[number] = self._variant(chunks[number], words)
        return ids

    def token_id(self, token: str) -> int:
        """The id of `token`; a new token enters the tables."""
        number = self.token_ids.get(token)
        if number is None:
            number = self.token_ids[token] = len(self.token_ids)
            encoded = token.encode()
            self.token_chars.extend((len(token),))
            self.token_flags.extend((self.splitter.token_flags(token),))
            self.bytes.extend(encoded)
            self.byte_starts.extend((self.bytes.size,))
        return number

    def known_ids(self, tokens: tuple[str, ...]) -> np.ndarray:
        """The ids of those `tokens` that the lexicon has met, int32."""
        met = (self.token_ids.get(token) for token in tokens)
        return np.array([number for number in met if number is not None], np.int32)

    @property
    def hashes(self) -> np.ndarray:
        """Per token: hash of its UTF-8 bytes, base^length, base^-length; uint64 [tokens, 3]."""
        done = len(self._hashes)
        if done < len(self.token_ids):
            fresh = kernels.token_hashes(
                done,
                self.byte_starts.array,
                self.bytes.array,
                np.uint64(HASH_BASE),
                np.uint64(HASH_INVERSE),
            )
            self._hashes = np.concatenate([self._hashes, fresh])
        return self._hashes

    def words(self, ids: np.ndarray) -> np.ndarray:
        """The word tokens of these chunks, int32."""
        return kernels.expand(ids, self.word_starts.array, self.word_tokens.array)

    def shingle_words(self, text: str, ids: np.ndarray) -> np.ndarray:
        """The tokens of the normalised `text`, int32."""
        if (self.chunk_flags.array[ids] & JOINED_SHINGLES).any():
            tokens = self.splitter.words(simplify(text))
            return np.array([self.token_id(token) for token in tokens], np.int32)
        return kernels.expand(ids, self.shingle_starts.array, self.shingle_tokens.array)

    def _learn(self, chunks: Sequence[str]) -> None:
        for chunk in chunks:
            split = self.splitter.split(chunk)
            self._add(chunk, split.words, split.shingle_words, split.flags)

    def _add(self, key: str, words: Sequence[str], shingle_words: Sequence[str], flags: int) -> int:
        self.word_tokens.extend([self.token_id(word) for word in words])
        self.word_starts.extend((self.word_tokens.size,))
        self.shingle_tokens.extend([self.token_id(word) for word in shingle_words])
        self.shingle_starts.extend((self.shingle_tokens.size,))
        self.chunk_flags.extend((flags,))
        self.chunk_ids[key] = len(self.chunk_ids)
        return self.chunk_ids[key]

    def _variant(self, chunk: str, words: Sequence[str]) -> int:
        """The id of `chunk` with these words; its key holds line feeds, as no chunk does."""
        key = "\n".join((chunk, "", *words))
        known = self.chunk_ids.get(key)
        if known is not None:
            return known
        split = self.splitter.split(chunk)
        return self._add(key, words, split.shingle_words, split.flags)


class Memo:
    """The current lexicon of a process, replaced before it outgrows its bound."""

    def __init__(self, chunks: int = LEXICON_CHUNKS) -> None:
        self.limit = chunks
        self._lexicon: Lexicon | None = None

    def lexicon(self) -> Lexicon:
        """The lexicon to read the next document with."""
        if self._lexicon is None:
            self._lexicon = Lexicon(Splitter())
        elif len(self._lexicon.chunk_ids) >= self.limit:
            self._lexicon = Lexicon(self._lexicon.splitter)
        return self._lexicon


MEMO = Memo()
