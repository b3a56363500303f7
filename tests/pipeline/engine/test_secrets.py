"""No secret of an address is written, and the address that is opened has them all."""

import pytest

from decant.pipeline.engine.secrets import public_text, public_values, with_secrets

ADDRESSES = {
    "https://user:password@host.org/a.warc.gz": "https://host.org/a.warc.gz",
    "https://TOKEN@host.org/a.warc.gz": "https://host.org/a.warc.gz",
    "https://host.org/a.gz?X-Amz-Signature=1&X-Amz-Date=2&part=3": "https://host.org/a.gz?part=3",
    "https://host.org/a.gz?x-goog-signature=1": "https://host.org/a.gz",
    "https://host.org/a.gz?sv=2020&sig=abc&se=1": "https://host.org/a.gz",
    "https://host.org/a.gz?AWSAccessKeyId=A&Signature=b&Expires=1": "https://host.org/a.gz",
    "https://host.org/a.gz?access_token=t#end": "https://host.org/a.gz#end",
    "s3://key:secret@bucket/a.gz": "s3://bucket/a.gz",
    "memory://folder/a.gz": "memory://folder/a.gz",
    # Identity: other parameters, in their order, as often as they stand there.
    "https://host.org/get?file=1&file=1&expires=3": "https://host.org/get?file=1&file=1&expires=3",
    "https://host.org/get?sv=2&tokens=3": "https://host.org/get?sv=2&tokens=3",
    "https://host.org/a@b/c": "https://host.org/a@b/c",
    "/local/a@b?token=1": "/local/a@b?token=1",
}


@pytest.mark.parametrize(("address", "public"), ADDRESSES.items())
def test_an_address_loses_its_secrets_and_nothing_else(address, public):
    assert public_text(address) == public


@pytest.mark.parametrize("address", [one for one, public in ADDRESSES.items() if one != public])
def test_the_secrets_come_back_when_it_is_opened(address):
    assert with_secrets(public_text(address), ["/other", address]) == address


def test_addresses_inside_a_message_lose_theirs_too():
    text = "GET 'https://me:pw@a.org/x?sig=1' failed; see https://b.org/y?page=2"
    assert public_text(text) == "GET 'https://a.org/x' failed; see https://b.org/y?page=2"


def test_a_file_of_a_folder_or_pattern_is_opened_with_the_secrets_of_it():
    given = ["https://a.org/open/", "https://me:pw@b.org/x/*.gz?token=t"]
    assert with_secrets("https://b.org/x/1.gz", given) == "https://me:pw@b.org/x/1.gz?token=t"
    assert with_secrets("https://a.org/open/1.gz", given) == "https://a.org/open/1.gz"


def test_nested_values_lose_theirs():
    data = {"paths": ("https://me:pw@a.org/x",), "n": 1, "more": [{"u": "s3://k:s@b/c"}]}
    assert public_values(data) == {
        "paths": ("https://a.org/x",),
        "n": 1,
        "more": [{"u": "s3://b/c"}],
    }
