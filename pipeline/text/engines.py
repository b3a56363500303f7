"""A function from a page's HTML to its main text, for each engine a run may name.

`trafilatura` is FineWeb's extractor, `resiliparse` is DCLM's, `union` keeps what either finds.
Every function here is pure: the same page gives the same text whatever came before it, which
trafilatura alone does not promise (its `deduplicate=True` remembers paragraphs of earlier pages).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import regex
import trafilatura
import trafilatura.deduplication as trafilatura_memory
from resiliparse.extract.html2text import extract_plain_text

from decant.pipeline.text.union import union_lines

EXACT_FOR = "1.11.0"  # the trafilatura whose text the fast path equals
FAST = trafilatura.__version__ == EXACT_FOR

logger = logging.getLogger(__name__)
Extractor = Callable[[str], str | None]

# A discarded page is a counted drop of ours, not a line on stderr for each of a billion pages.
logging.getLogger("trafilatura").addHandler(logging.NullHandler())

# The reference pipeline's call, to the argument.
FINEWEB_ARGUMENTS: dict[str, Any] = {
    "favor_precision": True,
    "include_comments": False,
    "deduplicate": True,
}

# Token F1 on 1,307 pages with a reference text: 0.836, and 0.837 without post_meta; from 0.836, one
# changed at a time: main_content 0.631 without · links 0.760 with · form_fields 0.821 with ·
# alt_texts 0.823 with · comments 0.827 with · noscript 0.835 with · hidden_elements 0.835 with.
# Line breaks and list bullets do not change it; the rules that count lines and bullets need them.
RESILIPARSE_OPTIONS: dict[str, Any] = {
    "main_content": True,
    "links": False,
    "form_fields": False,
    "alt_texts": False,
    "comments": False,
    "noscript": False,
    "hidden_elements": False,
    "post_meta": False,
    "preserve_formatting": True,
    "list_bullets": True,
}


# The attributes of a table cell up to its span, which is left out: in tags only, never in text.
_SPAN = regex.compile(r"(?i)(<t[dh]\b[^<>]*?)\bcolspan\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)")
_HEAD_LINE = regex.compile(r"^(?:---\|)+$", regex.MULTILINE)
_MISSING_CELLS = regex.compile(r"(?<= \|) ?\|+$", regex.MULTILINE)


def trafilatura_text(html: str, fill_rows: bool = True) -> str | None:
    """The text of `trafilatura.extract` as FineWeb calls it, blind to earlier pages; None if none.

    By the fast path where it is exact for the installed version and the page, else by the library.
    What the library raises (rare: broken trees) is the caller's to count.

    The library ends a table row with a bar for each cell that it lacks, as many as the widest row
    claims: `colspan="2000000"` becomes two million bars. Without `fill_rows` none is written.
    """
    if FAST:
        from decant.pipeline.text.replica import (
            page,  # reads names that other versions may not have
        )

        try:
            return page.text(html, fill_rows) or None
        except page.Unproven:
            pass
    if fill_rows:
        return plain_trafilatura_text(html)
    text = plain_trafilatura_text(_SPAN.sub(r"\1", html))
    return None if text is None else _HEAD_LINE.sub("---|", _MISSING_CELLS.sub("", text))


def plain_trafilatura_text(html: str) -> str | None:
    """The same text, by the library itself."""
    with _own_memory():
        return trafilatura.extract(html, **FINEWEB_ARGUMENTS) or None


@contextmanager
def _own_memory() -> Iterator[None]:
    """Gives one page an empty memory of repeated paragraphs, and the process its own one back."""
    shared = trafilatura_memory.LRU_TEST
    trafilatura_memory.LRU_TEST = trafilatura_memory.LRUCache(maxsize=shared.maxsize)
    try:
        yield
    finally:
        trafilatura_memory.LRU_TEST = shared


def resiliparse_text(html: str, options: Mapping[str, Any]) -> str | None:
    """The text that resiliparse finds, None where it finds none."""
    return extract_plain_text(html, **options).strip() or None


def union_text(html: str, options: Mapping[str, Any]) -> str | None:
    """trafilatura's lines and those that only resiliparse has; None where neither has any."""
    return "\n".join(line for line, _ in union_with_lineage(html, options)) or None


def union_with_lineage(html: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(line, engine) of the union: engine is "trafilatura", "resiliparse" or "both".

    An engine that fails has no text here; where both fail, the first one's exception is raised.
    """
    texts: list[str] = []
    errors: list[Exception] = []
    for extract in (
        partial(trafilatura_text, fill_rows=False),
        partial(resiliparse_text, options=options),
    ):
        try:
            texts.append(extract(html) or "")
        except Exception as error:  # MemoryError among them: the other may need less
            texts.append("")
            errors.append(error.with_traceback(None))
    if len(errors) == len(texts):
        raise errors[0]
    names = {"first": "trafilatura", "second": "resiliparse", "both": "both"}
    return [(line, names[origin]) for line, origin in union_lines(*texts)]


LINEAGE = {"trafilatura": "t", "resiliparse": "r", "both": "b"}


def union_under_lineage(html: str, options: Mapping[str, Any]) -> str | None:
    """The union's text under one line of `LINEAGE` letters, one for each of its lines."""
    merged = union_with_lineage(html, options)
    if not merged:
        return None
    letters = "".join(LINEAGE[engine] for _, engine in merged)
    return "\n".join([letters, *(line for line, _ in merged)])


def extractor(
    name: str, options: Mapping[str, Any] | None = None, lineage: bool = False
) -> Extractor:
    """The function for an engine's name; ValueError names the choices for an unknown name or key.

    `options` are resiliparse's own keyword arguments over our defaults, for the two engines that
    use it. trafilatura takes one, `fill_rows: false`; without it its output is FineWeb's, to the
    character. With `lineage`, the text of the union stands under the line of letters that says
    where each of its lines is from.
    """
    given = dict(options or {})
    resiliparse_keys = set(RESILIPARSE_OPTIONS) | {"skip_elements"}
    allowed = {"fill_rows"} if name == "trafilatura" else resiliparse_keys
    unknown = sorted(set(given) - allowed)
    if unknown:
        choices = ", ".join(sorted(allowed))
        raise ValueError(f"extractor {name}: unknown option {unknown[0]!r}; valid: {choices}")
    resiliparse_options = {**RESILIPARSE_OPTIONS, **given}
    if name in ("trafilatura", "union") and not FAST:
        logger.warning(
            "trafilatura %s: the fast path is exact for %s only; the library itself runs",
            trafilatura.__version__,
            EXACT_FOR,
        )
    if name == "trafilatura":
        return partial(trafilatura_text, **given)
    if name == "resiliparse":
        return partial(resiliparse_text, options=resiliparse_options)
    if name == "union":
        text = union_under_lineage if lineage else union_text
        return partial(text, options=resiliparse_options)
    raise ValueError(f"unknown extractor {name!r}; valid: trafilatura, resiliparse, union")
