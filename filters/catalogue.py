"""Every rule and edit that a recipe may name: those of the papers, and a user's own beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from decant.filters import c4, fineweb, gopher_quality, gopher_repetition, refinedweb
from decant.filters.rule import Edit, Rule

RULES: tuple[Rule, ...] = (
    *gopher_repetition.RULES,
    *gopher_quality.RULES,
    *c4.RULES,
    *fineweb.RULES,
    *refinedweb.RULES,
)
EDITS: tuple[Edit, ...] = (*c4.EDITS, *refinedweb.EDITS)


class NameTaken(ValueError):
    """Two rules or two edits of one name; the message gives it."""


@dataclass(frozen=True)
class Catalogue:
    """Rules and edits by name, in the order that `decant rules` prints them."""

    rules: Mapping[str, Rule] = field(default_factory=lambda: {one.name: one for one in RULES})
    edits: Mapping[str, Edit] = field(default_factory=lambda: {one.name: one for one in EDITS})

    def extended(self, rules: Iterable[Rule], edits: Iterable[Edit]) -> Catalogue:
        """This catalogue with more rules and edits; NameTaken where a name exists already."""
        return Catalogue(_added(self.rules, rules, "rule"), _added(self.edits, edits, "edit"))


def _added(known: Mapping[str, Any], more: Iterable[Any], kind: str) -> dict[str, Any]:
    together = dict(known)
    for one in more:
        if one.name in together:
            raise NameTaken(f"a {kind} called {one.name!r} exists already; give yours another name")
        together[one.name] = one
    return together


CATALOGUE = Catalogue()


def rule_row(rule: Rule) -> dict[str, Any]:
    """A rule as `decant rules --json` prints it."""
    return {
        "name": rule.name,
        "unit": rule.unit,
        "keep": rule.keep.as_mapping(),
        "source": rule.source,
        "reference": rule.reference,
    }
