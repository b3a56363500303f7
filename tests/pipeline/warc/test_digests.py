"""Digests as writers give them: their algorithms, their letters, and of which bytes they are."""

import base64
import hashlib

import pytest

from decant.pipeline.warc.digests import ABSENT, ALGORITHMS, MATCH, MISMATCH, parsed, verdict
from decant.pipeline.warc.reader import Record

CONTENT = b"HTTP/1.1 200 OK\r\n\r\n2\r\nab\r\n0\r\n\r\n"
FORMS = (b"2\r\nab\r\n0\r\n\r\n", b"ab")


def written(algorithm: str, data: bytes) -> list[str]:
    """A digest in each way it is written."""
    digest = hashlib.new(algorithm, data).digest()
    base32 = base64.b32encode(digest).decode()
    texts = [base32, base32.rstrip("="), base32.lower(), digest.hex(), digest.hex().upper()]
    return [f"{algorithm}:{text}" for text in texts]


def judged(**fields: str) -> str:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return verdict(Record(0, "response", headers, CONTENT), [lambda one=one: one for one in FORMS])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digests_are_read_in_every_way_they_are_written(algorithm):
    expected = (algorithm, hashlib.new(algorithm, b"x").digest())
    assert [parsed(one) for one in written(algorithm, b"x")] == [expected] * 5


@pytest.mark.parametrize(
    "value", ["", "sha1", "sha1:", "sha1:zz", "crc32:00000000", "sha1:" + "A" * 31]
)
def test_what_is_no_digest_is_not_compared(value):
    assert parsed(value) is None
    assert judged(warc_block_digest=value) == ABSENT


@pytest.mark.parametrize("body", FORMS)
def test_a_payload_digest_may_be_of_the_body_before_or_after_its_transfer_coding(body):
    assert judged(warc_payload_digest=written("sha1", body)[0]) == MATCH


def test_either_digest_that_is_wrong_is_a_mismatch():
    block, payload = written("sha1", CONTENT)[0], written("sha256", FORMS[0])[0]
    other = written("sha1", b"other bytes")[0]
    assert judged(warc_block_digest=block, warc_payload_digest=payload) == MATCH
    assert judged(warc_block_digest=other, warc_payload_digest=payload) == MISMATCH
    assert judged(warc_block_digest=block, warc_payload_digest=other) == MISMATCH
    assert judged() == ABSENT


def test_digests_of_a_record_that_its_crawler_cut_may_be_those_of_the_whole():
    other = written("sha1", b"the whole page")[0]
    assert judged(warc_payload_digest=other, warc_truncated="length") == ABSENT
