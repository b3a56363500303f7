"""How single elements become text: the library's own handlers, bound to faster helpers.

`handle_textelem` and the handlers it calls are trafilatura's code objects with a namespace of our
own, in which `process_node`, `handle_textnode`, `handle_table` and the logger are ours; the
library's module keeps its own.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from lxml.etree import _Element
from trafilatura import main_extractor

from decant.pipeline.fast_elements import PageOptions, handle_textnode, process_node
from decant.pipeline.fast_table import table_element


def handle_table(element: _Element, tags: set[str], options: PageOptions) -> _Element | None:
    """The library's table element for a page's table."""
    return table_element(element, tags, options, handle_textelem)


class _NoLog:
    """Stands in for the handlers' logger, whose debug lines cost more than they tell."""

    def debug(self, *_: Any) -> None:
        """Drops a line."""


def _bound(module: Any, **replacements: Any) -> dict[str, Any]:
    """A copy of a module's namespace in which its own functions see the replacements."""
    namespace = {**vars(module), **replacements}
    for name, value in vars(module).items():
        if name in replacements:
            continue
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            copied = FunctionType(value.__code__, namespace, name, value.__defaults__)
            copied.__kwdefaults__ = value.__kwdefaults__
            namespace[name] = copied
    return namespace


handle_textelem = _bound(
    main_extractor,
    process_node=process_node,
    handle_textnode=handle_textnode,
    handle_table=handle_table,
    LOGGER=_NoLog(),
)["handle_textelem"]
