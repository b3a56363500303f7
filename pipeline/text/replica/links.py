"""trafilatura's link density tests: which blocks are mostly links.

The library reads the text of every block; here one without links, or around a block that is long
already, is not read.
"""

from __future__ import annotations

from lxml.etree import _Element

from decant.pipeline.text.replica.tree import contains_tag, delete, text_of, trimmed

LONG_BLOCK = 300  # the library's largest limit on a block's text


def delete_by_link_density(
    subtree: _Element, tag: str, backtracking: bool = False, precise: bool = False
) -> None:
    """Removes the blocks of a tag that are mostly links; backtracking: or a few parts around some.

    A block with LONG_BLOCK characters is never removed, and neither is one around it: its trimmed
    text is at least as long. So blocks are read from the innermost outwards, and whatever holds a
    long one is not read at all.
    """
    blocks = list(subtree.iter(tag))
    if not blocks:
        return
    linked = ancestors_of_links(subtree)
    if not linked:
        return
    long: set[_Element] = set()
    removals: dict[_Element, list[_Element]] = {}
    for block in reversed(blocks):
        if block not in linked or block in long:
            continue
        length = len(trimmed(text_of(block)))
        if length >= LONG_BLOCK:
            for ancestor in block.iterancestors(tag):
                if ancestor in long:
                    break
                long.add(ancestor)
            continue
        dense, has_links = is_link_dense(block, length, precise)
        if dense:
            removals[block] = [block]
        elif backtracking and has_links and 0 < length < 200 and len(block) >= 3:
            removals[block] = list(block)
    deletions = [element for block in blocks for element in removals.get(block, ())]
    for element in dict.fromkeys(deletions):
        delete(element)


def ancestors_of_links(subtree: _Element) -> set[_Element]:
    """The elements around any link of a subtree, up to the subtree's own."""
    ancestors: set[_Element] = set()
    for link in subtree.iterdescendants("ref"):
        ancestor = link.getparent()
        while ancestor not in ancestors and ancestor is not None:
            ancestors.add(ancestor)
            if ancestor is subtree:
                break
            ancestor = ancestor.getparent()
    return ancestors


def is_link_dense(block: _Element, length: int, precise: bool) -> tuple[bool, bool]:
    """Whether a block with links is mostly links, and whether any of them was counted."""
    if block.tag == "p" and precise:
        limit = 200
    elif block.tag == "p":
        limit = 60 if block.getnext() is None else 30
    else:
        limit = 300 if block.getnext() is None else 100
    if length >= limit:
        return False, False
    total, count, short = link_lengths(block, 50 if precise else 10)
    if count == 0:
        return True, False
    return total > 0.8 * length or (count > 1 and short / count > 0.8), True


def link_lengths(block: _Element, short_chars: int) -> tuple[int, int, int]:
    """Characters in a block's links, links with text, and those below a length."""
    lengths = [len(trimmed(text_of(link))) for link in block.iterdescendants("ref")]
    lengths = [length for length in lengths if length]
    return sum(lengths), len(lengths), sum(length < short_chars for length in lengths)


def is_link_table(table: _Element) -> bool:
    """Whether a table of over 250 characters is mostly links."""
    if not contains_tag(table, "ref"):
        return False
    length = len(trimmed(text_of(table)))
    if length <= 250:
        return False
    total, count, _ = link_lengths(table, 10)
    return count == 0 or total > (0.8 if length < 1000 else 0.5) * length
