"""Each URL rule on both sides of its line, on lists of a few entries."""

import pytest

from decant.filters.url import URL_RULES, UrlOptions, UrlRules, UrlWords


class Lists:
    """A blocklist small enough to read."""

    domains = frozenset({"bad.com", "blog.host.org", "bad.co.uk"})
    urls = frozenset({"mixed.org/page", "https://whole.org/page"})


WORDS = UrlWords(
    banned=frozenset({"bdsm", "dildo"}),
    soft_banned=frozenset({"nude", "webcam", "lingerie"}),
    banned_parts=frozenset({"freesex", "freesexy", "getlaid"}),
)
RULES = UrlRules(Lists(), WORDS)
LENIENT = UrlRules(Lists(), WORDS, UrlOptions(match_listed_urls=True, case_sensitive_words=False))


@pytest.mark.parametrize(
    ("url", "rule", "detail"),
    [
        ("http://bad.com/", "url_domain", "bad.com"),
        ("https://user:pw@any.sub.bad.com:8080/x?q#f", "url_domain", "bad.com"),
        ("http://x.bad.co.uk", "url_domain", "bad.co.uk"),
        ("http://notbad.com/", None, None),
        ("http://bad.com.example.org/", None, None),
        ("http://blog.host.org/", "url_subdomain", "blog.host.org"),
        ("http://other.host.org/", None, None),
        # Only the registered domain and the whole host are looked up, nothing between them.
        ("http://x.blog.host.org/", None, None),
        ("https://whole.org/page", "url_listed", "https://whole.org/page"),
        ("https://whole.org/page?", None, None),
        # Entries have no scheme, addresses have one: the reference never hits.
        ("https://mixed.org/page", None, None),
        ("mixed.org/page", "url_listed", "mixed.org/page"),
        ("http://a.org/my-bdsm-blog", "url_banned_word", "bdsm"),
        ("http://a.org/mybdsmblog", None, None),
        ("http://a.org/BDSM", None, None),
        ("http://a.org/dildo/bdsm", "url_banned_word", "bdsm"),
        ("http://a.org/nude", None, None),
        ("http://a.org/nude/nude", None, None),  # one word, twice
        ("http://a.org/webcam?nude", "url_soft_banned_words", "nude webcam"),
        ("http://a.org/Free-Sex", "url_banned_subword", "freesex"),
        ("http://get.laid.org/", "url_banned_subword", "getlaid"),
        ("http://a.org/free/sea", None, None),
        ("", None, None),
        ("not an address", None, None),
    ],
)
def test_an_address_breaks_the_first_rule_that_applies(url, rule, detail):
    hit = RULES.judge(url)
    assert (hit.rule if hit else None) == rule
    assert (hit.detail if hit else None) == detail


def test_rules_are_tried_in_the_order_they_are_listed():
    worst = "http://blog.host.org/bdsm/nude/webcam/freesex"
    broken = []
    for url in (
        worst.replace("blog.host.org", "bad.com"), worst, worst.replace("blog.host", "a"),
        "http://a.org/nude/webcam/freesex", "http://a.org/freesex",
    ):  # fmt: skip
        hit = RULES.judge(url)
        assert hit is not None
        broken.append(hit.rule)
    names = [rule.name for rule in URL_RULES]
    assert broken == [name for name in names if name != "url_listed"]


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("https://mixed.org/page", "mixed.org/page"),
        ("http://www.mixed.org/page/", "mixed.org/page"),
    ],
)
def test_listed_urls_can_be_compared_without_scheme_www_and_last_slash(url, detail):
    hit = LENIENT.judge(url)
    assert hit is not None
    assert (hit.rule, hit.detail) == ("url_listed", detail)
    assert RULES.judge(url) is None


def test_words_can_be_compared_in_lower_case():
    hit = LENIENT.judge("http://a.org/BDSM")
    assert hit is not None
    assert (hit.rule, hit.detail) == ("url_banned_word", "bdsm")


def test_without_words_no_word_rule_fires():
    nothing = UrlWords(frozenset(), frozenset(), frozenset())
    assert UrlRules(Lists(), nothing).judge("http://a.org/bdsm/nude/webcam/freesex") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "a" * 1_000_000, "http://" + "a." * 500_000, "http://xn--" + "9" * 1_000_000,
        "/" * 1_000_000, "http://[" + ":" * 1_000_000, "@" * 1_000_000, "\ud800" * 1_000,
        "http://\0.com/\0", "http://..../", "http://[::1]/", "http://0x7f.1/", "http://٣.com/",
    ],
    ids=lambda url: url[:14].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_hostile_addresses_get_a_verdict(url):
    assert RULES.judge(url) is None
