"""Engines by name: what they take, what they give, and the union's lineage."""

import pytest

from decant.pipeline.text import engines
from decant.pipeline.text.engines import (
    RESILIPARSE_OPTIONS,
    extractor,
    union_lines,
    union_with_lineage,
)
from tests.html_pages import PageMaker, pages

ENGINES = ("trafilatura", "resiliparse", "union")
SENTENCE = "The harbour was full of ships that had come home before the winter storms. "
PAGE = f"""<html><head><title>Ships</title></head><body><nav><a href="/">Start page</a></nav>
<article><h1>Ships at home</h1><p>{SENTENCE * 4}</p><p>Nobody had expected them so soon.</p>
</article><div class="footer">All rights reserved by nobody at all</div></body></html>"""


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_finds_the_article_and_leaves_navigation_out(engine):
    text = extractor(engine)(PAGE)
    assert text is not None
    assert SENTENCE.strip() in text
    assert "Nobody had expected them so soon." in text
    assert "Start page" not in text


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("html", ["", " \n", "<html></html>", "<p>", "\0", "<!-- -->"])
def test_a_page_without_text_has_none(engine, html):
    assert extractor(engine)(html) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_same_text_whatever_came_before(engine):
    extract = extractor(engine)
    some = list(pages(12, seed=4))
    first = [extract(html) for html in some]
    assert [extract(html) for html in reversed(some)] == first[::-1]


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_markup_gives_a_value(engine):
    extract = extractor(engine)
    text = PageMaker(2).sentences(20)
    for html in (
        "<div>" * 2_000 + text,
        "<table><tr><td>" * 500 + text,
        f"<p>{'&' * 100_000}</p>",
        f'<div class="{"a" * 1_000_000}">{text}</div>',
        "<a" * 20_000,
    ):
        found = extract(html)
        assert found is None or isinstance(found, str)


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(ValueError, match="valid: trafilatura, resiliparse, union"):
        extractor("justext")


def test_an_unknown_option_lists_the_valid_ones():
    with pytest.raises(ValueError, match="unknown option 'tables'; valid: alt_texts, comments"):
        extractor("resiliparse", {"tables": True})


def test_trafilatura_takes_no_options():
    with pytest.raises(ValueError, match="unknown option 'links'; valid: none"):
        extractor("trafilatura", {"links": True})


def test_options_override_our_defaults_one_by_one(monkeypatch):
    calls = []
    monkeypatch.setattr(
        engines, "extract_plain_text", lambda html, **options: calls.append(options) or html
    )
    assert extractor("resiliparse", {"links": True, "skip_elements": ["nav"]})("x") == "x"
    assert calls == [{**RESILIPARSE_OPTIONS, "links": True, "skip_elements": ["nav"]}]


def test_resiliparse_keeps_bullets_and_lines_for_the_rules_that_count_them():
    html = "<body><main><p>Some text.</p><ul><li>one item</li><li>two</li></ul></main></body>"
    text = extractor("resiliparse", {"main_content": False})(html) or ""
    assert [line.strip() for line in text.splitlines() if line] == [
        "Some text.",
        "• one item",
        "• two",
    ]


def test_the_union_has_each_line_once_and_says_where_it_is_from():
    first = "Title\nOne two three four five six\nOnly the first text has this line"
    second = "Title\nMenu of the site\nOne two three\nfour five six seven\nOnly second says so here"
    assert union_lines(first, second) == [
        ("Title", "both"),
        ("Menu of the site", "second"),
        ("One two three four five six", "both"),
        ("Only second says so here", "second"),
        ("Only the first text has this line", "first"),
    ]


def test_a_line_that_comes_twice_in_the_second_text_is_added_once():
    merged = union_lines(
        "Alpha beta gamma", "Share this page now\nAlpha beta gamma\nShare this page now"
    )
    assert merged == [("Share this page now", "second"), ("Alpha beta gamma", "both")]


def test_the_union_with_an_empty_text_is_the_other_text():
    assert union_lines("", "a b c\nd e f") == [("a b c", "second"), ("d e f", "second")]
    assert union_lines("a b c\nd e f", "") == [("a b c", "first"), ("d e f", "first")]


def test_the_lineage_names_the_engines():
    lineage = union_with_lineage(PAGE, RESILIPARSE_OPTIONS)
    assert ("Nobody had expected them so soon.", "both") in lineage
    assert {engine for _, engine in lineage} <= {"trafilatura", "resiliparse", "both"}
