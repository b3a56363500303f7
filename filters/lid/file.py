"""A fastText classifier file (`lid.176.ftz`, `lid.176.bin`) as arrays that kernels can read.

The layout is that of fastText 0.9.2, version 12 (`src/fasttext.cc: saveModel`, `dictionary.cc`,
`quantmatrix.cc`, `productquantizer.cc`): settings, dictionary, input matrix, output matrix. Only
what the lid.176 models use is read; another kind of model raises `OtherModel`.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Any, NamedTuple

import numpy as np

MAGIC, VERSION = 793_712_314, 12
SUPERVISED, HIERARCHICAL_SOFTMAX = 3, 1
CENTROIDS = 256  # of each product quantizer: codes are bytes
WORD, LABEL = 0, 1


class OtherModel(Exception):
    """The file is no fastText classifier of the kind that the kernels know."""


class LidModel(NamedTuple):
    """What scoring a text needs.

    `vectors` float32 [rows, dimension]: a row per word, then one per n-gram bucket that was kept,
    in the order of buckets. `kept` uint64 [buckets / 32]: which those are, see `directory`; empty
    when none was pruned.
    `word_bytes` uint8 and `word_ends` int64 [words]: the words, one after the other.
    `left`, `right` int32 [2·labels - 1]: the children of each node of the Huffman tree, -1 at the
    leaves, which are the first `labels` nodes. `output` float32 [labels - 1, dimension]: a row for
    each inner node.
    """

    vectors: np.ndarray
    kept: np.ndarray
    buckets: int
    shortest: int
    longest: int
    word_bytes: np.ndarray
    word_ends: np.ndarray
    labels: tuple[str, ...]
    left: np.ndarray
    right: np.ndarray
    output: np.ndarray


class _Cursor:
    """Reads little-endian values from a buffer, one after the other."""

    def __init__(self, data: Any):
        self._data, self._at = data, 0

    def values(self, layout: str) -> tuple:
        fields = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return fields

    def array(self, dtype: str, count: int) -> np.ndarray:
        numbers = np.frombuffer(self._data, dtype, count, self._at)
        self._at += numbers.nbytes
        return numbers

    def word(self) -> bytes:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise OtherModel("a word of the dictionary does not end")
        characters = bytes(self._data[self._at : end])
        self._at = end + 1
        return characters


def read_model(path: str | os.PathLike[str]) -> LidModel:
    """The model in a file, mapped rather than copied where its matrix is dense.

    Raises OtherModel for a file of another kind, or one that ends early.
    """
    with open(path, "rb") as file:
        try:
            return _model(_Cursor(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except (struct.error, ValueError, IndexError) as error:  # cut short, or no model at all
            raise OtherModel(f"{os.fspath(path)}: {error}") from error


def _model(cursor: _Cursor) -> LidModel:
    if cursor.values("ii") != (MAGIC, VERSION):
        raise OtherModel("not a fastText model of version 12")
    settings = cursor.values("12id")
    dimension, word_ngrams, loss, kind, buckets, shortest, longest = (
        settings[place] for place in (0, 5, 6, 7, 8, 9, 10)
    )
    if (kind, loss, word_ngrams) != (SUPERVISED, HIERARCHICAL_SOFTMAX, 1) or shortest < 2:
        raise OtherModel("not a classifier of single words with a hierarchical softmax")
    size, words, labels, _, pruned = cursor.values("iiiqq")
    names, counts, kinds = [], [], []
    for _ in range(size):
        names.append(cursor.word())
        count, entry = cursor.values("qb")
        counts.append(count)
        kinds.append(entry)
    if kinds != [WORD] * words + [LABEL] * labels:
        raise OtherModel("words and labels are mixed")
    pairs = cursor.array("<i4", 2 * max(pruned, 0)).reshape(-1, 2)
    (quantized,) = cursor.values("?")
    vectors = _decoded(cursor) if quantized else _dense(cursor)
    (output_quantized,) = cursor.values("?")
    output = _decoded(cursor) if quantized and output_quantized else _dense(cursor)
    rows = words + (buckets if pruned < 0 else pruned)
    if vectors.shape != (rows, dimension) or output.shape != (labels, dimension):
        raise OtherModel("matrices of another shape than the dictionary asks for")
    kept = np.empty(0, np.uint64)
    if pruned >= 0:
        pairs = pairs[np.argsort(pairs[:, 0])]
        kept = directory(pairs[:, 0], buckets, words)
        vectors = np.concatenate([vectors[:words], vectors[words + pairs[:, 1]]])
    left, right = _huffman(counts[words:])
    return LidModel(
        vectors, kept, buckets, shortest, longest,
        np.frombuffer(b"".join(names[:words]), np.uint8),
        np.cumsum([len(name) for name in names[:words]]),
        tuple(name.decode().removeprefix("__label__") for name in names[words:]),
        left, right, output,
    )  # fmt: skip


def directory(kept: np.ndarray, buckets: int, first: int) -> np.ndarray:
    """For every 32 buckets the row of the first kept one, times 2³², and a bit for each kept one.

    Rows are counted from `first` on, in the order of `kept`, which rises. A table of rows would
    take 8 MB for 2,000,000 buckets, of which 2 % are kept, and miss the cache at every n-gram;
    this takes 0.5 MB.
    """
    flags = np.zeros((buckets // 32 + 1, 32), np.uint64)
    flags.ravel()[kept] = 1
    before = first + np.cumsum(flags.sum(axis=1)) - flags.sum(axis=1)
    return before.astype(np.uint64) << 32 | (flags << np.arange(32, dtype=np.uint64)).sum(axis=1)


def _dense(cursor: _Cursor) -> np.ndarray:
    rows, columns = cursor.values("qq")
    return cursor.array("<f4", rows * columns).reshape(rows, columns)


def _decoded(cursor: _Cursor) -> np.ndarray:
    """A quantized matrix written out: float32 norm times centroid, as the library multiplies."""
    has_norms, rows, _, code_bytes = cursor.values("?qqi")
    codes = cursor.array("u1", code_bytes).reshape(rows, -1)
    vectors = _centroids(cursor, codes)
    if has_norms:
        norm_codes = cursor.array("u1", rows).reshape(rows, 1)
        vectors = _centroids(cursor, norm_codes) * vectors
    return np.ascontiguousarray(vectors)


def _centroids(cursor: _Cursor, codes: np.ndarray) -> np.ndarray:
    """The vectors that `codes` (uint8 [rows, parts]) stand for."""
    dimension, parts, width, last = cursor.values("4i")
    table = cursor.array("<f4", dimension * CENTROIDS)
    if codes.shape[1] != parts or dimension != (parts - 1) * width + last:
        raise OtherModel("a product quantizer of another shape than its codes")
    columns = []
    for part in range(parts):
        size = last if part == parts - 1 else width
        begin = part * CENTROIDS * width
        columns.append(
            table[begin : begin + CENTROIDS * size].reshape(CENTROIDS, size)[codes[:, part]]
        )
    return np.concatenate(columns, axis=1)


def _huffman(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The children of each node of fastText's label tree (`loss.cc: buildTree`).

    `counts` fall; the two lightest nodes join, a leaf only where it is lighter than an inner node.
    """
    labels = len(counts)
    weights = [*counts, *[10**15] * (labels - 1)]
    children = np.full((2, 2 * labels - 1), -1, np.int32)
    leaf, node = labels - 1, labels
    for parent in range(labels, 2 * labels - 1):
        for side in (0, 1):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[side, parent], leaf = leaf, leaf - 1
            else:
                children[side, parent], node = node, node + 1
        weights[parent] = weights[children[0, parent]] + weights[children[1, parent]]
    return children[0], children[1]
