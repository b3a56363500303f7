"""The report tells what the ledger tells, stands alone, and trusts no text from the web."""

import re
import xml.etree.ElementTree as ElementTree

from decant.pipeline.report import charts
from decant.pipeline.report.funnel import funnel_text
from decant.pipeline.report.page import page
from decant.pipeline.rules import rule_rows

STAGES = {
    "extract": {"in": 1_000, "kept": 600, "errors": 4, "dropped": {"language_score": 396}},
    "filter": {"in": 600, "kept": 500, "errors": 0, "dropped": {"gopher_stop_words": 100}},
}


def html(stages=STAGES, config=None, **extras) -> str:
    return page({"stages": stages}, rule_rows(), config or {}, extras)


def test_the_funnel_names_every_rule_with_its_count():
    lines = funnel_text(STAGES).splitlines()
    assert lines[1].split()[:6] == ["extract", "1,000", "600", "396", "4", "60.0%"]
    assert lines[2].split() == ["language_score", "396"]
    assert lines[4].split() == ["gopher_stop_words", "100"]


def test_the_page_needs_nothing_from_elsewhere():
    text = html()
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script", text)


def test_the_page_shows_the_counts_of_the_ledger():
    text = html()
    for shown in ("1,000", "396", "39.6%", "gopher_stop_words", "16.7%"):
        assert shown in text


def test_text_from_outside_is_escaped():
    hostile = "<script>alert(1)</script>"
    stages = {"extract": {**STAGES["extract"], "dropped": {hostile: 396}}}
    text = html(
        stages,
        {"input": {"dump": hostile}},
        overlap={"warnings": [hostile], "documents": 1},
        dedup={"note": hostile},
    )
    assert hostile not in text
    assert text.count("&lt;script&gt;") >= 4


def test_bars_beyond_the_bound_are_in_the_colour_of_loss():
    svg = charts.histogram([0.0, 0.1, 0.2, 0.3], [5, 4, 3, 0], [0.2], {"at_most": 0.2})
    kinds = [bar.get("class") for bar in ElementTree.fromstring(svg).iter("rect")]
    assert kinds == ["kept", "kept", "kept"]
    svg = charts.histogram([0.0, 0.1, 0.2, 0.3], [5, 4, 3, 9], [0.1], {"at_most": 0.1})
    kinds = [bar.get("class") for bar in ElementTree.fromstring(svg).iter("rect")]
    assert kinds == ["kept", "kept", "lost", "lost"]


def test_an_empty_histogram_is_no_chart():
    assert charts.histogram([0.0, 1.0], [0, 0]) == ""


def test_the_overlap_is_a_share_of_the_rows_rule():
    table = charts.overlap_matrix(["one", "two", "idle"], [[10, 5, 0], [5, 50, 0], [0, 0, 0]])
    assert "50%" in table  # 5 of 10 that fail `one` fail `two`
    assert "10%" in table  # 5 of 50 that fail `two` fail `one`
    assert "idle" not in table
