"""The memo of a process: white-space chunks and word tokens as small integers.

A page of 800 words has some 60 chunks not met before; the rest is one look-up each. The memo is
bounded: a full one makes way for a new one, which takes along the third it met most often.
Documents keep the lexicon they were read with, so numbers never change under them.
"""

from __future__ import annotations

import contextlib
import gc
import secrets
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from filters import kernels
from filters.flags import JOINED_SHINGLES, JOINED_WORDS
from filters.scan import insert_chunks, scan
from filters.words import ChunkTokens, Splitter, simplify

LEXICON_CHUNKS = 200_000  # about 100 MB with their tokens
FIRST_SLOTS = 1 << 14
# Multipliers of the hashes that find chunks and repeated n-grams, drawn anew by every process so
# that no text can be made to collide. What a hash finds is confirmed byte by byte: no result
# depends on them.
MULTIPLIER = np.uint64(secrets.randbits(64) | 1)
HASH_BASE = secrets.randbits(64) | 1
HASH_INVERSE = pow(HASH_BASE, -1, 1 << 64)


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Pause the cycle collector, which thousands of small lists without a cycle set off in vain.

    It took a sixth of the time of a first pass.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Column:
    """A numpy array that grows at its end."""

    def __init__(self, dtype: type, first: Sequence[int] = ()) -> None:
        self._data = np.zeros(1024, dtype)
        self.size = 0
        self.extend(np.array(first, dtype))

    def extend(self, values: np.ndarray | Sequence[int]) -> None:
        stop = self.size + len(values)
        if stop > len(self._data):
            self._data = np.concatenate([self._data, np.zeros(stop, self._data.dtype)])
        self._data[self.size : stop] = values
        self.size = stop

    @property
    def array(self) -> np.ndarray:
        return self._data[: self.size]


class TokenTable:
    """Token ids and what kernels ask of a token.

    `chars` (code points), `flags`, `byte_starts` and `bytes` (UTF-8 of token t:
    bytes[byte_starts[t]:byte_starts[t + 1]]), `hashes` (of these bytes).
    """

    def __init__(self, splitter: Splitter) -> None:
        self.splitter = splitter
        self.numbers: dict[str, int] = {}
        self._chars, self._flags = Column(np.int32), Column(np.uint8)
        self._byte_starts, self._bytes = Column(np.int64, (0,)), Column(np.uint8)
        self._hashes = np.empty((0, 3), np.uint64)
        self._fresh: list[str] = []

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """The ids of `tokens`; new ones are in the tables after `settle`."""
        found = []
        for token in tokens:
            number = self.numbers.get(token)
            if number is None:
                number = self.numbers[token] = len(self.numbers)
                self._fresh.append(token)
            found.append(number)
        return found

    def settle(self) -> None:
        """Write what is new to the tables."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        encoded = [token.encode() for token in fresh]
        self._chars.extend([len(token) for token in fresh])
        self._flags.extend([self.splitter.token_flags(token) for token in fresh])
        ends = np.cumsum([len(token) for token in encoded]) + self._bytes.size
        self._byte_starts.extend(ends)
        self._bytes.extend(np.frombuffer(b"".join(encoded), np.uint8))

    @property
    def chars(self) -> np.ndarray:
        return self._chars.array

    @property
    def flags(self) -> np.ndarray:
        return self._flags.array

    @property
    def byte_starts(self) -> np.ndarray:
        return self._byte_starts.array

    @property
    def bytes(self) -> np.ndarray:
        return self._bytes.array

    @property
    def hashes(self) -> np.ndarray:
        """Per token: hash of its UTF-8 bytes, base^length, base^-length; uint64 [tokens, 3]."""
        done = len(self._hashes)
        if done < self._chars.size:
            base, inverse = np.uint64(HASH_BASE), np.uint64(HASH_INVERSE)
            fresh = kernels.token_hashes(done, self.byte_starts, self.bytes, base, inverse)
            self._hashes = np.concatenate([self._hashes, fresh])
        return self._hashes


class Scan(NamedTuple):
    """What one pass over a text found, see `scan.scan`."""

    chunks: np.ndarray
    spans: np.ndarray
    spaces: np.ndarray
    line_chunks: np.ndarray
    line_odd: np.ndarray


class Lexicon:
    """Chunk numbers and what each chunk falls into. One process, one thread.

    The words of chunk c are word_tokens[word_starts[c]:word_starts[c + 1]], its words as MinHash
    compares them shingle_tokens[shingle_starts[c]:shingle_starts[c + 1]]: token ids, int32.
    """

    def __init__(self, splitter: Splitter) -> None:
        self.splitter = splitter
        self.tokens = TokenTable(splitter)
        self._slots = np.zeros((FIRST_SLOTS, 2), np.uint64)
        self._byte_starts, self._bytes = Column(np.int64, (0,)), Column(np.uint8)
        self._word_starts, self._word_tokens = Column(np.int32, (0,)), Column(np.int32)
        self._shingle_starts, self._shingle_tokens = Column(np.int32, (0,)), Column(np.int32)
        self._chunk_flags = Column(np.uint8)
        self._uses = Column(np.uint32)
        self._variants: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        """Chunks known."""
        return self._chunk_flags.size

    def scan(self, text: str) -> Scan:
        """The chunks and lines of `text`; chunks not met before are split and remembered."""
        data = text.encode() + b"\0\0"
        found = self._scan(data)
        missing = np.flatnonzero(found.chunks < 0)
        if missing.size:
            unknown = [data[start:stop] for start, stop in found.spans[missing].tolist()]
            numbers = self._learn(list(dict.fromkeys(unknown)))
            found.chunks[missing] = [numbers[chunk] for chunk in unknown]
        joined = kernels.use(
            found.chunks, self._uses.array, self._chunk_flags.array, np.uint8(JOINED_WORDS)
        )
        if joined.size:
            self._settle_joins(text, data, found, joined.tolist())
        return found

    def _scan(self, data: bytes) -> Scan:
        numbers = np.frombuffer(data, np.uint8)
        return Scan(*scan(numbers, self._slots, *self._keys()))

    def _keys(self) -> tuple:
        shift = 64 - (len(self._slots).bit_length() - 1)
        return self._byte_starts.array, self._bytes.array, MULTIPLIER, shift

    def _settle_joins(self, text: str, data: bytes, found: Scan, places: list[int]) -> None:
        """Give chunks in which a special case was joined the words they have beside others."""
        for place, words in self.splitter.words_in_context(text, places).items():
            start, stop = found.spans[place].tolist()
            found.chunks[place] = self._variant(data[start:stop].decode(), words)

    def words(self, chunks: np.ndarray) -> np.ndarray:
        """The word tokens of these chunks, int32."""
        return kernels.expand(chunks, self._word_starts.array, self._word_tokens.array)

    def shingle_words(self, text: str, chunks: np.ndarray) -> np.ndarray:
        """The tokens of the normalised `text`, int32."""
        if (self._chunk_flags.array[chunks] & JOINED_SHINGLES).any():
            found = self.tokens.ids(self.splitter.words(simplify(text)))
            self.tokens.settle()
            return np.array(found, np.int32)
        return self._shingle_words(chunks)

    def _shingle_words(self, chunks: np.ndarray) -> np.ndarray:
        return kernels.expand(chunks, self._shingle_starts.array, self._shingle_tokens.array)

    def known_ids(self, tokens: tuple[str, ...]) -> np.ndarray:
        """The ids of those `tokens` that the lexicon has met, int32."""
        numbers = self.tokens.numbers
        return np.array([numbers[token] for token in tokens if token in numbers], np.int32)

    @property
    def word_table(self) -> tuple[np.ndarray, np.ndarray]:
        """`word_starts` and `word_tokens`."""
        return self._word_starts.array, self._word_tokens.array

    def _learn(self, chunks: list[bytes]) -> dict[bytes, int]:
        """The numbers of chunks not met before, which are split and remembered."""
        split, first = self.splitter.split, len(self)
        with no_collection():
            self._add(chunks, [split(chunk.decode()) for chunk in chunks])
        return dict(zip(chunks, range(first, len(self)), strict=True))

    def _add(self, keys: Sequence[bytes], splits: Sequence[ChunkTokens]) -> None:
        words = [self.tokens.ids(one.words) for one in splits]
        shingle_words = [self.tokens.ids(one.shingle_words) for one in splits]
        self.tokens.settle()
        _extend(self._word_starts, self._word_tokens, words)
        _extend(self._shingle_starts, self._shingle_tokens, shingle_words)
        self._enter(keys, [one.flags for one in splits])

    def _enter(self, keys: Sequence[bytes], flags: Sequence[int] | np.ndarray) -> None:
        """Give chunks, whose tokens are in the tables, their bytes and a place to be found at."""
        first = len(self)
        self._chunk_flags.extend(flags)
        self._uses.extend(np.zeros(len(keys), np.uint32))
        self._byte_starts.extend(np.cumsum([len(key) for key in keys]) + self._bytes.size)
        self._bytes.extend(np.frombuffer(b"".join(keys), np.uint8))
        if 2 * len(self) > len(self._slots):
            slots = 1 << (4 * len(self)).bit_length()
            self._slots, first = np.zeros((slots, 2), np.uint64), 0
        insert_chunks(first, len(self) - first, self._slots, *self._keys())

    def renewed(self, chunks: int) -> Lexicon:
        """A lexicon of the chunks met most often, at most `chunks`, and of their tokens only."""
        often = np.argsort(-self._uses.array, kind="stable")[:chunks]
        often = np.sort(often[self._uses.array[often] > 1])
        starts, pool = self._byte_starts.array, self._bytes.array.tobytes()
        keys = [pool[starts[number] : starts[number + 1]] for number in often.tolist()]
        often = often[[bool(key) for key in keys]]  # a variant has no bytes
        fresh = Lexicon(self.splitter)
        words, shingle_words = self.words(often), self._shingle_words(often)
        used = np.unique(np.concatenate([words, shingle_words]))
        strings = list(self.tokens.numbers)
        fresh.tokens.ids([strings[number] for number in used.tolist()])
        fresh.tokens.settle()
        renumber = np.zeros(len(strings), np.int32)
        renumber[used] = np.arange(len(used))
        fresh._word_tokens.extend(renumber[words])
        fresh._word_starts.extend(np.cumsum(np.diff(self._word_starts.array)[often]))
        fresh._shingle_tokens.extend(renumber[shingle_words])
        fresh._shingle_starts.extend(np.cumsum(np.diff(self._shingle_starts.array)[often]))
        fresh._enter([key for key in keys if key], self._chunk_flags.array[often])
        return fresh

    def _variant(self, chunk: str, words: list[str]) -> int:
        """The number of `chunk` with these words; the table of chunks does not lead to it."""
        key = (chunk, *words)
        if key not in self._variants:
            self._variants[key] = len(self)
            self._add([b""], [self.splitter.split(chunk)._replace(words=words)])
        return self._variants[key]


def _extend(starts: Column, tokens: Column, groups: Sequence[list[int]]) -> None:
    """Append groups of token ids and where each of them ends."""
    starts.extend(np.cumsum([len(group) for group in groups]) + tokens.size)
    tokens.extend([token for group in groups for token in group])


class Memo:
    """The current lexicon of a process, replaced before it outgrows its bound.

    The new one takes along what the old one met most often. Words are a function of the text, so
    no result depends on when that happens.
    """

    def __init__(self, chunks: int = LEXICON_CHUNKS) -> None:
        self.limit = chunks
        self._lexicon: Lexicon | None = None

    def lexicon(self) -> Lexicon:
        """The lexicon to read the next document with."""
        if self._lexicon is None:
            self._lexicon = Lexicon(Splitter())
        elif len(self._lexicon) >= self.limit:
            self._lexicon = self._lexicon.renewed(self.limit // 3)
        return self._lexicon

    def clear(self) -> None:
        """Forget every chunk."""
        if self._lexicon is not None:
            self._lexicon = Lexicon(self._lexicon.splitter)


MEMO = Memo()
