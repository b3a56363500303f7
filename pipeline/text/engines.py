"""A function from a page's HTML to its main text, for each engine a run may name.

`trafilatura` is FineWeb's extractor, `resiliparse` is DCLM's, `union` keeps what either finds.
Every function here is pure: the same page gives the same text whatever came before it, which
trafilatura alone does not promise (its `deduplicate=True` remembers paragraphs of earlier pages).

One text from two engines' texts: the lines of the first, and what only the second has.

The engines cut the same page into lines differently (a `<br>`, a table row), so lines are compared
by what they say, not as wholes: a line is in the other text when most of its word triples are.
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

SHARED = 0.5  # a line with at least this share of its triples in the other text is there already

# A word; in scripts that write words without spaces, one character.
_token = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]"
    r"|[^\W\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]+"
)


def triples(line: str) -> Iterator[tuple[str, ...]]:
    """The runs of three words of a line; the line itself where it has fewer.

    >>> list(triples("One two, three four"))
    [('one', 'two', 'three'), ('two', 'three', 'four')]
    >>> list(triples("Read more")), list(triples("***"))
    ([('read', 'more')], [])
    """
    words = _token.findall(line.lower())
    if 0 < len(words) < 3:
        yield tuple(words)
    for start in range(len(words) - 2):
        yield tuple(words[start : start + 3])


def union_lines(first: str, second: str) -> list[tuple[str, str]]:
    """(line, "first" | "second" | "both") of the union, in page order; time linear in the texts.

    A line that only the second text has stands after the last line that both have. Lines that
    repeat an earlier line of the union are left out, and so are lines without a word.
    """
    ours, theirs = _lines(first), _lines(second)
    place: dict[tuple[str, ...], int] = {}
    for number, (_, keys) in enumerate(ours):
        for key in keys:
            place.setdefault(key, number)
    added: dict[int, list[str]] = {}
    known_to_second = {key for _, keys in theirs for key in keys}
    seen: set[tuple[str, ...]] = set()
    after = -1
    for line, keys in theirs:
        common = [place[key] for key in keys if key in place]
        if len(common) >= SHARED * len(keys):
            after = max(after, common[-1])
        elif sum(key in seen for key in keys) < SHARED * len(keys):
            added.setdefault(after, []).append(line)
            seen.update(keys)
    merged = [(line, "second") for line in added.get(-1, ())]
    for number, (line, keys) in enumerate(ours):
        shared = sum(key in known_to_second for key in keys) >= SHARED * len(keys)
        merged.append((line, "both" if shared else "first"))
        merged.extend((line, "second") for line in added.get(number, ()))
    return merged


def _lines(text: str) -> list[tuple[str, list[tuple[str, ...]]]]:
    """The distinct lines of a text that have words, each with its triples."""
    found: dict[tuple[tuple[str, ...], ...], str] = {}
    for line in text.splitlines():
        keys = tuple(triples(line))
        if keys:
            found.setdefault(keys, line.strip())
    return [(line, list(keys)) for keys, line in found.items()]


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


def trafilatura_text(html: str) -> str | None:
    """The text of `trafilatura.extract` as FineWeb calls it, blind to earlier pages; None if none.

    By the fast path where it is exact for the installed version and the page, else by the library.
    What the library raises (rare: broken trees) is the caller's to count.
    """
    if not FAST:
        return plain_trafilatura_text(html)
    from decant.pipeline.text.replica import page  # reads names that other versions may not have

    try:
        return page.text(html) or None
    except page.Unproven:
        return plain_trafilatura_text(html)


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
    """(line, engine) of the union: engine is "trafilatura", "resiliparse" or "both"."""
    merged = union_lines(trafilatura_text(html) or "", resiliparse_text(html, options) or "")
    names = {"first": "trafilatura", "second": "resiliparse", "both": "both"}
    return [(line, names[origin]) for line, origin in merged]


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
    use it. trafilatura takes none: its output is FineWeb's, to the character. With `lineage`, the
    text of the union stands under the line of letters that says where each of its lines is from.
    """
    given = dict(options or {})
    allowed = set() if name == "trafilatura" else set(RESILIPARSE_OPTIONS) | {"skip_elements"}
    unknown = sorted(set(given) - allowed)
    if unknown:
        choices = ", ".join(sorted(allowed)) or "none"
        raise ValueError(f"extractor {name}: unknown option {unknown[0]!r}; valid: {choices}")
    resiliparse_options = {**RESILIPARSE_OPTIONS, **given}
    if name in ("trafilatura", "union") and not FAST:
        logger.warning(
            "trafilatura %s: the fast path is exact for %s only; the library itself runs",
            trafilatura.__version__,
            EXACT_FOR,
        )
    if name == "trafilatura":
        return trafilatura_text
    if name == "resiliparse":
        return partial(resiliparse_text, options=resiliparse_options)
    if name == "union":
        text = union_under_lineage if lineage else union_text
        return partial(text, options=resiliparse_options)
    raise ValueError(f"unknown extractor {name!r}; valid: trafilatura, resiliparse, union")
