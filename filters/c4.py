"""C4's line removals and document rules: Raffel et al. 2020 (arXiv:1910.10683), section 2.2.

One walk over the lines does both, as in datatrove 0.10.1 (`c4_filters.py`), which follows
TensorFlow Datasets: lines go, and what the surviving lines hold decides on the document. The walk
is the edit `c4_lines`; the rules behind it read its `Walk`. A line that makes the reference drop
the document stays in the text here, so that the edited text is defined for dropped documents too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from decant.filters.doc import Doc
from decant.filters.rule import Edit, Rule, at_least, at_most
from decant.filters.words import line_kernels
from decant.filters.words.splitter import CHUNK, UNSPEAKABLE

PAPER = "C4, Raffel et al. 2020, 2.2"
CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
TERMINAL_MARKS = (".", "?", "!", '"', "'")
LOREM_IPSUM = "lorem ipsum"
JAVASCRIPT = "javascript"
CURLY_BRACKET = "{"


@dataclass(frozen=True, slots=True)
class Walk:
    """Document marks of one walk over the lines, by line number (inf: nowhere) and their counts."""

    lorem_ipsum_lines: int
    first_lorem_ipsum: float
    curly_bracket_lines: int
    first_curly_bracket: float
    sentences: int


@dataclass(slots=True)
class _Marks:
    """Lines with document marks, counted as the walk meets them."""

    lorem_ipsum_lines: int = 0
    first_lorem_ipsum: float = math.inf
    curly_bracket_lines: int = 0
    first_curly_bracket: float = math.inf

    def walk(self, sentences: int) -> Walk:
        return Walk(
            self.lorem_ipsum_lines,
            self.first_lorem_ipsum,
            self.curly_bracket_lines,
            self.first_curly_bracket,
            sentences,
        )


def edit_lines(
    doc: Doc,
    *,
    min_words_per_line: int = 3,
    word_chars: int = 1000,
    remove_citations: bool = True,
    terminal_punctuation: bool = False,
) -> Doc:
    """The document without C4's bad lines; `notes["c4_lines"]` holds the `Walk`.

    A line goes where a word has more than `word_chars` characters, it has fewer than
    `min_words_per_line` white-space words, mentions javascript or a policy phrase, or, with
    `terminal_punctuation`, does not end a sentence. FineWeb switches the last one off.
    """
    cleaned = CITATION.sub("", doc.text) if remove_citations and "[" in doc.text else doc.text
    citations = cleaned != doc.text
    lower = cleaned.lower()
    javascript = JAVASCRIPT in lower
    policy = any(phrase in lower for phrase in POLICY_PHRASES)
    lorem_ipsum = LOREM_IPSUM in lower
    brackets = CURLY_BRACKET in doc.text
    watched = javascript or policy or lorem_ipsum or brackets

    marks = _Marks()
    whole = not citations and not terminal_punctuation and min_words_per_line > 0
    if whole and UNSPEAKABLE not in doc.text and doc.scan.longest_chunk <= word_chars:
        return _whole_lines(doc, min_words_per_line, marks, watched)
    kept = _KeptLines(doc)
    starts = doc.scan.line_chunks.tolist()  # chunks before each line
    for number, line in enumerate(doc.all_lines):
        line = line.strip()
        start, stop = starts[number : number + 2]
        if len(line) > word_chars and any(len(chunk) > word_chars for chunk in line.split()):
            continue
        uncited = CITATION.sub("", line) if citations else line
        if terminal_punctuation and not _ends_sentence(uncited):
            continue
        if stop - start < min_words_per_line:
            continue
        if watched and not _survives(uncited, number, marks):
            continue
        if uncited == line:
            kept.add(line, doc.chunk_ids[start:stop], bool(doc.scan.line_odd[number]))
        else:
            kept.add(uncited, doc.lexicon.scan(uncited).chunks, True)
    return kept.edited(marks)


def _whole_lines(doc: Doc, min_words: int, marks: _Marks, watched: bool) -> Doc:
    """The document where lines go or stay as they are: 19 in 20, in a tenth of the time."""
    scan, lexicon = doc.scan, doc.lexicon
    dropped = np.zeros(len(scan.line_odd), np.bool_)
    if watched:
        enough = np.diff(scan.line_chunks) >= min_words
        for number in np.flatnonzero(enough).tolist():
            dropped[number] = not _survives(doc.all_lines[number], number, marks)
    data, ids, sentences = line_kernels.kept_lines(
        scan.chunk_bytes,
        doc.chunk_ids,
        scan.spans,
        scan.spaces,
        scan.line_chunks,
        dropped,
        min_words,
        lexicon.chunks.word_starts,
        lexicon.chunks.word_tokens,
        lexicon.tokens.flags,
    )
    notes = {**doc.notes, "c4_lines": marks.walk(sentences)}
    return Doc(data.tobytes().decode(), lexicon, ids, notes)


def _ends_sentence(line: str) -> bool:
    return line.endswith(TERMINAL_MARKS) and not line.endswith("...")


def _survives(line: str, number: int, marks: _Marks) -> bool:
    """Whether the line stays; document marks are noted in the order the reference meets them."""
    lower = line.lower()
    if LOREM_IPSUM in lower:
        marks.lorem_ipsum_lines += 1
        marks.first_lorem_ipsum = min(marks.first_lorem_ipsum, number)
    if JAVASCRIPT in lower:
        return False
    if CURLY_BRACKET in line:
        marks.curly_bracket_lines += 1
        marks.first_curly_bracket = min(marks.first_curly_bracket, number)
    return not any(phrase in lower for phrase in POLICY_PHRASES)


class _KeptLines:
    """The lines that stay, with the chunk ids they have in the document."""

    def __init__(self, doc: Doc) -> None:
        self.doc = doc
        self.lines: list[str] = []
        self.ids: list[np.ndarray] = []
        self.counts = _SentenceCount(doc)

    def add(self, line: str, ids: np.ndarray, odd: bool) -> None:
        """Take a line; `odd` where its white space may be other than single spaces."""
        self.lines.append(line)
        self.ids.append(ids)
        spoken = self.doc.lexicon.splitter.spoken(line)
        if spoken is not line:
            ids, odd = self.doc.lexicon.scan(spoken).chunks, True
        self.counts.add(spoken, ids, odd)

    def edited(self, marks: _Marks) -> Doc:
        """The document of these lines, with the walk in its notes."""
        walk = marks.walk(self.counts.sentences())
        text = "\n".join(self.lines).strip()
        ids = np.concatenate(self.ids) if self.ids else np.empty(0, np.int32)
        return Doc(text, self.doc.lexicon, ids, {**self.doc.notes, "c4_lines": walk})


class _SentenceCount:
    """Sentences of lines, each line on its own, as spaCy's sentencizer counts them."""

    def __init__(self, doc: Doc) -> None:
        self.lexicon = doc.lexicon
        self.ids: list[np.ndarray] = []
        self.odd: list[tuple[int, str]] = []  # lines with white space other than single spaces

    def add(self, line: str, ids: np.ndarray, odd: bool) -> None:
        if odd:
            self.odd.append((len(self.ids), line))
        self.ids.append(ids)

    def sentences(self) -> int:
        if not self.ids:
            return 0
        sizes = np.array([len(ids) for ids in self.ids], np.int64)
        return line_kernels.line_sentences(
            np.concatenate(self.ids),
            sizes,
            *self._white_space_tokens(sizes),
            self.lexicon.chunks.word_starts,
            self.lexicon.chunks.word_tokens,
            self.lexicon.tokens.flags,
        )

    def _white_space_tokens(self, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where spaCy sees a white-space token: before each chunk, and at the end of each line.

        Every gap but one space is one, and it begins a sentence where the last one is closed.
        """
        before = np.zeros(int(sizes.sum()), np.bool_)
        behind = np.zeros(len(sizes), np.bool_)
        starts = np.cumsum(sizes) - sizes
        for number, line in self.odd:
            place, end = int(starts[number]), 0
            for match in CHUNK.finditer(line):
                before[place] = end > 0 and line[end : match.start()] != " "
                end, place = match.end(), place + 1
            behind[number] = line[end:] not in ("", " ")
        return before, behind


def lorem_ipsum_lines(doc: Doc) -> float:
    """Lines with the phrase "lorem ipsum", of those that C4's line removals leave."""
    return float(_walk(doc).lorem_ipsum_lines)


def curly_bracket_lines(doc: Doc) -> float:
    """Lines with a curly bracket, of those that C4's line removals leave.

    A line that mentions javascript is gone before its brackets count; one with a policy phrase is
    not.
    """
    return float(_walk(doc).curly_bracket_lines)


def sentence_count(doc: Doc) -> float:
    """Sentences in the lines that C4's line removals leave."""
    return float(_walk(doc).sentences)


def _walk(doc: Doc) -> Walk:
    return doc.notes["c4_lines"]


LINES = Edit(
    "c4_lines",
    edit_lines,
    source=f"{PAPER}, and c4_utils of TensorFlow Datasets for 3 words, 1,000 characters, policies",
    options={
        "min_words_per_line": 3,
        "word_chars": 1000,
        "remove_citations": True,
        "terminal_punctuation": False,
    },
)
EDITS = (LINES,)

RULES = (
    Rule(
        "c4_lorem_ipsum_lines",
        lorem_ipsum_lines,
        keep=at_most(0),
        unit="lines",
        source=f"{PAPER}: 'removed any page where the phrase “lorem ipsum” appeared'",
        reference="lorem_ipsum",
        needs="c4_lines",
        met_at=lambda doc: _walk(doc).first_lorem_ipsum,
    ),
    Rule(
        "c4_curly_bracket_lines",
        curly_bracket_lines,
        keep=at_most(0),
        unit="lines",
        source=f"{PAPER}: 'removed any pages that contained a curly bracket'",
        reference="curly_bracket",
        needs="c4_lines",
        met_at=lambda doc: _walk(doc).first_curly_bracket,
    ),
    Rule(
        "c4_sentences",
        sentence_count,
        keep=at_least(5),
        unit="sentences",
        source="c4_utils of TensorFlow Datasets: 5 sentences (the paper's printed number is 3)",
        reference="too_few_sentences",
        needs="c4_lines",
    ),
)
