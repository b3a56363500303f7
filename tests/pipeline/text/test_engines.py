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


def test_trafilatura_takes_one_option():
    with pytest.raises(ValueError, match="unknown option 'links'; valid: fill_rows"):
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


TABLE = (
    "<table><tr><th colspan={span}>Refused payments of the year</th></tr>"
    "<tr><td>Code of payment</td><td>Meaning of the code</td></tr>"
    "<tr><td>One cell alone in its row</td></tr>"
    "<tr><td>The last</td><td>row of it</td></tr></table>"
)


def with_table(span: str) -> str:
    return PAGE.replace("</article>", TABLE.format(span=span) + f"<p>{SENTENCE}</p></article>")


@pytest.mark.parametrize("span", ["2", "'2000000'", '"9007199254740991"', "two", "-4", "''"])
@pytest.mark.parametrize("fast", [True, False])
def test_a_table_in_the_union_has_no_bar_beyond_its_cells(span, fast, monkeypatch):
    monkeypatch.setattr(engines, "FAST", fast and engines.FAST)
    text = extractor("union")(with_table(span)) or ""
    assert "Refused payments of the year" in text
    assert "Meaning of the code" in text
    assert "One cell alone in its row" in text
    assert "||" not in text.replace(" ", "")


def test_the_bars_of_missing_cells_stay_where_trafilatura_is_promised_and_go_by_option():
    promised = extractor("trafilatura")(with_table("6")) or ""
    assert "|" * 5 in promised
    assert promised == engines.plain_trafilatura_text(with_table("6"))
    without = extractor("trafilatura", {"fill_rows": False})(with_table("6")) or ""
    assert "||" not in without.replace(" ", "")
    assert "Meaning of the code" in without


def test_options_of_the_library_itself_leave_the_same_bars_out(monkeypatch):
    fast = engines.trafilatura_text(with_table("9"), fill_rows=False)
    monkeypatch.setattr(engines, "FAST", False)
    assert engines.trafilatura_text(with_table("9"), fill_rows=False) == fast


@pytest.mark.parametrize("error", [MemoryError, RecursionError, ValueError])
@pytest.mark.parametrize("broken", ["trafilatura", "resiliparse"])
def test_an_engine_that_fails_alone_leaves_the_other_one_s_text(error, broken, monkeypatch):
    def fails(*_, **__):
        raise error("no more")

    name = {"trafilatura": "trafilatura_text", "resiliparse": "extract_plain_text"}[broken]
    monkeypatch.setattr(engines, name, fails)
    lineage = union_with_lineage(PAGE, RESILIPARSE_OPTIONS)
    (other,) = {"trafilatura", "resiliparse"} - {broken}
    assert {engine for _, engine in lineage} == {other}
    monkeypatch.setattr(engines, "trafilatura_text", fails)
    monkeypatch.setattr(engines, "extract_plain_text", fails)
    with pytest.raises(error):
        union_with_lineage(PAGE, RESILIPARSE_OPTIONS)


PARAGRAPH = "Entry is free for children until the end of the year"
GLUED = {
    "to the paragraph behind it": ("Prices PARAGRAPH", "Prices\nPARAGRAPH"),
    "without a blank": ("PricesPARAGRAPH", "Prices\nPARAGRAPH"),
    "without a blank, of many words": ("The new pricesPARAGRAPH", "The new prices\nPARAGRAPH"),
    "to the paragraph before it": ("PARAGRAPH Opening hours", "PARAGRAPH\nOpening hours"),
    "by the second text": ("Prices\nPARAGRAPH", "PricesPARAGRAPH"),
    "by the second text, to few words": ("Opening hours\nFrom noon", "Opening hoursFrom noon"),
}


@pytest.mark.parametrize(("first", "second"), GLUED.values(), ids=GLUED)
def test_a_heading_that_one_engine_glued_to_its_neighbour_is_said_once(first, second):
    first, second = (one.replace("PARAGRAPH", PARAGRAPH) for one in (first, second))
    assert [line for line, _ in union_lines(first, second)] == first.split("\n")


def test_a_short_line_of_its_own_is_no_part_of_the_line_it_begins_like():
    first = f"{PARAGRAPH}\nInverness is far away from all of this"
    second = f"{PARAGRAPH}\nIn\nInverness is far away from all of this"
    assert ("In", "second") in union_lines(first, second)
