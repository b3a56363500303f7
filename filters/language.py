"""The language of a text by fastText's lid.176, scored as FineWeb's reference does.

datatrove LanguageFilter (`utils/lid.py`): newlines become spaces, the model gives the probability
of all its 176 labels, the language is the most probable one, and a page stays where any wanted
language scores above the threshold. The comparison is strict; the paper writes "≥ 0.65".

The release-time code (2024-04) deleted newlines instead, which glues the last word of a line to the
first of the next, and asked for the best label only: `newline="deleted"`.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import fasttext
import numpy as np

from decant.filters.lid.file import OtherModel, read_model
from decant.filters.lid.kernel import FastScores
from decant.filters.rule import RecordRule
from decant.filters.words.unicode import utf8

LANGUAGE_RULES = (
    RecordRule(
        name="language_score",
        keep="> threshold (FineWeb: 0.65)",
        unit="probability of the best wanted language",
        source="FineWeb, Penedo et al. 2024, §3.3: 'score ≥ 0.65'; the code has >",
        reference=None,
    ),
)


class Language(NamedTuple):
    """The most probable language, its probability, and that of the best wanted language."""

    language: str
    score: float
    wanted_score: float


@dataclass(frozen=True)
class LanguageRule:
    """Which languages stay (None: any) and above which probability."""

    keep: Collection[str] | None = ("en",)
    threshold: float = 0.65

    def keeps(self, language: Language) -> bool:
        return language.wanted_score > self.threshold


# What both ways of scoring must agree on, bit for bit, before the fast one is used: several
# scripts, words of the dictionary and others, a label, a line end in the middle, no words at all.
PROBES = (
    "", "the ship came home", "Das Schiff, endlich: 1.204 Meilen!", "Корабль вернулся домой",
    "船が帰ってきた。", "عادت السفينة", "zzxqj \U0001f600 __label__en ok", "one </s> two",
    "a\tb\x00c",
)  # fmt: skip


Scores = tuple[Sequence[str], np.ndarray]  # labels, and the probability of each as float32


class LanguageId:
    """A loaded lid.176 model, by our own kernel where that gives the library's bits."""

    def __init__(
        self, model_path: str | os.PathLike[str], newline: Literal["space", "deleted"] = "space"
    ) -> None:
        library = _library(model_path, newline)
        fast = _fast(model_path) if newline == "space" else None
        agreed = fast is not None and all(
            _named(fast(text)) == _named(library(text)) for text in PROBES
        )
        # The library is let go where it is not needed: a lid.176.bin takes 130 MB in it.
        self._score = fast if fast is not None and agreed else library

    def scores(self, text: str) -> dict[str, float]:
        """The probability of each language that has more than 0.00001; {} if the model knows none.

        A lone surrogate counts as U+FFFD. The model sees NUL as white space.
        """
        return _named(self._score(text))

    def identify(self, text: str, keep: Collection[str] | None = None) -> Language:
        """The language of `text`, and the best score among `keep` (among all, when None)."""
        labels, scores = self._score(text)
        if len(labels) == 0:
            return Language("", 0.0, 0.0)
        first = int(scores.argmax())
        best = float(scores[first])
        if keep is None:
            return Language(labels[first], best, best)
        places = (labels.index(name) for name in keep if name in labels)
        best_kept = max((float(scores[place]) for place in places), default=0.0)
        return Language(labels[first], best, best_kept)


def model_labels(model_path: str | os.PathLike[str]) -> list[str]:
    """The languages that a model can name, in alphabetical order."""
    model = fasttext.FastText._FastText(os.fspath(model_path))
    # One threshold below every probability: the library leaves none out.
    names, _ = model.predict("a", k=-1, threshold=-1.0)
    return sorted(name.removeprefix("__label__") for name in names)


def _named(scores: Scores) -> dict[str, float]:
    labels, values = scores
    return {labels[i]: float(values[i]) for i in np.flatnonzero(values).tolist()}


def _library(
    model_path: str | os.PathLike[str], newline: Literal["space", "deleted"]
) -> Callable[[str], Scores]:
    """fastText's own scores of a text, all of them or, as then, the best one's."""
    # fastText's own loader prints a warning to stderr; the class behind it does not.
    model = fasttext.FastText._FastText(os.fspath(model_path))
    blank, labels = (" ", -1) if newline == "space" else ("", 1)

    def scores(text: str) -> Scores:
        line = utf8(text).decode().replace("\n", blank)
        names, scores = model.predict(line, k=labels)
        return [name.removeprefix("__label__") for name in names], np.array(scores, np.float32)

    return scores


def _fast(model_path: str | os.PathLike[str]) -> Callable[[str], Scores] | None:
    """The kernel's scores of a text; None for a model that it does not know."""
    try:
        model = FastScores(read_model(model_path))
    except OtherModel:
        return None
    return lambda text: (model.labels, model.probabilities(utf8(text)))
