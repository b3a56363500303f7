"""CommonCrawl WARC in, deduplicated pretraining corpus out, and proof of which filters pay."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decant.filters.doc import Doc
    from decant.filters.rule import (
        Batched,
        Edit,
        Rule,
        above,
        at_least,
        at_most,
        below,
        between,
        ratio,
        text_edit,
        text_rule,
    )

__all__ = [
    "Batched",
    "Doc",
    "Edit",
    "Rule",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "ratio",
    "text_edit",
    "text_rule",
]


def __getattr__(name: str) -> Any:
    """A public name, loaded at its first use: `import decant` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'decant' has no attribute {name!r}")
    module = "decant.filters.doc" if name == "Doc" else "decant.filters.rule"
    return getattr(import_module(module), name)
