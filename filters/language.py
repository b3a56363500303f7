"""The language of a text by fastText's lid.176, scored as FineWeb's reference does.

datatrove LanguageFilter (`utils/lid.py`): newlines become spaces, the model gives the probability
of all its 176 labels, the language is the most probable one, and a page stays where any wanted
language scores above the threshold. The comparison is strict; the paper writes "≥ 0.65".

The release-time code (2024-04) deleted newlines instead, which glues the last word of a line to the
first of the next, and asked for the best label only: `newline="deleted"`.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

import fasttext

from .record_rule import RecordRule

LANGUAGE_RULES = (
    RecordRule(
        name="language_score",
        keep="> threshold (FineWeb: 0.65)",
        unit="probability of the best wanted language",
        source="FineWeb, Penedo et al. 2024, §3.3: 'score ≥ 0.65'; the code has >",
        reference=None,
    ),
)

_SURROGATE = re.compile("[\ud800-\udfff]")


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

    def keeps(self, found: Language) -> bool:
        return found.wanted_score > self.threshold


class LanguageId:
    """A loaded lid.176 model."""

    def __init__(
        self, model_path: str | os.PathLike[str], newline: Literal["space", "deleted"] = "space"
    ) -> None:
        # fastText's own loader prints a warning to stderr; the class behind it does not.
        self._model = fasttext.FastText._FastText(os.fspath(model_path))
        self._newline = " " if newline == "space" else ""
        self._labels = -1 if newline == "space" else 1  # -1: all of them

    def scores(self, text: str) -> dict[str, float]:
        """The probability of each language, most probable first; {} only if the model knows none.

        A lone surrogate counts as U+FFFD. The model sees NUL as white space.
        """
        if not text.isascii():
            text = _SURROGATE.sub("\ufffd", text)
        line = text.replace("\n", self._newline)
        labels, probabilities = self._model.predict(line, k=self._labels)
        return {
            label.removeprefix("__label__"): float(probability)
            for label, probability in zip(labels, probabilities, strict=True)
        }

    def identify(self, text: str, keep: Collection[str] | None = None) -> Language:
        """The language of `text`, and the best score among `keep` (among all, when None)."""
        scores = self.scores(text)
        language = max(scores, key=scores.__getitem__, default="")
        best = scores.get(language, 0.0)
        if keep is None:
            return Language(language, best, best)
        wanted = max((scores.get(name, 0.0) for name in keep), default=0.0)
        return Language(language, best, wanted)
