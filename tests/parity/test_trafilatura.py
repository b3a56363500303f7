"""The fast path against trafilatura itself: same text, page by page.

`DECANT_PARITY=all` takes 2,000 made pages and every real one instead of a sample (five minutes).
"""

import logging
import os
from collections import Counter

import lxml.html
import pytest
import trafilatura
from justext.core import ParagraphMaker, classify_paragraphs, revise_paragraph_classification
from trafilatura import deduplication, readability_lxml, xpaths
from trafilatura.utils import HTML_PARSER, repair_faulty_html

from decant.pipeline.text.engines import EXACT_FOR, FAST, plain_trafilatura_text, trafilatura_text
from decant.pipeline.text.replica import bound as length_bound
from decant.pipeline.text.replica import justext, page, predicates, readability
from decant.pipeline.text.replica import tree as trees
from tests.html_pages import PageMaker, pages
from tests.real_pages import real_pages

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not FAST, reason=f"fast path is not for {trafilatura.__version__}"),
]

ALL = os.environ.get("DECANT_PARITY") == "all"
RULES = {
    "PAYWALL": xpaths.PAYWALL_DISCARD_XPATH,
    "OVERALL": xpaths.OVERALL_DISCARD_XPATH,
    "TEASER": xpaths.TEASER_DISCARD_XPATH,
    "PRECISION": xpaths.PRECISION_DISCARD_XPATH,
    "CAPTION": xpaths.DISCARD_IMAGE_ELEMENTS,
    "COMMENTS": xpaths.REMOVE_COMMENTS_XPATH,
}


def reference(html):
    """What FineWeb's call returns for a page that is the first of its process."""
    deduplication.LRU_TEST.clear()
    return trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=True)


def differences(some_pages):
    """Names of the pages whose fast text differs, and how many had text, none, or no proof."""
    different, outcomes = [], Counter()
    for name, html in some_pages:
        expected = reference(html)
        deduplication.LRU_TEST.clear()
        try:
            text = page.text(html)
        except page.Unproven:
            outcomes["unproven"] += 1
            continue
        outcomes["none" if text is None else "text"] += 1
        if text != expected:
            different.append(name)
    return different, outcomes


def test_made_pages_have_the_library_s_text():
    different, outcomes = differences(enumerate(pages(2_000 if ALL else 120, seed=7)))
    assert different == []
    assert outcomes["text"] > 0.9 * outcomes.total()
    assert outcomes["none"] > 0
    assert outcomes["unproven"] <= 0.03 * outcomes.total()  # one page in fifty has a forbidden byte


def test_real_pages_have_the_library_s_text():
    different, outcomes = differences(real_pages(every=1 if ALL else 40))
    assert different == []
    assert outcomes["unproven"] <= 0.01 * outcomes.total()


def test_fragments_have_the_library_s_text_or_are_left_to_it():
    maker = PageMaker(19)
    different, outcomes = differences((i, maker.fragment()) for i in range(300))
    assert different == []
    assert outcomes["text"] > 10
    assert outcomes["unproven"] < 150  # lone elements: empty trees, a root that Readability drops


@pytest.mark.parametrize("tag", ["div", "span", "p", "table", "ul", "b", "blockquote", "font"])
def test_deeply_nested_tags_have_the_library_s_text(tag):
    html = f"<html><body>{f'<{tag}>words of it ' * 3_000}{f'</{tag}>' * 3_000}</body></html>"
    different, outcomes = differences([(tag, html)])
    assert different == []
    assert outcomes.total() == 1


def test_huge_attributes_and_many_of_them_have_the_library_s_text():
    text = PageMaker(1).sentences(30)
    big = f'<div class="{"x " * 200_000}footer"><p>{text}</p></div>'
    many = f"<div {' '.join(f'a{i}=1' for i in range(5_000))} class=nav><p>{text}</p></div>"
    wide = "".join(f'<div id="v{i}"><p>{text[: i % 90]}</p></div>' for i in range(1_500))
    different, _ = differences(enumerate([big, many, wide]))
    assert different == []


def test_a_paragraph_met_on_earlier_pages_stays():
    text = "This very paragraph stands on each page of the site, and it is long enough to count. "
    html = f"<html><body><article><p>{text * 4}</p><p>{text * 3}</p></article></body></html>"
    assert len({trafilatura_text(html) for _ in range(6)}) == 1
    assert text * 3 in (trafilatura_text(html) or "") + " "


def test_the_process_s_own_trafilatura_keeps_its_memory():
    memory = deduplication.LRU_TEST
    memory.clear()
    deduplication.put_in_cache("seen before")
    for html in pages(4):
        trafilatura_text(html)
        plain_trafilatura_text(html)
    assert deduplication.LRU_TEST is memory
    assert list(memory.cache) == ["seen before"]


def test_an_unproven_page_gets_the_library_s_text(monkeypatch):
    html = next(pages(2, seed=3))
    expected = reference(html)
    assert expected

    def refuse(html, fill_rows):
        raise page.Unproven("for the test")

    monkeypatch.setattr(page, "text", refuse)
    assert trafilatura_text(html) == expected


def test_every_rule_selects_what_its_xpath_selects():
    hits = Counter()
    for html in pages(60, seed=11):
        tree = trees.parse(html)
        assert tree is not None
        flagged, _, _ = trees.flag(tree)
        for name, expressions in RULES.items():
            for rule, xpath in zip(getattr(predicates, name), expressions, strict=True):
                selected = [e for e, bits in flagged if rule.selects(e, bits)]
                assert selected == xpath(tree), xpath.path
                hits[name] += len(selected)
        for rule, xpath in zip(predicates.BODY, xpaths.BODY_XPATH, strict=True):
            first = next((e for e, bits in flagged if rule.selects(e, bits)), None)
            assert first is next(iter(xpath(tree)), None), xpath.path
            hits[f"body {rule.bit}"] += first is not None
    assert set(hits) == {*RULES, *(f"body {rule.bit}" for rule in predicates.BODY)}
    assert min(hits.values()) > 0, hits


def test_readability_chooses_the_library_s_article():
    for html in pages(60, seed=13):
        library_tree = lxml.html.fromstring(
            repair_faulty_html(html, html[:50].lower()).encode(), parser=HTML_PARSER
        )
        expected = readability_lxml.Document(library_tree).summary()
        tree = trees.parse_bytes(trees.repaired(html, "doctype" in html[:50].lower()))
        flagged, _, tags = trees.flag(tree)
        assert readability.summary(tree, flagged, tags) == expected


def test_an_article_never_has_more_text_than_its_bound():
    shorter = 0
    for html in pages(80, seed=23):
        tree = trees.parse(html)
        assert tree is not None
        flagged, _, tags = trees.flag(tree)
        trees.prune(flagged, [*predicates.PAYWALL, *predicates.OVERALL])
        for element in list(tree.iter("script", "style")):
            trees.delete(element)
        bound = length_bound.spaced_length(tree) + length_bound.VIDEO_CHARS * len(
            list(tree.iter("iframe"))
        )
        summary = readability.summary(tree, flagged, tags)
        assert summary is not None
        length = trees.trimmed_length(trees.parse_bytes(summary))
        assert length <= bound
        shorter += length < bound
    assert shorter > 0


def test_readability_is_left_out_only_where_it_changes_nothing(monkeypatch):
    some = list(pages(120, seed=29))
    texts = [trafilatura_text(html) for html in some]
    left_out = []
    summary = readability.summary

    def counted(*arguments):
        article = summary(*arguments)
        left_out.append(article is None)
        return article

    monkeypatch.setattr(page, "summary", counted)
    assert [trafilatura_text(html) for html in some] == texts
    assert 0.1 * len(left_out) < sum(left_out) < 0.9 * len(left_out)
    left_out.clear()
    monkeypatch.setattr(page, "unused_page_chars", lambda *_: length_bound.UNKNOWN)
    assert [trafilatura_text(html) for html in some] == texts
    assert not any(left_out)


@pytest.mark.parametrize("tag", ["xmp", "noembed", "noframes", "plaintext", "iframe", "title"])
def test_text_that_is_no_markup_has_the_library_s_text(tag):
    own = PageMaker(3).sentences(12)
    other = "<p>" + "a < b & c > d " * 60 + "</p>"
    pages = [
        f"<html><body><article><p>{own}</p></article><div>{other}<{tag}>{other * n}</{tag}></div>"
        for n in (1, 3, 9)
    ]
    different, outcomes = differences(enumerate(pages))
    assert different == []
    assert outcomes["unproven"] == 0


@pytest.mark.parametrize("span", ["2", "x", "", " 3 ", "100%", "-1", "٣"])
def test_a_cell_s_span_gives_the_library_s_text_or_none(span):
    row = f'<tr><td colspan="{span}">{PageMaker(4).sentences(9)}</td><th>head</th></tr>'
    nested = f"<table>{row}<tr><td><table>{row * 2}</table></td></tr></table>"
    different, outcomes = differences(
        enumerate(
            f"<html><body><article>{table}</article></body></html>"
            for table in (
                f"<table>{row}</table>",
                nested,
                f"<table><td colspan={span or 'y'}>x</table>",
            )
        )
    )
    assert different == []
    assert outcomes["unproven"] == 0


@pytest.mark.parametrize("place", ["<p>{}</p>", "</script>{}", "<table><td>{}</td></table>"])
def test_a_character_that_xml_forbids_has_the_library_s_text_or_none(place):
    text = PageMaker(5).sentences(12)
    forbidden = place.format(f"some words \x01 and more {text}")
    html = f"<html><body><article><p>{text}</p><script>x = 1;</script>{forbidden}</article></body>"
    different, outcomes = differences([(place, html)])
    assert different == []
    assert outcomes.total() == 1


def test_justext_keeps_the_library_s_paragraphs():
    kept = 0
    for html in pages(60, seed=17):
        tree = trees.parse(html)
        assert tree is not None
        paragraphs = ParagraphMaker.make_paragraphs(tree)
        stop_words = justext.stop_words()
        classify_paragraphs(paragraphs, stop_words, 50, 200, 0.1, 0.2, 0.2, True)
        revise_paragraph_classification(paragraphs, 200)
        expected = [p.text for p in paragraphs if not p.is_boilerplate]
        assert [p.text for p in justext.good_paragraphs(tree)] == expected
        kept += len(expected)
    assert kept > 100


def test_a_version_that_is_not_proven_runs_the_library_with_a_notice(monkeypatch, caplog):
    from decant.pipeline.text import engines

    html = next(pages(2, seed=5))
    monkeypatch.setattr(engines, "FAST", False)
    monkeypatch.setattr(page, "text", lambda html: "not called")
    with caplog.at_level(logging.WARNING):
        assert engines.extractor("trafilatura")(html) == reference(html)
    assert EXACT_FOR in caplog.text
