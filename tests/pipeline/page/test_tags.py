"""What is seen at a few places of a page never contradicts the count of all its tags."""

import random

import pytest

from decant.pipeline.page import tags
from decant.pipeline.page.limits import Limits, attributes, excess
from decant.pipeline.page.tags import has_few_attributes
from tests.pipeline.page.test_limits import PIECES

FILL = ["<p>", " b", "/c", "d='x'", ' e="<p>"', "='", '="', "f\n=\t'", "word ", ">", "'>"]
FILL += ['">', "{g"]


@pytest.mark.parametrize("most", [2, 5, 12, 40])
def test_a_page_found_to_have_few_attributes_never_has_more(monkeypatch, most):
    monkeypatch.setattr(tags, "LEAST_ATTRIBUTES", 1)
    draw = random.Random(most)
    sure = unsure = 0
    for number in range(6_000):
        kinds = draw.sample(PIECES + FILL, draw.randint(2, 12))
        pieces = (draw.choice(kinds) for _ in range(draw.randint(most, 12 * most)))
        page = "".join(piece.replace("{", "x") for piece in pieces).encode()
        if has_few_attributes(page, most):
            assert attributes(page) <= most, (number, page)
            sure += attributes(page) > 0
        else:
            unsure += attributes(page) > most
    assert sure > 200
    assert unsure > 200


@pytest.mark.parametrize(
    "lead",
    [
        "<a x='",
        '<a x="',
        "<a x = '",
        "<a x=" + " " * 60 + "'",
        "<a x='>\">",
        "<a x=\"'>'\" y='>",
        "<a x='>' y=\"=>",
    ],
)
@pytest.mark.parametrize("fill", ["<b>", "> ", ">'\">", '=">', "<!-- -->", "</p><p>'"])
def test_a_value_full_of_tag_ends_hides_no_attributes(lead, fill):
    for quote in "'\"":
        page = f"<p>x</p>{lead}{fill * 2_000}{quote}{' b' * 601}{fill * 2_000}".encode()
        assert attributes(page) <= 500 or not has_few_attributes(page, 500)


def test_ordinary_markup_need_not_be_counted():
    page = b'<p class=\'a b\' id="c">don\'t say "more"</p>' * 3_000
    data = b"<script>{" + b'"name":"value","other":[1,2,3],' * 3_000 + b"}</script>"
    image = b"<img alt='' src=\"data:image/png;base64," + b"iVBORw0KGgoAAA" * 3_000 + b'">'
    for html in (page, page + data + page, page + image + page):
        assert has_few_attributes(html, Limits().attributes)


def test_the_count_decides_where_nothing_is_sure():
    page = b"<a x='" + b"<p>" * 5_000 + b"' y>" + b"<p>more</p>" * 2_000
    assert not has_few_attributes(page, 600)
    assert excess(page, Limits(attributes=600)) is None


@pytest.mark.parametrize("unit", ["<a '", '<a x="', "='>", "<a/", '<a b="">', " = '", ">\"='"])
def test_a_page_made_to_mislead_is_seen_through_in_linear_time(unit):
    page = unit.encode() * (3_000_000 // len(unit))
    assert not has_few_attributes(page, 500) or attributes(page) <= 500
