"""`decant rules`: every rule of every stage, what it measures, what it keeps, who said so."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from decant.filters.catalogue import CATALOGUE, Catalogue, rule_row
from decant.filters.language import LANGUAGE_RULES
from decant.filters.rule import RecordRule
from decant.filters.steps import build
from decant.filters.url import URL_RULES
from decant.pipeline.dedup.rules import DEDUP_RULES
from decant.pipeline.page.judge import EXTRACT_RULES
from decant.pipeline.recipes.rule_files import RuleFile, described


def rules_of(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every rule, those of the run's recipe with its own bounds."""
    steps = (config.get("filter") or {}).get("rules") or ()
    files = [RuleFile.model_validate(one) for one in config.get("rule_files") or ()]
    catalogue = described(files)
    bounds = {rule.name: rule.keep.as_mapping() for rule in build(steps, catalogue).rules}
    return [{**row, "keep": bounds.get(row["name"], row["keep"])} for row in rule_rows(catalogue)]


def rule_rows(catalogue: Catalogue = CATALOGUE) -> list[dict[str, Any]]:
    """Every rule with its name, unit, what it keeps, its source and the reference's own reason."""
    before = (*URL_RULES, *EXTRACT_RULES, *LANGUAGE_RULES)
    return [
        *_record_rows(before),
        *map(rule_row, catalogue.rules.values()),
        *_record_rows(DEDUP_RULES),
    ]


def _record_rows(rules: Sequence[RecordRule]) -> list[dict[str, Any]]:
    columns = ("name", "unit", "keep", "source", "reference")
    return [{column: getattr(rule, column) for column in columns} for rule in rules]


def rule_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rules as a table for the terminal."""
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "keeps", "unit", "source"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row["name"], str(row["keep"]), row["unit"], row["source"])
    return table
