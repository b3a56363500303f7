"""Our formatter against datatrove's PIIFormatter, its cycle set back before every document."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decant.filters.pii import PiiFormatter
from tests import real_data

pii = pytest.importorskip("datatrove.pipeline.formatters.pii")

pytestmark = pytest.mark.parity

# What the two expressions look at, so that random joins are nearly addresses.
ATOMS = [
    *"a1@-._[]:!'é ſK\n", "b.", "..", "256.", "0", "99", "1.2.3.4", "x@y.com", "A@B.", "[1.2.3.4]",
    "com", "a:", "10.0.0.1", "8.8.8.8", "٣", "\ud800", "[1.1.1.x:]", "(", "0.0.0.0", "01.2.3.4",
]  # fmt: skip
REFERENCE = pii.PIIFormatter()


def reference(text):
    REFERENCE.emails_replacer._replace_i = 0
    REFERENCE.ip_replacer._replace_i = 0
    return REFERENCE.format(text)


def test_texts_put_together_from_parts_of_addresses_come_out_the_same():
    draw = random.Random(1)
    texts = ["".join(draw.choices(ATOMS, k=draw.randint(1, 25))) for _ in range(20_000)]
    changed = 0
    for text in texts:
        assert PiiFormatter()(text) == reference(text), text
        changed += PiiFormatter()(text) != text
    print(f"{len(texts)} texts compared, {changed} changed, no difference")
    assert changed > 2_500


@given(st.lists(st.sampled_from(ATOMS) | st.text(max_size=5), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_comes_out_the_same(parts):
    text = "".join(parts)
    assert PiiFormatter()(text) == reference(text)


@pytest.mark.parametrize("switches", [(True, False), (False, True), (False, False)])
def test_each_kind_can_be_switched_off_as_in_the_reference(switches):
    emails, ips = switches
    block = pii.PIIFormatter(remove_emails=emails, remove_ips=ips)
    text = "ann@shop.com 8.8.8.8 x@[1.2.3.4]"
    assert PiiFormatter(emails=emails, ips=ips)(text) == block.format(text)


def test_real_texts_come_out_the_same():
    texts = real_data.texts(300)
    texts += [row["text"] for row in real_data.rows(300, "text", "c4", "sample_c4-rp1.jsonl.gz")]
    for text in texts:
        assert PiiFormatter()(text) == reference(text)
