"""What a rule and an edit are: a measure with the values that are kept, and a change of the text.

Measuring and deciding are apart: a `Bounds` decides, the same for one document as for a stored
column of a million of them, and a NaN never passes. A `Batched` function measures many documents in
one call. A `RecordRule` is no measure of a text: it matches a page's address or names its language
before any recipe, and carries only what `decant rules` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from decant.filters.doc import Doc

BOUND_KEYS = ("at_least", "above", "at_most", "below", "between")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values a rule keeps: an interval whose ends may each be open.

    >>> at_least(50).keeps(50.0), above(50).keeps(50.0), at_least(50).keeps(float("nan"))
    (True, False, False)
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    keeps_nan: bool = False  # of a column's rule: a document without a score stays

    def keeps(self, value: float) -> bool:
        """True where `value` lies inside; NaN lies inside nothing, and stays by `keeps_nan`."""
        if value != value:
            return self.keeps_nan
        above_low = value > self.low if self.low_open else value >= self.low
        below_high = value < self.high if self.high_open else value <= self.high
        return above_low and below_high

    def keeps_array(self, values: np.ndarray) -> np.ndarray:
        """`keeps` of every value of a float64 array, as booleans."""
        above_low = values > self.low if self.low_open else values >= self.low
        below_high = values < self.high if self.high_open else values <= self.high
        inside = above_low & below_high
        return inside | np.isnan(values) if self.keeps_nan else inside

    def crossed(self, value: float) -> float:
        """The end that `value` fails at; the finite one where `value` is NaN."""
        fails_low = value <= self.low if self.low_open else value < self.low
        if fails_low or (math.isnan(value) and math.isfinite(self.low)):
            return self.low
        return self.high

    def as_mapping(self) -> dict[str, float | list[float]]:
        """The bounds in the words of a recipe: `{"at_most": 0.2}`."""
        low = {"above" if self.low_open else "at_least": self.low}
        high = {"below" if self.high_open else "at_most": self.high}
        if math.isfinite(self.low) and math.isfinite(self.high):
            closed = not (self.low_open or self.high_open)
            return {"between": [self.low, self.high]} if closed else {**low, **high}
        return {**(low if math.isfinite(self.low) else high)}

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.as_mapping().items())


def at_least(low: float) -> Bounds:
    """Bounds that keep `low` and everything over it."""
    return Bounds(low=float(low))


def at_most(high: float) -> Bounds:
    """Bounds that keep `high` and everything under it."""
    return Bounds(high=float(high))


def above(low: float) -> Bounds:
    """Bounds that keep what is over `low`, not `low` itself."""
    return Bounds(low=float(low), low_open=True)


def below(high: float) -> Bounds:
    """Bounds that keep what is under `high`, not `high` itself."""
    return Bounds(high=float(high), high_open=True)


def between(low: float, high: float) -> Bounds:
    """Bounds that keep `low`, `high` and everything between them."""
    return Bounds(low=float(low), high=float(high))


def ratio(part: float, whole: float) -> float:
    """`part / whole`, and 0.0 where `whole` is 0: nothing is no share of anything.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, 0.0)
    """
    return part / whole if whole else 0.0


class LoadError(Exception):
    """A batched function could not be made ready; the message says why."""


class Batched:
    """A function over many documents at once, such as a classifier; its measures are `self[name]`.

    `measure` takes documents and what `load` returned, once a process, and gives one mapping of
    measure to number for each document; that number must not depend on the others in the call.
    `gpus` (a share of one, or whole ones) and `memory_mb` are reserved for a task of the filter
    stage while it runs; where there is no GPU, it runs without.
    """

    def __init__(
        self,
        measure: Callable[[Sequence[Doc], Any], Sequence[Mapping[str, float]]],
        load: Callable[[], Any] = lambda: None,
        size: int = 64,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        unknown = sorted(set(resources or ()) - {"gpus", "memory_mb"})
        if unknown or size < 1:
            raise ValueError(
                f"resources are gpus and memory_mb, size is 1 or more; found {unknown}"
            )
        self.measure, self.load, self.size = measure, load, size
        self.gpus = float((resources or {}).get("gpus", 0))
        self.memory_mb = float((resources or {}).get("memory_mb", 0))
        self._loaded: list[Any] = []

    def __getitem__(self, name: str) -> BatchMeasure:
        """The measure of this name, for a `Rule`."""
        return BatchMeasure(self, name)

    def __call__(self, docs: Sequence[Doc]) -> Sequence[Mapping[str, float]]:
        """The measures of each document, `size` of them in one call of the function."""
        if not self._loaded:
            try:
                self._loaded.append(self.load())
            except (Exception, SystemExit) as error:
                raise LoadError(f"load() raised {type(error).__name__}: {error}") from error
        results: list[Mapping[str, float]] = []
        for start in range(0, len(docs), self.size):
            some = docs[start : start + self.size]
            values = list(self.measure(some, self._loaded[0]))
            if len(values) != len(some):
                raise ValueError(f"{len(values)} results for {len(some)} documents")
            results += values
        return results


@dataclass(frozen=True, slots=True)
class BatchMeasure:
    """One measure of a `Batched` function."""

    batch: Batched
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One measured quantity, the values that are kept, and who said so.

    `measure` takes a document and the options named in `options`, or is a measure of a `Batched`
    function. `reference` is the reason that datatrove 0.10.1 gives for the same decision.
    Neighbouring rules with `met_at` share one place in the recipe: of those that fail, the one met
    first in the text is named (C4 walks the lines once, and stops at the first lorem ipsum or curly
    bracket).
    """

    name: str
    measure: Callable[..., float] | BatchMeasure
    keep: Bounds
    unit: str = "number"
    source: str = ""
    reference: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None  # the edit whose notes it reads
    met_at: Callable[[Doc], float] | None = None
    reads: tuple[str, ...] = ()  # columns of the document that it finds in `doc.record`
    custom: bool = False  # of a user's file: what it raises costs the document, not the run


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the text at its place in the recipe; rules after it see the changed document."""

    name: str
    apply: Callable[..., Doc]
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: bool = False  # of a user's file


def text_rule(
    name: str,
    function: Callable[[str], float],
    keep: Bounds,
    unit: str = "number",
    source: str = "",
) -> Rule:
    """A rule whose measure is a plain function of the text.

    >>> text_rule("exclamation_marks", lambda text: text.count("!"), at_most(9)).keep
    Bounds(low=-inf, high=9.0, low_open=False, high_open=False, keeps_nan=False)
    """
    return Rule(name, lambda doc: function(doc.text), keep, unit, source)


def text_edit(name: str, function: Callable[[str], str], source: str = "") -> Edit:
    """An edit that is a plain function from text to text."""

    def apply(doc: Doc) -> Doc:
        text = function(doc.text)
        return doc if text == doc.text else type(doc)(text, doc.lexicon, notes=doc.notes)

    return Edit(name, apply, source)


@dataclass(frozen=True)
class RecordRule:
    """The name of one decision, what it keeps, who said so, and datatrove's reason for the same."""

    name: str
    keep: str
    source: str
    reference: str | None  # None: the reference drops without naming a reason
    unit: str = "match"
