"""The rule table of filters/README.md is the catalogue that `decant rules` prints."""

from pathlib import Path

from decant.filters.catalogue import RULES, rule_row

README = Path(__file__).parents[2] / "filters" / "README.md"


def rule_lines() -> list[str]:
    """Every rule as a line of the table."""
    return [
        f"| `{row['name']}` | {_keep(row['keep'])} | {row['unit']} | {row['reference'] or '–'} |"
        for row in map(rule_row, RULES)
    ]


def _keep(keep: object) -> str:
    if isinstance(keep, dict):
        return ", ".join(f"{key} {value:g}" for key, value in keep.items())
    return str(keep)


def test_the_rule_table_is_what_the_command_prints() -> None:
    _, _, text = README.read_text(encoding="utf-8").partition("\n## Rules\n")
    section, _, _ = text.partition("\n## ")
    table = [line for line in section.splitlines() if line.startswith("| `")]
    assert table == rule_lines()
