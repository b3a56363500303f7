"""The page of a study: complete, self-contained, and of the same numbers as its verdicts."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from decant.ablations.report import plots
from tests.ablations.test_study import run, study  # noqa: F401 - fixtures

VOID = {"meta", "br", "link", "img"}


class Balance(HTMLParser):
    """Open and closed elements, and everything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [
            v for k, v in attrs if k in ("src", "href") or (k == "style" and "url" in v)
        ]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(study):  # noqa: F811
    return (study / "out" / "study.html").read_text()


def test_every_element_is_closed_and_nothing_is_fetched(page):
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.fetched == []
    assert "<script" not in page and "@import" not in page


def test_every_figure_is_an_svg_that_parses(page):
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    # Forest, trade-off, signals, and the curves of the four measured and diagnosed rules' arms.
    assert len(figures) >= 3 + 1
    for figure in figures:
        assert ElementTree.fromstring(figure).tag.endswith("svg")


def test_every_verdict_of_the_json_is_in_the_page_with_its_interval(study, page):  # noqa: F811
    (rung,) = json.loads((study / "out" / "verdict.json").read_text())["rungs"]
    for verdict in rung["verdicts"]:
        assert verdict["name"] in page
        if verdict["overall"] and verdict["overall"]["low"] is not None:
            assert f"{verdict['overall']['low']:+.4f} … {verdict['overall']['high']:+.4f}" in page


def test_both_arms_of_a_rule_have_acc_and_acc_norm_in_the_table_and_in_the_page(
    study,  # noqa: F811
    page,
):
    (rung,) = json.loads((study / "out" / "verdict.json").read_text())["rungs"]
    verdict = rung["verdicts"][0]
    text = (study / "out" / "verdict.md").read_text()
    for arm in ("without", "with"):
        cells = [f"| {verdict['name']} | {verdict['design']} | {arm} "]
        for task in ("hellaswag", "mmlu"):
            scores = verdict["tasks"][task][arm]
            shown = [f"{scores[m]:.3f}".removeprefix("0") for m in ("acc", "acc_norm")]
            cells.append(f"| {' '.join(shown)} {scores['gold_bpb']:.3f} ")
        assert "".join(cells) + "|" in text
    assert "acc · acc_norm · bits per byte" in page


def test_arm_curves_have_a_band_and_a_point_at_every_share():
    arms = {"without": np.array([[2.0, 2.1], [1.5, 1.6]]), "with": np.array([[2.0], [1.4]])}
    svg = plots.arm_curves("curves", [0.5, 1.0], arms)
    tree = ElementTree.fromstring(svg)
    names = [element.tag.rsplit("}", 1)[1] for element in tree.iter()]
    assert names.count("polygon") == 2
    assert names.count("circle") == 4
    assert "without the rule" in svg and "with the rule" in svg
