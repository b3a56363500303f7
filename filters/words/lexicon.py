"""The memo of a process: white-space chunks and word tokens as small integers.

A page of 1,100 words has some 80 chunks not met before; the rest is one look-up each. The memo is
bounded: a full one makes way for a new one, which takes along the third it met most often.
Documents keep the lexicon they were read with, so numbers never change under them.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from decant.filters.words import ngrams, tables
from decant.filters.words.learn_kernel import learn
from decant.filters.words.marks import JOINED_SHINGLES, JOINED_WORDS
from decant.filters.words.scan import PADDING, scan
from decant.filters.words.spacy_tables import token_flags, word_rules
from decant.filters.words.splitter import ChunkTokens, Splitter, simplify
from decant.filters.words.tables import (
    CHUNK_BYTES,
    CHUNKS,
    ROOM,
    SHINGLE_WORDS,
    TOKEN_BYTES,
    TOKENS,
    WORDS,
)

LEXICON_CHUNKS = 350_000  # about 90 MB with their tokens; eight WARC files of a crawl hold 225,000
SEEDS = tables.drawn_seeds()


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


class Scan(NamedTuple):
    """The bytes of a text, and what one pass over them finds, see `scan.scan`."""

    data: bytes
    chunks: np.ndarray
    spans: np.ndarray
    spaces: np.ndarray
    line_chunks: np.ndarray
    line_odd: np.ndarray

    @property
    def chunk_bytes(self) -> np.ndarray:
        """`data` as kernels take it."""
        return np.frombuffer(self.data, np.uint8)

    @property
    def longest_chunk(self) -> int:
        """Bytes of the longest chunk."""
        sizes = self.spans[:, 1] - self.spans[:, 0]
        return int(sizes.max()) if len(sizes) else 0


class Lexicon:
    """Chunk numbers and what each chunk falls into. One process, one thread.

    `chunks` and `tokens` are replaced when they grow: take a table after the ids to look up in it.
    """

    def __init__(self, splitter: Splitter) -> None:
        self.splitter = splitter
        self.chunks = tables.empty_chunks()
        self.tokens = tables.empty_tokens()
        self.sizes = np.zeros(6, np.int64)
        self.rules = word_rules(splitter.tokenizer.rules, splitter.sentence_ends, SEEDS.multiplier)
        self._variants: dict[tuple[str, ...], int] = {}
        self._wanted: dict[tuple[str, ...], np.ndarray] = {}

    def __len__(self) -> int:
        """Chunks known."""
        return int(self.sizes[CHUNKS])

    def scan(self, text: str) -> Scan:
        """The chunks and lines of `text`; chunks not met before are split and remembered."""
        data = text.encode() + bytes(PADDING)
        numbers = np.frombuffer(data, np.uint8)
        table = self.chunks
        shift = tables.slot_shift(table.slots)
        result = Scan(
            data,
            *scan(numbers, table.slots, table.byte_starts, table.bytes, SEEDS.multiplier, shift),
        )
        if (result.chunks < 0).any():
            self._learn(numbers, result)
        joined = ngrams.use(
            result.chunks, self.chunks.uses, self.chunks.flags, np.uint8(JOINED_WORDS)
        )
        if joined.size:
            self._settle_joins(result, joined.tolist())
        return result

    def _learn(self, data: np.ndarray, scan: Scan) -> None:
        """Split and remember the chunks not met before, and number them."""
        if self.rules is not None:
            done = self._learn_from(data, scan, 0)
            while done < len(scan.chunks):
                self._chunk_room(ROOM, ROOM)
                self._token_room(ROOM, ROOM)
                done = self._learn_from(data, scan, done)
        missing = np.flatnonzero(scan.chunks < 0)
        if missing.size:
            unknown = [scan.data[start:stop] for start, stop in scan.spans[missing].tolist()]
            keys, first, split = list(dict.fromkeys(unknown)), len(self), self.splitter.split
            with no_collection():
                self._add(keys, [split(chunk.decode()) for chunk in keys])
            places = dict(zip(keys, range(first, len(self)), strict=True))
            scan.chunks[missing] = [places[chunk] for chunk in unknown]

    def _learn_from(self, data: np.ndarray, scan: Scan, first: int) -> int:
        """Where the kernel stopped for want of room; the number of chunks when it is done."""
        assert self.rules is not None
        tables_ = self.chunks, self.tokens, self.sizes
        return learn(data, scan.spans, scan.chunks, first, self.rules, *tables_, SEEDS)

    def _settle_joins(self, scan: Scan, places: list[int]) -> None:
        """Give chunks in which a special case was joined the words they have beside others."""
        for place in places:
            first, near = self.splitter.neighbours(place, len(scan.spans))
            start, stop = scan.spans[first, 0], scan.spans[near - 1, 1]
            words = self.splitter.words_in_context(scan.data[start:stop].decode(), place - first)
            start, stop = scan.spans[place].tolist()
            scan.chunks[place] = self._variant(scan.data[start:stop].decode(), words)

    def words(self, chunks: np.ndarray) -> np.ndarray:
        """The word tokens of these chunks, int32."""
        return ngrams.expand(chunks, self.chunks.word_starts, self.chunks.word_tokens)

    def shingle_words(self, text: str, chunks: np.ndarray) -> np.ndarray:
        """The tokens of the normalised `text`, int32."""
        if (self.chunks.flags[chunks] & JOINED_SHINGLES).any():
            return self.token_ids(self.splitter.words(simplify(text)))
        return self._shingle_words(chunks)

    def _shingle_words(self, chunks: np.ndarray) -> np.ndarray:
        return ngrams.expand(chunks, self.chunks.shingle_starts, self.chunks.shingle_tokens)

    def token_ids(self, tokens: Sequence[str]) -> np.ndarray:
        """The ids of `tokens`, int32; new ones enter the table."""
        known = int(self.sizes[TOKENS])
        encoded = [token.encode() for token in tokens]
        data = b"".join(encoded)
        self._token_room(len(tokens), len(data))
        ends = np.cumsum([len(token) for token in encoded], dtype=np.int64)
        flags = np.zeros(len(tokens), np.uint8)
        numbers = np.frombuffer(data + bytes(PADDING), np.uint8)
        ids = tables.intern_tokens(numbers, ends, flags, self.tokens, self.sizes, SEEDS)
        for place in np.flatnonzero(ids >= known).tolist():
            flags_of = token_flags(tokens[place], self.splitter.sentence_ends)
            self.tokens.flags[ids[place]] = flags_of
        return ids

    def token_strings(self, ids: np.ndarray) -> list[str]:
        """The tokens with these ids."""
        starts, pool = self.tokens.byte_starts, self.tokens.bytes
        spans = np.stack([starts[ids], starts[ids + 1]], 1).tolist()
        return [pool[start:stop].tobytes().decode() for start, stop in spans]

    def _chunk_room(self, chunks: int, size_bytes: int) -> None:
        """Room for so many new chunks of so many bytes, none with more tokens than bytes."""
        sizes = self.sizes.tolist()
        rows = sizes[CHUNKS] + chunks
        self.chunks = tables.with_room(
            self.chunks,
            rows,
            bytes=sizes[CHUNK_BYTES] + size_bytes + PADDING,
            word_tokens=sizes[WORDS] + size_bytes,
            shingle_tokens=sizes[SHINGLE_WORDS] + size_bytes,
        )
        self.chunks = tables.with_slots(self.chunks, sizes[CHUNKS], rows, SEEDS)

    def _token_room(self, tokens: int, size_bytes: int) -> None:
        """Room for so many new tokens of so many bytes."""
        sizes = self.sizes.tolist()
        rows, pool = sizes[TOKENS] + tokens, sizes[TOKEN_BYTES] + size_bytes + PADDING
        self.tokens = tables.with_room(self.tokens, rows, bytes=pool)
        self.tokens = tables.with_slots(self.tokens, sizes[TOKENS], rows, SEEDS)

    def _add(self, keys: Sequence[bytes], splits: Sequence[ChunkTokens]) -> None:
        """Remember chunks and their tokens. A variant has no bytes: no text finds it by them."""
        words = [word for one in splits for word in one.words]
        shingle_words = [word for one in splits for word in one.shingle_words]
        ids = self.token_ids(words + shingle_words)
        counts = [len(one.words) for one in splits], [len(one.shingle_words) for one in splits]
        ids = ids[: len(words)], ids[len(words) :]
        self._enter(keys, *counts, *ids, [one.flags for one in splits])

    def _enter(
        self,
        keys: Sequence[bytes],
        words: Sequence[int] | np.ndarray,
        shingle_words: Sequence[int] | np.ndarray,
        word_ids: np.ndarray,
        shingle_ids: np.ndarray,
        flags: Sequence[int] | np.ndarray,
    ) -> None:
        """Write rows whose tokens have ids: so many words each, their ids one after the other."""
        data = b"".join(keys)
        self._chunk_room(len(keys), max(len(data), len(word_ids), len(shingle_ids)))
        first = len(self)
        rows, ends = slice(first, first + len(keys)), slice(first + 1, first + len(keys) + 1)
        table, sizes = self.chunks, self.sizes
        for starts, pool, counts, values, size in (
            (
                table.byte_starts,
                table.bytes,
                [*map(len, keys)],
                np.frombuffer(data, np.uint8),
                CHUNK_BYTES,
            ),
            (table.word_starts, table.word_tokens, words, word_ids, WORDS),
            (table.shingle_starts, table.shingle_tokens, shingle_words, shingle_ids, SHINGLE_WORDS),
        ):
            starts[ends] = np.cumsum(counts) + sizes[size]
            pool[sizes[size] : sizes[size] + len(values)] = values
            sizes[size] += len(values)
        table.flags[rows], table.uses[rows] = flags, 0
        sizes[CHUNKS] += len(keys)
        tables.enter(table, first, len(self), SEEDS)

    def renewed(self, chunks: int) -> Lexicon:
        """A lexicon of the chunks met most often, at most `chunks`, and of their tokens only."""
        table, uses = self.chunks, self.chunks.uses[: len(self)]
        often = np.argsort(-uses.astype(np.int64), kind="stable")[:chunks]
        often = np.sort(often[uses[often] > 1])
        often = often[table.byte_starts[often] < table.byte_starts[often + 1]]  # no variants
        pool = table.bytes.tobytes()
        spans = np.stack([table.byte_starts[often], table.byte_starts[often + 1]], 1).tolist()
        words, shingle_words = self.words(often), self._shingle_words(often)
        used = np.unique(np.concatenate([words, shingle_words]))
        fresh = Lexicon(self.splitter)
        renumber = np.zeros(self.sizes[TOKENS], np.int32)
        renumber[used] = fresh.token_ids(self.token_strings(used))
        fresh._enter(
            [pool[start:stop] for start, stop in spans],
            np.diff(table.word_starts)[often],
            np.diff(table.shingle_starts)[often],
            renumber[words],
            renumber[shingle_words],
            table.flags[often],
        )
        return fresh

    def _variant(self, chunk: str, words: list[str]) -> int:
        """The number of `chunk` with these words; the table of chunks does not lead to it."""
        key = (chunk, *words)
        if key not in self._variants:
            self._variants[key] = len(self)
            self._add([b""], [self.splitter.split(chunk)._replace(words=words)])
        return self._variants[key]

    def wanted_ids(self, tokens: tuple[str, ...]) -> np.ndarray:
        """The ids of `tokens`, int32, looked up once."""
        if tokens not in self._wanted:
            self._wanted[tokens] = self.token_ids(tokens)
        return self._wanted[tokens]


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
