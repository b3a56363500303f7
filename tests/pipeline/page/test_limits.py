"""What a page would cost is counted right, and both sides of each limit are."""

import random

import pytest
from lxml import etree

from decant.pipeline.page.limits import Limits, attributes, depth, elements, excess

PIECES = """<a|<div |<b/|<script|<title>|<textarea|<xmp |<iframe|<style>|<plaintext|<svg |</|</a
</script|</script>|</title>|</textarea >|</xmp|</iframe>|</style>|<!--|-->|--!>|->|-|--|<!|<?|]]>
<![CDATA[|>|/>| |\t|/|=|= | =|"|'| a{0}|y| z{0}=|b{0}="c"|d='e'|f=g|&quot;|<|é""".replace(
    "\n", "|"
).split("|")
LIMITS = Limits(bytes=200_000, elements=3_000, depth=400, attributes=500)


def nested(levels: int, tag: str = "div") -> bytes:
    return (f"<{tag}>" * levels + "x" + f"</{tag}>" * levels).encode()


def wide(count: int) -> bytes:
    return b"<b>x</b>" * count


def decorated(count: int, name: str = "a{}=1") -> bytes:
    words = " ".join(name.format(number) for number in range(count))
    return f"<p>x</p><div {words}>y</div>".encode()


@pytest.mark.parametrize(
    ("make", "bound", "rule"),
    [
        (lambda count: b"x" * count, LIMITS.bytes, "page_bytes"),
        (wide, LIMITS.elements, "page_elements"),
        (nested, LIMITS.depth, "page_depth"),
        (decorated, LIMITS.attributes, "page_attributes"),
        (lambda count: decorated(count, "a"), LIMITS.attributes, "page_attributes"),
    ],
)
def test_a_page_at_the_limit_passes_and_one_above_does_not(make, bound, rule):
    assert excess(make(bound), LIMITS) is None
    assert excess(make(bound + 1), LIMITS) == (rule, bound + 1, bound)


def test_tags_that_need_no_end_do_not_nest():
    for tag in ("p", "li", "br", "img", "td", "TR", "option", "Meta"):
        assert depth(f"<{tag}>".encode() * 5_000) == 0
        assert excess(f"<{tag} a=1>".encode() * 2_900, LIMITS) is None


def test_tags_whose_names_begin_alike_do_nest():
    for tag in ("pre", "tdx", "brx", "section", "line"):
        assert depth(nested(700, tag)) == 700
        assert excess(nested(700, tag), LIMITS) == ("page_depth", 700, 400)


def test_end_tags_without_a_start_close_nothing():
    assert depth(b"</div>" * 900 + nested(450)) == 450


def test_comparison_signs_in_text_are_no_elements():
    assert elements(b"1 < 2 <3 <p> <!-- --> </p> <?x?>") == 1


def test_brackets_in_quotes_end_no_tag():
    assert attributes(b"<div a='>' b=\">\" c d>") == 4


@pytest.mark.parametrize(
    ("page", "count"),
    [
        (b"<div a=\">\" b='>' c=>d", 3),
        (b'<div " a b c">', 4),  # a quote that no = precedes is part of a name
        (b"<div a = 'x y' b= c/d e/f>", 4),
        (b'<div a="1"b="2"c>', 3),
        (b"<div =a=b =c>", 2),
        (b'<a b=c=" d e>', 3),  # nor does one inside a bare value begin a quoted one
        (b"<!-- ' <a b c> --><b x>", 1),
        (b"<!--><a b c>", 2),
        (b'<script>if (a<b && c == "</script><a b c>', 2),
        (b"<script><!-- <script>'</script><a b c d>--></script><a b>", 1),
        (b"<title><a b c ' </title><a b>", 1),
        (b"<title/><a b c>", 2),
        (b"<titles><a b c></titles>", 2),
    ],
)
def test_attributes_are_those_that_a_parser_sees(page, count):
    assert attributes(page) == count
    tree = etree.fromstring(b"<body>" + page + b"</a>", etree.HTMLParser())
    assert max(len(element.attrib) for element in tree.iter("*")) == count


def test_no_markup_hides_attributes_from_the_count():
    draw = random.Random(5)
    many = 0
    for number in range(4_000):
        pieces = (draw.choice(PIECES) for _ in range(draw.randint(3, 40)))
        page = "<p>x</p>" + "".join(piece.format(i) for i, piece in enumerate(pieces))
        tree = etree.fromstring(page, etree.HTMLParser())
        seen = max(len(element.attrib) for element in tree.iter("*"))
        assert attributes(page.encode()) >= seen, (number, page)
        many += seen > 3
    assert many > 200


@pytest.mark.parametrize(
    ("unit", "starts", "most"),
    [
        ("<a '", 1, 5_001),
        ('<a x="', 1, 5_001),
        ("<!--", 0, 0),
        ("<script>", 1, 0),
        ("<title><a x='", 2, 0),
        ("<a/", 1, 5_001),
    ],
)
def test_a_page_of_openings_is_counted_in_one_pass(unit, starts, most):
    times = 3_000_000 // len(unit)
    page = unit.encode() * times
    assert elements(page) == starts * times
    assert min(attributes(page), 5_001) == most


def test_long_text_without_a_tag_has_no_attributes():
    assert excess(b"<pre>" + b"word " * 20_000 + b"</pre>", LIMITS) is None


@pytest.mark.parametrize(
    "page", [b"", b"<", b">", b"<a", b"\0" * 1_000, b"<" * 2_999, b"'\"" * 900]
)
def test_fragments_are_counted_without_error(page):
    assert excess(page, LIMITS) is None


@pytest.mark.parametrize("tag", ["b", "div", "abcdef"])
def test_the_last_tag_of_a_page_counts(tag):
    assert excess(f"<{tag}>".encode() * 401, LIMITS) == ("page_depth", 401, 400)
