"""What is replaced, by what, and what is left alone."""

import pytest

from decant.filters.pii import EMAIL_REPLACEMENTS, IP_REPLACEMENTS, PiiFormatter

FIRST, SECOND = EMAIL_REPLACEMENTS
IP = IP_REPLACEMENTS[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no address here", "no address here"),
        ("ann@shop.com", FIRST),
        ("Ann.Lee+x@Shop.CO.UK!", f"{FIRST}!"),
        ("mail ann@shop.com, bob@shop.com", f"mail {FIRST}, {SECOND}"),
        ("a@b.c d@e.f g@h.i", f"{FIRST} {SECOND} {FIRST}"),  # the third begins again
        ("ann@shop", "ann@shop"),  # no dot in the domain
        ("ann@shop.", "ann@shop."),
        ("ann@-shop.com", "ann@-shop.com"),
        ("ann@shop.com-", f"{FIRST}-"),  # a hyphen is inside a label or outside the address
        (".ann@shop.com", f".{FIRST}"),
        ("a..b@shop.com", f"a..{FIRST}"),
        ("éann@shop.com", "éann@shop.com"),  # no word boundary before the ASCII letters
        ("é-ann@shop.com", f"é{FIRST}"),
        ("a@b@c.com", f"a@{FIRST}"),
        ("x@[1.2.3.4]", FIRST),
        ("8.8.8.8", IP),
        ("192.168.0.1 127.0.0.1 10.1.2.3", "192.168.0.1 127.0.0.1 10.1.2.3"),  # private
        ("08.8.8.8", "08.8.8.8"),  # a leading zero makes it no address
        ("1.2.3", "1.2.3"),
        ("1.2.3.256", f"{IP}6"),  # the reference's expression has no boundaries
        ("version 5.1.2.3", f"version {IP}"),
        ("٣.٣.٣.٣", "٣.٣.٣.٣"),
    ],
)
def test_addresses_are_replaced(text, expected):
    assert PiiFormatter()(text) == expected


def test_the_cycle_restarts_with_every_document():
    formatter = PiiFormatter()
    assert formatter("a@b.c") == formatter("a@b.c") == FIRST


def test_the_seventh_ip_address_gets_the_first_replacement_again():
    text = " ".join(["8.8.8.8"] * 7)
    assert PiiFormatter()(text).split() == [*IP_REPLACEMENTS, IP_REPLACEMENTS[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.256", "1.2.3.256"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("12345.6.7.8", "12345.6.7.8"),
        ("at 8.8.8.8.", f"at {IP}."),
        ("(8.8.8.8)", f"({IP})"),
    ],
)
def test_strict_ip_replaces_whole_addresses_only(text, expected):
    assert PiiFormatter(strict_ip=True)(text) == expected


def test_replacements_are_counted_by_kind():
    assert PiiFormatter().anonymize("a@b.c 8.8.8.8 9.9.9.9") == (
        f"{FIRST} {IP} {IP_REPLACEMENTS[1]}",
        1,
        2,
    )


@pytest.mark.parametrize(("emails", "ips"), [(True, False), (False, True), (False, False)])
def test_each_kind_can_be_left_alone(emails, ips):
    text = PiiFormatter(emails=emails, ips=ips)("a@b.c 8.8.8.8")
    assert text == f"{FIRST if emails else 'a@b.c'} {IP if ips else '8.8.8.8'}"


@pytest.mark.parametrize(
    ("text", "emails", "ips"),
    [
        ("a" * 1_000_000, 0, 0),
        ("@" * 1_000_000, 0, 0),
        ("a-" * 500_000 + "@", 0, 0),
        ("a-" * 500_000 + "@x.com", 1, 0),
        ("x@" + "a." * 500_000, 1, 0),
        ("x@a" + "-" * 1_000_000, 0, 0),
        ("x@[1.1.1." + "a" * 1_000_000, 0, 0),
        ("-" * 1_000_000 + "@x.com", 0, 0),
        ("a@b.c " * 100_000, 100_000, 0),
        ("1." * 500_000, 0, 125_000),
        ("." * 1_000_000, 0, 0),
        ("\ud800@x.com \0", 0, 0),
    ],
    ids=lambda value: (
        value[:9].encode("ascii", "replace").decode() if isinstance(value, str) else None
    ),
)
def test_a_megabyte_of_almost_addresses_is_no_trouble(text, emails, ips):
    found = PiiFormatter().anonymize(text)
    assert (found.emails, found.ips) == (emails, ips)
