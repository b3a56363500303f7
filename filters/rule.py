"""What a rule, an edit and a verdict are.

A rule measures one number of a document and says which values it keeps; an edit turns one document
into another. Measuring and deciding are apart: a `Bounds` decides, the same for one document as for
a stored column of a million of them, and a NaN never passes.

Rules about a record that are not a measure of its text: its address, its language.

A rule of a recipe measures a text and compares the value with a bound (`filters/rule.py`). These
match or identify instead, run before any recipe, and carry only what `decant rules` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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

    def keeps(self, value: float) -> bool:
        """True where `value` lies inside; NaN lies inside nothing."""
        above_low = value > self.low if self.low_open else value >= self.low
        below_high = value < self.high if self.high_open else value <= self.high
        return above_low and below_high

    def keeps_array(self, values: np.ndarray) -> np.ndarray:
        """`keeps` of every value of a float64 array, as booleans."""
        above_low = values > self.low if self.low_open else values >= self.low
        below_high = values < self.high if self.high_open else values <= self.high
        return above_low & below_high

    def crossed(self, value: float) -> float:
        """The end that `value` fails at; the finite one where `value` is NaN."""
        fails_low = value <= self.low if self.low_open else value < self.low
        if fails_low or (math.isnan(value) and math.isfinite(self.low)):
            return self.low
        return self.high

    def as_mapping(self) -> dict[str, float | list[float]]:
        """The bounds in the words of a recipe: `{"at_most": 0.2}`."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return {"between": [self.low, self.high]}
        if math.isfinite(self.low):
            return {"above" if self.low_open else "at_least": self.low}
        return {"below" if self.high_open else "at_most": self.high}

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


@dataclass(frozen=True, slots=True)
class Rule:
    """One measured quantity, the values that are kept, and who said so.

    `measure` takes a document and the options named in `options`. `reference` is the reason that
    datatrove 0.10.1 gives for the same decision. Neighbouring rules with `met_at` share one place
    in the recipe: of those that fail, the one met first in the text is named (C4 walks the lines
    once, and stops at the first lorem ipsum or curly bracket).
    """

    name: str
    measure: Callable[..., float]
    keep: Bounds
    unit: str
    source: str
    reference: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None  # the edit whose notes it reads
    met_at: Callable[[Doc], float] | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the text at its place in the recipe; rules after it see the changed document."""

    name: str
    apply: Callable[..., Doc]
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a recipe said of one document.

    `doc` is the document after every edit that was reached. `dropped_by`, `value`, `bound` and
    `detail` belong to the first rule in recipe order that failed and are None for a kept document.
    `values` holds one float per rule in recipe order where all were measured, else None.
    """

    doc: Doc
    dropped_by: str | None = None
    value: float | None = None
    bound: float | None = None
    detail: str | None = None
    values: tuple[float, ...] | None = None
    failed: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """True where no rule failed."""
        return self.dropped_by is None

    @property
    def text(self) -> str:
        """The text after every edit that was reached."""
        return self.doc.text


@dataclass(frozen=True)
class RecordRule:
    """The name of one decision, what it keeps, who said so, and datatrove's reason for the same."""

    name: str
    keep: str
    source: str
    reference: str | None  # None: the reference drops without naming a reason
    unit: str = "match"
