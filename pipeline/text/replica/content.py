"""trafilatura's own extraction, step by step on the same tree: clean, convert, prune, collect.

What is saved: rules come as bits (`predicates`), tags that a page does not have are not looked
for, a backup is copied only where it may be needed, and a block's text is collected only where it
holds links and no inner block has shown it to be long. How single elements become text is left to
the library's own handlers (`elements`).
"""

from __future__ import annotations

from copy import copy
from functools import reduce
from operator import or_

from lxml.etree import Element, _Element, strip_elements, strip_tags
from trafilatura.htmlprocessing import CONVERSIONS, REND_TAG_MAPPING
from trafilatura.main_extractor import NOT_AT_THE_END
from trafilatura.settings import (
    CUT_EMPTY_ELEMS,
    MANUALLY_CLEANED,
    MANUALLY_STRIPPED,
    TAG_CATALOG,
)
from trafilatura.xml import TEI_VALID_TAGS

from decant.pipeline.text.replica.bound import MIN_CHARS
from decant.pipeline.text.replica.elements import PageOptions, handle_textelem
from decant.pipeline.text.replica.links import delete_by_link_density, is_link_table
from decant.pipeline.text.replica.predicates import (
    BODY,
    CAPTION,
    COMMENTS,
    OVERALL,
    PAYWALL,
    PRECISION,
    TEASER,
)
from decant.pipeline.text.replica.tree import (
    Flagged,
    bits_of,
    contains_tag,
    delete,
    flag,
    prune,
    root_of,
    text_length,
    trimmed,
)

TABLE_TAGS = frozenset({"table", "td", "th", "tr"})
WILD_TAGS = ("blockquote", "code", "p", "pre", "q", "quote", "table", "div")
CONTENT_BITS = reduce(
    or_,
    (rule.bit for rule in (*COMMENTS, *BODY, *OVERALL, *PAYWALL, *CAPTION, *TEASER, *PRECISION)),
)
LINK_HOLDERS = frozenset({"div", "ul", "table"})

# handle_textelem returns None for any other tag, and leaves the element alone.
HANDLED_TAGS = frozenset(
    {"list", "code", "quote", "head", "p", "lb", "hi", "ref", "span", "table", "div"}
)


def clean(tree: _Element, tags: set[str]) -> _Element:
    """The tree without boilerplate elements, in place; `tags` are those of its descendants."""
    if "figure" in tags and "table" in tags:
        for figure in [f for f in tree.iterdescendants("figure") if contains_tag(f, "table")]:
            figure.tag = "div"
    strip_tags(tree, *MANUALLY_STRIPPED)
    for tag in MANUALLY_CLEANED:
        # one loop per tag: an element inside a removed one of its kind ends the library's loop
        if tag in tags or tag == tree.tag:
            for element in tree.iter(tag):
                delete(element)
    for element in [
        e for e in root_of(tree).iter(*CUT_EMPTY_ELEMS) if len(e) == 0 and e.text is None
    ]:
        delete(element)
    return tree


def convert(tree: _Element) -> _Element:
    """The tree in the library's own tags (list, item, head, quote, ref, lb), in place."""
    for link in list(tree.iterdescendants("a")):
        ancestor = link.getparent()
        while ancestor is not tree:
            if ancestor.tag in LINK_HOLDERS:
                link.tag = "ref"
                break
            ancestor = ancestor.getparent()
    strip_tags(tree, "a")
    strip_tags(tree, *REND_TAG_MAPPING)
    for element in tree.iter(*CONVERSIONS):
        CONVERSIONS[element.tag](element)
    return tree


def inside(flagged: Flagged, subtree: _Element) -> Flagged:
    """The flagged elements below a subtree, with the rules that they satisfy now."""
    flagged_inside = []
    for element, _ in flagged:
        for ancestor in element.iterancestors():
            if ancestor is subtree:
                flagged_inside.append((element, bits_of(element)))
                break
    return flagged_inside


def body_candidates(tree: _Element, flagged: Flagged):
    """Yields, for each of the library's content rules, the first element that it selects now."""
    for rule in BODY:
        for element, bits in flagged:
            if not bits & rule.bit:
                continue
            tag = element.tag
            if tag not in rule.always and not (
                rule.tags and tag in rule.tags and bits_of(element) & rule.bit
            ):
                continue
            if any(ancestor is tree for ancestor in element.iterancestors()):
                yield element
                break


def prune_sections(tree: _Element, flagged: Flagged) -> _Element:
    """A subtree without the sections that rules or link density name, or a pruned copy of it."""
    doomed = [e for e, bits in flagged if any(rule.selects(e, bits) for rule in OVERALL)]
    old_length = text_length(tree)
    # What removal can take at most; only if little may be left is the library's backup needed.
    at_most = sum(text_length(e) + len(e.tail or "") for e in doomed)
    backup = None if old_length - at_most > old_length / 7 else copy(tree)
    prune(flagged, OVERALL)
    if backup is not None and not text_length(tree) > old_length / 7:
        tree = backup
        flagged, _, _ = flag(tree)
    prune(flagged, PAYWALL)
    prune(flagged, CAPTION)
    prune(flagged, TEASER)
    prune(flagged, PRECISION)
    if contains_tag(tree, "ref"):
        delete_by_link_density(tree, "div", backtracking=True, precise=True)
        delete_by_link_density(tree, "list", precise=True)
        delete_by_link_density(tree, "p", precise=True)
    while len(tree) > 0 and tree[-1].tag == "head":
        tree.remove(tree[-1])
    if contains_tag(tree, "ref"):
        delete_by_link_density(tree, "head")
        delete_by_link_density(tree, "quote")
    return tree


def has_little_paragraph_text(subtree: _Element) -> bool:
    """Whether all <p> of the subtree's document together have under MIN_CHARS characters."""
    total = 0
    for paragraph in root_of(subtree).iter("p"):
        if next(paragraph.iterancestors("p"), None) is None:
            total += text_length(paragraph)
            if total >= MIN_CHARS:
                return False
    return True


def collect(elements: list[_Element], tags: set[str], options: PageOptions) -> list[_Element]:
    """The library's text elements for a list of page elements, handled in order."""
    collected = []
    for element in elements:
        if element.tag in HANDLED_TAGS:
            handled = handle_textelem(element, tags, options)
            if handled is not None:
                collected.append(handled)
    return collected


def extract_content(tree: _Element, flagged: Flagged, options: PageOptions) -> tuple[_Element, int]:
    """The main text as a <body> of the library's elements, and the length of its text."""
    flagged = [(element, bits) for element, bits in flagged if bits & CONTENT_BITS]
    prune(flagged, COMMENTS)
    tags = set(TAG_CATALOG | TABLE_TAGS)
    body = Element("body")
    backup = extract_candidates(tree, flagged, body, tags, options)
    length = joined_length(body)
    if len(body) == 0 or length < MIN_CHARS:
        if backup is None and tree.getparent() is None:  # nothing has touched the tree
            recover_wild_text(tree, inside(flagged, tree), body, tags, options)
        else:
            backup = copy(tree) if backup is None else backup
            recover_wild_text(backup, flag(backup)[0], body, tags, options)
        length = joined_length(body)
    strip_elements(body, "done")
    strip_tags(body, "div")
    return body, length


def extract_candidates(
    tree: _Element, flagged: Flagged, body: _Element, tags: set[str], options: PageOptions
) -> _Element | None:
    """A copy of the tree from before it was touched, None if no content rule selects anything.

    Adds the text of the first selected sections to the body until it has two elements, and <div>
    to the tags that count as text where a section has too few paragraphs.
    """
    backup = None
    for candidate in body_candidates(tree, flagged):
        backup = copy(tree) if backup is None else backup
        subtree = prune_sections(candidate, inside(flagged, candidate))
        for table in subtree.iter("table"):
            if is_link_table(table):
                table.getparent().remove(table)
        if len(subtree) == 0:
            continue
        if has_little_paragraph_text(subtree):
            tags.add("div")
        strip_tags(subtree, "ref", "span")
        elements = list(subtree.iterdescendants("*"))
        if {element.tag for element in elements} == {"lb"}:
            elements = [subtree]
        body.extend(collect(elements, tags, options))
        while len(body) > 0 and body[-1].tag in NOT_AT_THE_END:
            body.remove(body[-1])
        if len(body) > 1:
            break
    return backup


def recover_wild_text(
    tree: _Element, flagged: Flagged, body: _Element, tags: set[str], options: PageOptions
) -> None:
    """Adds the text elements of the whole page to a body that has too few."""
    tree = prune_sections(tree, flagged)
    strip_tags(tree, "a", "ref", "span")
    elements = [
        e
        for e in tree.iterdescendants(*WILD_TAGS)
        if e.tag != "div" or "w3-code" in e.get("class", "")
    ]
    body.extend(collect(elements, tags, options))


def joined_length(body: _Element) -> int:
    """Characters of a body's text pieces joined by spaces, spaces at the ends left out."""
    return len(" ".join(body.itertext()).strip())


def body_text(body: _Element) -> str:
    """All text of a body, trimmed, its pieces kept apart."""
    return trimmed(" ".join(body.itertext()))


def clean_article(article: _Element) -> tuple[_Element, int]:
    """Readability's article cleaned and in the library's tags, and the length of its text."""
    tags = {e.tag for e in article.iterdescendants("*")}
    clean(article, tags)
    strip_tags(article, "a")
    strip_tags(article, "span")
    convert(article)
    for element in article.iter("td", "th", "tr"):
        if element.tag == "tr":
            element.tag = "row"
        else:
            if element.tag == "th":
                element.set("role", "head")
            element.tag = "cell"
    odd = {e.tag for e in article.iter("*")} - TEI_VALID_TAGS
    if odd:
        strip_tags(article, *sorted(odd))
    return article, len(body_text(article))
