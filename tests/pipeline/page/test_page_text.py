"""All text of a page, against the same rules written as regular expressions."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decant.pipeline.page.page_text import page_text

NAMED = {b"amp": "&", b"quot": '"', b"apos": "'", b"rsquo": "'"}
MARKUP = re.compile(
    rb"<!--(?P<comment>.*?)(?:-->|\Z)"
    rb"|<(?P<silent>script|style)[^>]*(?:>|\Z).*?(?:</(?P=silent)[^>]*(?:>|\Z)|\Z)"
    rb"|<[a-z/!?][^>]*(?:>|\Z)"
    rb"|&(?P<name>[^;]{1,8});|(?P<space>[\x00-\x20]+)",
    re.IGNORECASE | re.DOTALL,
)


def slow_text(page: bytes) -> bytes:
    return (
        re.sub(rb"\x20+", b" ", MARKUP.sub(replacement, page)).removeprefix(b" ").removesuffix(b" ")
    )


def replacement(found: re.Match[bytes]) -> bytes:
    name = found["name"]
    if name is None:
        return b" "
    if not name.startswith(b"#"):
        return NAMED.get(name.lower(), " ").encode()
    digits = re.fullmatch(rb"#(?:x(?P<hex>[0-9a-f]*)|(?P<ten>[0-9]*))", name, re.IGNORECASE)
    if digits is None:
        return b"&" + slow_rest(name + b";")
    code = int(digits["hex"] or b"0", 16) if digits["ten"] is None else int(digits["ten"] or b"0")
    blank = code <= 32 or code == 160 or 0xD800 <= code < 0xE000 or code > 0x10FFFF
    return b" " if blank else chr(code).encode()


def slow_rest(text: bytes) -> bytes:
    """What follows an `&` that begins no reference is read again."""
    return MARKUP.sub(replacement, text)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"", b""),
        (b"<p>The <b>ship</b>\n came</p>", b"The ship came"),
        (b"a < b, b > c", b"a < b, b > c"),
        (b"x<!-- <p>not this</p> --> y", b"x y"),
        (b"x<SCRIPT>if (a < b) {'<p>'}</Script > y<style>p{}</style>", b"x y"),
        (b"x<scripture>y", b"x"),  # read as a script: no such element exists
        (b"x<script>never ends", b"x"),
        (b"x<!-- never ends", b"x"),
        (b"x<p never ends", b"x"),
        (b"caf&eacute; &amp; it&rsquo;s &#233;&#xE9; &#x1F600;", "caf & it's éé 😀".encode()),
        (b"&#xD800; &#1114112; &#xZ; &; & &#1", b"&#xZ; &; & &#1"),
        (b"\x00a\x0b\xc3\xa9\xff", b"a \xc3\xa9\xff"),
    ],
)
def test_a_page_reads_as_written_here(page, text):
    assert page_text(page) == text


PIECES = st.sampled_from(
    [b"<p>", b"</p>", b"<", b">", b"<!--", b"-->", b"<script>", b"</script>", b"<STYLE a='>'>",
     b"</style", b" ", b"\n", b"ship", b"&amp;", b"&#65;", b"&#x41;", b"&lt;", b"&quot;", b"<!x",
     b"<?", b"\xc3\xa9", b"<a href='x'>", b"-", b"."]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map(b"".join))
@settings(max_examples=500, deadline=None)
def test_any_markup_reads_as_the_regular_expressions_do(page):
    assert page_text(page) == slow_text(page)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_have_a_text_no_longer_than_they_are(page):
    assert len(page_text(page)) <= len(page)
