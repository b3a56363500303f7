"""Rules about a record that are not a measure of its text: its address, its language.

A rule of a recipe measures a text and compares the value with a bound (`filters/rule.py`). These
match or identify instead, run before any recipe, and carry only what `decant rules` prints.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordRule:
    """The name of one decision, what it keeps, who said so, and datatrove's reason for the same."""

    name: str
    keep: str
    source: str
    reference: str | None  # None: the reference drops without naming a reason
    unit: str = "match"
