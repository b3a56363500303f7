"""Readability's choice of an article, as trafilatura's fork of readability-lxml makes it.

Every block of a page gets a score, and the best block with its siblings is the article: the same
steps in the same order on the same tree. What is saved: whether a <div> holds block elements is
asked of the tree instead of its serialisation, class and id are searched once per distinct value, a
link's text is read once, and a link density, which takes all text of a block, only where it can
decide something.
"""

from __future__ import annotations

from lxml import etree
from lxml.etree import Element, SubElement, _Element
from trafilatura.readability_lxml import (
    BAD_ELEM_SCORES,
    BLOCK_SCORES,
    DIV_SCORES,
    DOT_SPACE,
    FRAME_TAGS,
    LIST_TAGS,
    REGEXES,
    STRUCTURE_SCORES,
)

from decant.pipeline.text.replica.bound import spaced_length
from decant.pipeline.text.replica.predicates import UNLIKELY
from decant.pipeline.text.replica.tree import (
    Flagged,
    Unproven,
    contains_tag,
    delete,
    text_of,
    trimmed_length,
)

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


RETRY_CHARS = 250
# The library looks for "<" and one of these, without a word boundary, in the serialised children:
# <address> and <picture> count as well.
BLOCK_PREFIXES = ("a", "blockquote", "dl", "div", "img", "ol", "p", "pre", "table", "ul")
CLEANED_TAGS = ("table", "ul", "div", "aside", "header", "footer", "section")

_count = {
    kind: etree.XPath(f"count(.//{kind})") for kind in ("p", "img", "li", "a", "embed", "input")
}
_count_hidden = etree.XPath('count(.//input[@type="hidden"])')


def summary(doc: _Element, flagged: Flagged, tags: set[str], limit: int = -1) -> str | None:
    """The article as serialised XML, None where it is known to have at most `limit` characters.

    `flagged` and `tags` are those of the tree's descendants.
    """
    for element in doc.iter("script", "style"):
        drop(element)
    if spaced_length(doc) <= limit:
        return None
    block_tags = ("p", *(t for t in sorted(tags) if t.lower().startswith(BLOCK_PREFIXES)))
    ruthless = True
    while True:
        if ruthless:
            for element, bits in flagged:
                if bits & UNLIKELY and is_unlikely(element):
                    delete(element)
        paragraphs_from_divs(doc, block_tags)
        scores = score_paragraphs(doc)
        if scores:
            article = gather_article(best_candidate(doc, scores), scores)
        elif ruthless:
            ruthless = False
            continue
        else:
            body = doc.find("body")
            article = doc if body is None else body
        if spaced_length(article) <= limit:  # what follows only takes away from it
            return None
        sanitize(article, scores)
        doc = article
        cleaned = etree.tostring(article, encoding=str, method="xml")
        if ruthless and len(cleaned) < RETRY_CHARS:
            ruthless = False
            continue
        return cleaned


def is_unlikely(element: _Element) -> bool:
    """Whether an element whose name sounds like boilerplate does not also sound like content."""
    if element.tag in FRAME_TAGS:
        return False
    names = " ".join(filter(None, (element.get("class"), element.get("id"))))
    return REGEXES["okMaybeItsACandidateRe"].search(names) is None


def drop(element: _Element) -> None:
    """Removes an element as lxml.html's `drop_tree` does, which fails on one without a parent."""
    if element.getparent() is None:
        raise Unproven("root")
    delete(element)


def paragraphs_from_divs(doc: _Element, block_tags: tuple[str, ...]) -> None:
    """Turns each <div> without block elements into <p>, and wraps loose text of the others."""
    kept = []
    for div in list(doc.iterdescendants("div")):
        if contains_tag(div, *block_tags):
            kept.append(div)
        else:
            div.tag = "p"
    for div in kept:
        text = div.text
        if text and not text.isspace():
            paragraph = Element("p")
            paragraph.text, div.text = text, None
            div.insert(0, paragraph)
        children = list(div)
        for position in range(len(children) - 1, -1, -1):
            child = children[position]
            tail = child.tail
            if tail and not tail.isspace():
                paragraph = Element("p")
                paragraph.text, child.tail = tail, None
                div.insert(position + 1, paragraph)
            if child.tag == "br":
                drop(child)


def gather_article(best: _Element, scores: dict[_Element, float]) -> _Element:
    """A new <div> with the best candidate and those of its siblings that belong to it."""
    threshold = max(10, scores[best] * 0.2)
    # The library parses "<div/>", so that its output has a <body> above it.
    output = SubElement(SubElement(Element("html"), "body"), "div")
    parent = best.getparent()
    for sibling in list(parent) if parent is not None else [best]:
        if (
            sibling is best
            or scores.get(sibling, threshold - 1) >= threshold
            or (sibling.tag == "p" and _belongs(sibling))
        ):
            output.append(sibling)
    return output


def _belongs(paragraph: _Element) -> bool:
    text = paragraph.text or ""
    if len(text) > 80:
        return link_density(paragraph) < 0.25
    return DOT_SPACE.search(text) is not None and link_density(paragraph) == 0


def sanitize(node: _Element, scores: dict[_Element, float]) -> None:
    """Removes headings, forms, frames, and blocks that look like lists of links, in place."""
    for header in node.iter("h1", "h2", "h3", "h4", "h5", "h6"):
        if class_weight(header) < 0 or link_density(header) > 0.33:
            drop(header)
    for element in node.iter("form", "textarea"):
        drop(element)
    for element in node.iter("iframe"):
        if "src" in element.attrib and REGEXES["videoRe"].search(element.attrib["src"]):
            element.text = "VIDEO"
        else:
            drop(element)
    allowed: set[_Element] = set()
    for element in reversed(list(node.getroottree().getroot().iter(*CLEANED_TAGS))):
        if element in allowed:
            continue
        weight = class_weight(element)
        if weight + scores.get(element, 0) < 0 or (
            text_of(element).count(",") < 10 and is_clutter(element, weight, allowed)
        ):
            drop(element)


def is_clutter(element: _Element, weight: int, allowed: set[_Element]) -> bool:
    """Whether a block with few commas holds too little text for its images, items and links."""
    paragraphs, images = _count["p"](element), _count["img"](element)
    if paragraphs and images > 1 + paragraphs * 1.3:
        return True
    if _count["li"](element) - 100 > paragraphs and element.tag not in LIST_TAGS:
        return True
    if _count["input"](element) - _count_hidden(element) > paragraphs / 3:
        return True
    length = trimmed_length(element)
    if length < MIN_TEXT_CHARS and (images == 0 or images > 2):
        return True
    if link_density(element) > (0.2 if weight < 25 else 0.5):
        return True
    embeds = _count["embed"](element)
    if (embeds == 1 and length < 75) or embeds > 1:
        return True
    return not length and not _stands_in_long_text(element, allowed)


def _stands_in_long_text(element: _Element, allowed: set[_Element]) -> bool:
    """Whether the nearest siblings with text have over 1,000 characters; if so, its parts stay."""
    lengths: list[int] = []
    for sibling in element.itersiblings():
        length = trimmed_length(sibling)
        if length:
            lengths.append(length)
            break
    limit = len(lengths) + 1
    for sibling in element.itersiblings(preceding=True):
        length = trimmed_length(sibling)
        if length:
            lengths.append(length)
            if len(lengths) >= limit:
                break
    if lengths and sum(lengths) > 1000:
        allowed.update(element.iter("table", "ul", "div", "section"))
        return True
    return False
