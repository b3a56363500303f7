"""Our URL verdicts against datatrove's URLFilter, both on the lists of its wheel."""

import random
from functools import cache
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tldextract import TLDExtract

from decant.filters.url import URL_RULES, UrlRules
from decant.pipeline.page.blocklist import load_blocklist, load_words
from tests import real_data

pytest.importorskip("ahocorasick", reason="datatrove's URLFilter needs pyahocorasick")
url_filter = pytest.importorskip("datatrove.pipeline.filters.url_filter")
Document = pytest.importorskip("datatrove.data").Document

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

REASON_OF = {rule.name: rule.reference for rule in URL_RULES}


@cache
def reference():
    block = url_filter.URLFilter()
    block.download_data()
    # The block's own TLDExtract asks the network for today's suffix list.
    block.tldextractor = TLDExtract(suffix_list_urls=(), cache_dir=None)
    return block


@cache
def ours():
    return UrlRules(load_blocklist(), load_words())


def compare(urls):
    """How often each reason came up; fails at the first address judged otherwise."""
    hits = dict.fromkeys([*REASON_OF.values(), None], 0)
    for url in urls:
        hit = ours().judge(url)
        reason = REASON_OF[hit.rule] if hit else None
        verdict = reference().filter(Document(text="", id="", metadata={"url": url}))
        assert reason == (None if verdict is True else verdict[1]), (url[:200], hit)
        hits[reason] += 1
    print(f"{sum(hits.values())} addresses compared, by reason: {hits}")
    return hits


def some_of(entries, share):
    """About one in `share` entries of a set, the same in every run."""
    return sorted(entry for entry in entries if crc32(entry.encode()) % share == 0)


def test_listed_addresses_and_their_neighbours_get_the_same_reason():
    entries = some_of(reference().block_listed_domains, 9_000)
    entries += some_of(reference().block_listed_url, 40)
    forms = ["http://{}/", "https://www.{}/a", "{}", "http://x.{}:80/?q", "http://{}.example/"]
    hits = compare(form.format(entry) for entry in entries for form in forms)
    assert hits["domain"] > 200
    assert hits["subdomain"] > 100
    assert hits["url"] > 50  # addresses without a scheme: the one way the rule is not dead


def test_addresses_put_together_from_banned_and_plain_words_get_the_same_reason():
    words = load_words()
    vocabulary = [*sorted(words.banned)[:40], *sorted(words.soft_banned), "a", "b", "1", "é"]
    vocabulary += [*sorted(words.banned_parts)[:40], "news", "Home", "PORN", "-", "/", "_"]
    draw = random.Random(7)
    hits = compare(
        "https://example.com/"
        + "".join(
            draw.choice(vocabulary) + draw.choice(["-", "/", "", "%20"])
            for _ in range(draw.randint(1, 5))
        )
        for _ in range(4_000)
    )
    for reason in ("hard_blacklisted", "soft_blacklisted", "blacklisted_subword", None):
        assert hits[reason] > 20


def test_hostile_addresses_get_the_same_reason():
    long = "a" * 1_000_000
    compare([
        "http://" + long, "http://" + "a." * 500_000 + "com", f"http://xn--{long}.com/",
        "http://[::1]/", "http://[::1", "http://1.2.3.4/", "http://1.2.3.4.5/", "...", "//",
        "http://münchen.de/", "http://xn--mnchen-3ya.de/", "http://xn--\u3002com", "x" * 2000,
        "http://\x00\x01\x7f.com/\n", "http://user:pass@www.example.com:99999/", "mailto:a@b",
        "http://EXAMPLE.COM/", "http://com/", "http://co.uk", "http://.com", "http://a..com/",
        "https://blogspot.com", "http://a.blogspot.com", "\ud800://\udfff.com", "http://٣.com",
        "http://www.ck/", "http://a.b.ck/", "http://city.kawasaki.jp", " http://a.com", "data:,",
    ])  # fmt: skip


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_as_an_address_gets_the_same_reason(text):
    compare([text, "http://" + text, f"http://{text}.com/{text}"])


def test_real_addresses_get_the_same_reason():
    hits = compare(real_data.urls())
    assert sum(hits.values()) > 2_000
