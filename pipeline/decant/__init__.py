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
    from decant.pipeline.api import Run, dedup, judge, run
    from decant.pipeline.blocks import RecipeBlock, block_edit, block_rules

_MODULES = {
    "decant.pipeline.blocks": ("RecipeBlock", "block_edit", "block_rules"),
    "decant.pipeline.api": ("Run", "dedup", "judge", "run"),
    "decant.filters.doc": ("Doc",),
    "decant.filters.rule": (
        "Batched",
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
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Batched",
    "Doc",
    "Edit",
    "RecipeBlock",
    "Rule",
    "Run",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "block_edit",
    "block_rules",
    "dedup",
    "judge",
    "ratio",
    "run",
    "text_edit",
    "text_rule",
]


def __getattr__(name: str) -> Any:
    """A public name, loaded at its first use: `import decant` alone costs nothing."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'decant' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
