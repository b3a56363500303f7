"""A record is a page by the essence of its declared type, or by its first bytes."""

import pytest

from decant.pipeline.page.page_type import accepts


@pytest.mark.parametrize(
    ("declared", "kind", "is_page"),
    [
        ("text/html", "response", True),
        ('text/html; charset="windows-1252"', "response", True),
        ("Text/HTML", "response", True),
        (" text/html\t;charset=utf-8;x=y", "response", True),
        ("application/xhtml+xml;charset=UTF-8", "response", True),
        ("text/css; charset=utf-8", "response", False),
        ("text/htmlx", "response", False),
        ("text/plain;x=text/html", "response", False),
        ("TEXT/PLAIN; charset=utf-8", "conversion", True),
        ("text/plain", "response", False),
    ],
)
def test_media_types_are_compared_by_their_essence(declared, kind, is_page):
    assert accepts(declared, kind) is is_page
