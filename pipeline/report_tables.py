"""Tables of the report, and numbers in them."""

from collections.abc import Sequence
from html import escape
from typing import Any


def table(title: str, caption: str, head: str, rows: Sequence[str]) -> str:
    return (
        f'<h2>{title}</h2><div class="scroll"><table><caption>{caption}</caption>'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def head(*names: str) -> str:
    """A header row; a name that ends in # heads a column of numbers."""
    cells = (
        f'<th class="n">{name[:-1]}</th>' if name.endswith("#") else f"<th>{name}</th>"
        for name in names
    )
    return f"<tr>{''.join(cells)}</tr>"


def number(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
