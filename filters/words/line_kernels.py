"""Kernels over the lines of a scanned text: their ends, which of them stay, and their sentences."""

from __future__ import annotations

import numpy as np

from decant.filters.compile import Number, kernel, leaf_kernel
from decant.filters.words.marks import PUNCTUATION_MARK, SENTENCE_END
from decant.filters.words.scan import OTHER_SPACE

DOT, HYPHEN, LINE_FEED = ord("."), ord("-"), ord("\n")
BULLET, ELLIPSIS = 0xA2, 0xA6  # last bytes of • and …; E2 80 stands before them


@kernel
def line_marks(data: np.ndarray, spans: np.ndarray, line_chunks: np.ndarray) -> tuple[int, int]:
    """Lines whose first chunk starts with • or -, and whose last one ends with ... or …."""
    bullets, ellipses = 0, 0
    for line in range(len(line_chunks) - 1):
        if line_chunks[line] == line_chunks[line + 1]:
            continue
        start = spans[line_chunks[line], 0]
        if data[start] == HYPHEN or (
            data[start] == 0xE2 and data[start + 1] == 0x80 and data[start + 2] == BULLET
        ):
            bullets += 1
        last = line_chunks[line + 1] - 1
        stop = spans[last, 1]
        if stop - spans[last, 0] >= 3:
            a, b, c = data[stop - 3], data[stop - 2], data[stop - 1]
            if (a == DOT and b == DOT and c == DOT) or (a == 0xE2 and b == 0x80 and c == ELLIPSIS):
                ellipses += 1
    return bullets, ellipses


@kernel
def kept_lines(
    data: np.ndarray,
    ids: np.ndarray,
    spans: np.ndarray,
    spaces: np.ndarray,
    line_chunks: np.ndarray,
    dropped: np.ndarray,
    min_chunks: int,
    starts: np.ndarray,
    tokens: np.ndarray,
    flags: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Bytes, chunk ids and sentences of the lines that are not `dropped` and have `min_chunks`.

    Lines are stripped of white space and joined by line feeds; `min_chunks` is at least 1.
    """
    text, kept_ids = np.empty(len(data), np.uint8), np.empty(len(ids), np.int32)
    size, kept, sentences = 0, 0, 0
    for line in range(len(line_chunks) - 1):
        first, last = line_chunks[line], line_chunks[line + 1]
        if last - first < min_chunks or dropped[line]:
            continue
        if size:
            text[size] = LINE_FEED
            size += 1
        for place in range(spans[first, 0], spans[last - 1, 1]):
            text[size] = data[place]
            size += 1
        for place in range(first, last):
            kept_ids[kept] = ids[place]
            kept += 1
        sentences += sentence_count(ids, spaces, first, last, starts, tokens, flags)
    return text[:size], kept_ids[:kept].copy(), sentences


@kernel
def sentence_count(
    ids: np.ndarray,
    spaces: np.ndarray,
    first: int,
    last: int,
    starts: np.ndarray,
    tokens: np.ndarray,
    flags: np.ndarray,
) -> int:
    """Sentences of the line of chunks first … last - 1, as spaCy's sentencizer counts them.

    A sentence begins with the first token after a sentence end that is neither punctuation nor
    another end; white space other than one space is a token too.
    """
    count, closed = 1, False
    for place in range(first, last):
        if closed and place > first and spaces[place] == OTHER_SPACE:
            count += 1
            closed = False
        begun, closed = sentences_begun(ids[place], closed, starts, tokens, flags)
        count += begun
    return count


@leaf_kernel
def sentences_begun(
    chunk: Number, closed: bool, starts: np.ndarray, tokens: np.ndarray, flags: np.ndarray
) -> tuple[int, bool]:
    """Sentences that begin in a chunk, where the last one was `closed` before, and is behind it."""
    begun = 0
    for j in range(starts[chunk], starts[chunk + 1]):
        kind = flags[tokens[j]]
        if kind & SENTENCE_END:
            closed = True
        elif closed and not kind & PUNCTUATION_MARK:
            begun += 1
            closed = False
    return begun, closed


@kernel
def line_sentences(
    ids: np.ndarray,
    sizes: np.ndarray,
    space_before: np.ndarray,
    space_behind: np.ndarray,
    starts: np.ndarray,
    tokens: np.ndarray,
    flags: np.ndarray,
) -> int:
    """Sentences of all lines that an edit changed, counted as `sentence_count` does the others.

    `sizes`: chunks per line; `space_before`, `space_behind`: where white space is a token, before
    a chunk or at the end of a line.
    """
    count, place = 0, 0
    for line in range(len(sizes)):
        count += 1
        closed = False
        for i in range(place, place + sizes[line]):
            if closed and space_before[i]:
                count += 1
                closed = False
            begun, closed = sentences_begun(ids[i], closed, starts, tokens, flags)
            count += begun
        if closed and space_behind[line]:
            count += 1
        place += sizes[line]
    return count
