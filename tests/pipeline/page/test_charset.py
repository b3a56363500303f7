"""The text of a page's bytes, by FineWeb's rule and by what the page declares."""

import random

import pytest

from decant.pipeline.page.charset import declarations, declared_text, fineweb_text

RUSSIAN = (
    "<html><body><p>" + "Весна пришла в старый город у широкой реки. " * 9 + "</p></body></html>"
)
GERMAN = (
    "<html><body><p>" + "Über die Brücke fährt der müde Fährmann früh heim. " * 9 + "</p></body>"
)
JAPANESE = (
    "<html><body><p>" + "春の川は静かに流れている。古い橋を渡る人々。" * 9 + "</p></body></html>"
)


@pytest.mark.parametrize("text", [RUSSIAN, GERMAN, JAPANESE])
def test_utf8_is_read_by_either_rule(text):
    assert fineweb_text(text.encode()) == text
    assert declared_text(text.encode(), "text/html; charset=latin1") == text


@pytest.mark.parametrize(
    ("text", "charset"),
    [(RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (GERMAN, "cp1252"), (JAPANESE, "shift_jis")],
)
def test_other_charsets_are_guessed_by_fineweb_and_read_where_declared(text, charset):
    assert fineweb_text(text.encode(charset)) == text
    assert declared_text(text.encode(charset), f"text/html; charset={charset}") == text


def test_one_broken_byte_in_utf8_drops_the_page_for_fineweb_alone():
    broken = (GERMAN * 5).encode() + b"\xff"
    assert fineweb_text(broken) is None or fineweb_text(broken) != GERMAN * 5
    assert declared_text(broken) == GERMAN * 5 + "\ufffd"


def test_a_page_in_windows_1252_that_says_utf8_is_read_without_broken_characters():
    text = GERMAN.replace("<p>", "<meta charset=utf-8><p>It’s “here”. ")
    assert declared_text(text.encode("cp1252"), "text/html; charset=utf-8") == text
    quotes = "<p>" + "The boat’s crew said “no” to that and went home again. " * 9
    assert "\ufffd" not in (declared_text(quotes.encode("cp1252"), "x; charset=utf-8") or "")


def test_a_declaration_that_does_not_fit_is_passed_over():
    assert declared_text(RUSSIAN.encode("cp1251"), "text/html; charset=shift_jis") == RUSSIAN


@pytest.mark.parametrize(
    ("payload", "content_type", "expected"),
    [
        (b"<meta charset='gb2312'>", "", ["gb18030"]),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">', "", ["koi8_r"]),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>', "", ["cp1252"]),
        (b"\xff\xfea\0", "", ["utf-16-le"]),
        (b"<p>", "text/html; charset=no-such-thing", []),
        (b" " * 5_000 + b"<meta charset=koi8-r>", "", []),
        (b"", "", []),
    ],
)
def test_declarations_are_found_under_the_names_browsers_use(payload, content_type, expected):
    found = declarations(payload, content_type)
    assert [name.replace("-", "_") for name in found] == [n.replace("-", "_") for n in expected]


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_give_text_or_none(seed):
    data = random.Random(seed).randbytes(3_000)
    for text in (fineweb_text(data), declared_text(data, "x; charset=euc-jp")):
        assert text is None or isinstance(text, str)
