"""Readability's scores of a page's blocks, and the best of them.

Class and id are searched once per distinct value, a link's text is read once, and a link density,
which takes all text of a block, only where it can decide something.
"""

from __future__ import annotations

from lxml import etree
from lxml.etree import _Element
from trafilatura.readability_lxml import (
    BAD_ELEM_SCORES,
    BLOCK_SCORES,
    DIV_SCORES,
    REGEXES,
    STRUCTURE_SCORES,
)

from decant.pipeline.fast_tree import text_of, trimmed_length

MIN_TEXT_CHARS = 25
WEIGHED_VALUES, WEIGHED_CHARS = 20_000, 200  # the memo of class weights: at most 4 MB
_weights: dict[str, int] = {}
_has_nested_links = etree.XPath("boolean(descendant-or-self::a[.//a])")


def score_paragraphs(doc: _Element) -> dict[_Element, float]:
    """Parents and grandparents of paragraphs with unscaled scores, in the order they were met."""
    scores: dict[_Element, float] = {}
    for element in doc.iter("p", "pre", "td"):
        parent = element.getparent()
        if parent is None:
            continue
        grandparent = parent.getparent()
        text = " ".join(text_of(element).split())
        length = len(text)
        if length < MIN_TEXT_CHARS:
            continue
        for node in (parent, grandparent):
            if node is not None and node not in scores:
                scores[node] = first_score(node)
        score = 2 + text.count(",") + min(length / 100, 3)
        scores[parent] += score
        if grandparent is not None:
            scores[grandparent] += score / 2
    return scores


def best_candidate(doc: _Element, scores: dict[_Element, float]) -> _Element:
    """The candidate with the highest score scaled by 1 - link density, the first of equals.

    Scales in place the scores that anything depends on. While links do not nest, a density is at
    most 1 and scaling changes no sign, so it is left out where a candidate cannot win, is no
    sibling of the winner, and has neither a negative score nor a negative class weight, the only
    cases in which `sanitize` looks at more than the sign.
    """
    links: dict[_Element, int] = {}  # lengths of links: they stand in a parent and in a grandparent
    nested = bool(_has_nested_links(doc))
    unscaled = dict.fromkeys(
        e for e, score in scores.items() if not (nested or score < 0 or class_weight(e) < 0)
    )
    order = {element: -number for number, element in enumerate(scores)}
    best, best_rank = None, (float("-inf"), 0)
    for element in sorted(scores, key=lambda e: (e in unscaled, -scores[e])):
        if element in unscaled and best is not None and scores[element] < best_rank[0]:
            break  # and so are all that follow
        unscaled.pop(element, None)
        scores[element] *= 1 - link_density(element, links)
        if best is None or (scores[element], order[element]) > best_rank:
            best, best_rank = element, (scores[element], order[element])
    assert best is not None, "there is a candidate"
    for sibling in (*best.itersiblings(), *best.itersiblings(preceding=True)):
        if sibling in unscaled:
            scores[sibling] *= 1 - link_density(sibling, links)
    return best


def first_score(element: _Element) -> int:
    """A candidate's score before its text is counted."""
    score, name = class_weight(element), element.tag.lower()
    if name in DIV_SCORES:
        return score + 5
    if name in BLOCK_SCORES:
        return score + 3
    if name in BAD_ELEM_SCORES:
        return score - 3
    return score - 5 if name in STRUCTURE_SCORES else score


def class_weight(element: _Element) -> int:
    """±25 for each of class and id that sounds like content or like boilerplate."""
    weight = 0
    for value in (element.get("class"), element.get("id")):
        if value:
            known = _weights.get(value)
            weight += _weigh(value) if known is None else known
    return weight


def _weigh(value: str) -> int:
    weight = 0
    if REGEXES["negativeRe"].search(value):
        weight -= 25
    if REGEXES["positiveRe"].search(value):
        weight += 25
    if len(value) <= WEIGHED_CHARS:
        if len(_weights) >= WEIGHED_VALUES:
            _weights.clear()
        _weights[value] = weight
    return weight


def link_density(element: _Element, seen: dict[_Element, int] | None = None) -> float:
    """The share of an element's trimmed characters that stands in links.

    `seen` keeps the lengths of links from call to call while the tree does not change.
    """
    seen = {} if seen is None else seen
    links = 0
    for link in element.iterdescendants("a"):
        length = seen.get(link)
        if length is None:
            length = seen[link] = len(" ".join(text_of(link).split()))
        links += length
    return links / (trimmed_length(element) or 1) if links else 0.0
