"""Attribute rules read from XPath: what they select, what they refuse, and their memory."""

import pytest
from lxml import etree

from decant.pipeline.text.replica.predicates import BOOK, MEMO_CHARS, RuleBook, UnknownRule


def bits_of(book, **attributes):
    """The bits of an element with these attributes (`_` for `-` in names)."""
    found = 0
    for name, value in attributes.items():
        memo = book.memos.get(name.replace("_", "-"))
        if memo is not None:
            memo.learn([value])
            found |= memo[value]
    return found


CASES = [
    ("contains(@class, 'nav')", {"class": "subnav x"}, True),
    ("contains(@class, 'nav')", {"class": "na v"}, False),
    ("contains(@class, 'nav')", {"class": "NAV"}, False),
    ("starts-with(@id, 'nav')", {"id": "navbar"}, True),
    ("starts-with(@id, 'nav')", {"id": "subnav"}, False),
    ("@class='nav'", {"class": "nav"}, True),
    ("@class='nav'", {"class": "nav x"}, False),
    ("contains(translate(@id, 'CM', 'cm'), 'comment')", {"id": "a-CoMMent"}, True),
    ("contains(translate(@id, 'C', 'c'), 'comment')", {"id": "coMMent"}, False),
    ("starts-with(translate(@class, 'C', 'c'), 'comment')", {"class": "Comments"}, True),
    ("contains(translate(@class, 'B', 'b'), 'articleBody')", {"class": "articleBody"}, False),
    ("@data-x", {"data_x": ""}, True),
    ("contains(@class, 'é日')", {"class": "xé日y"}, True),
    ("contains(@class, ' ad ') or @hidden", {"class": "x ad y"}, True),
    ("contains(@class, ' ad ') or @hidden", {"id": " ad "}, False),
]


@pytest.mark.parametrize(("test", "attributes", "expected"), CASES)
def test_a_rule_decides_as_its_xpath_does(test, attributes, expected):
    xpath = etree.XPath(f".//*[(self::div or self::p)][{test}]")
    book = RuleBook()
    rule = book.compile(xpath)
    tree = etree.Element("body")
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    element = etree.SubElement(tree, "div", named)
    assert bool(xpath(tree)) is expected
    assert rule.selects(element, bits_of(book, **attributes)) is expected
    element.tag = "span"
    assert rule.selects(element, bits_of(book, **attributes)) is False


@pytest.mark.parametrize(
    "path",
    [
        ".//div/p[@class='x']",
        ".//*[contains(@class, 'x') and @id]",
        ".//*[contains(., 'x')]",
        ".//*[not(@class)]",
        ".//*[@class='x'][2]",
        "//div[1]/a",
        ".//*[contains(translate(@id, 'ab', 'bc'), 'x')]",
    ],
)
def test_an_expression_of_another_form_is_refused(path):
    with pytest.raises(UnknownRule):
        RuleBook().compile(etree.XPath(path))


def test_values_learnt_together_do_not_mix():
    book = RuleBook()
    rule = book.compile(etree.XPath(".//*[contains(@class, 'xy') or @class='a']"))
    memo = book.memos["class"]
    memo.learn(["x", "y", "a", "aa", "", "xxyy"])
    assert {value: bool(bits & rule.bit) for value, bits in memo.items()} == {
        "x": False, "y": False, "a": True, "aa": False, "": False, "xxyy": True,
    }  # fmt: skip


def test_the_memory_of_values_is_emptied_between_pages_once_it_is_large():
    memo = BOOK.memos["class"]
    memo.learn(["x" * (MEMO_CHARS + 1)])
    assert "x" * (MEMO_CHARS + 1) in memo
    BOOK.start_page()
    assert len(memo) == 0
    assert memo.chars == 0
