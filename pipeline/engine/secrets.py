"""Addresses without the secrets in them, and the secrets put back where a file is opened.

An address may carry a password (`https://user:password@host/`) or a signature
(`?X-Amz-Signature=…`). Neither tells one file from another, and neither may stand in a file, a log,
an event or an error. Other query parameters do tell files apart, and stay.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# One address inside other text: up to a blank, a quote or a bracket.
ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>[^\s'\"<>`]+)")
USER = re.compile(r"^[^/?#@]*@")
MAGIC = re.compile(r"[*\[]")  # where a pattern begins; ? begins a query
SECRET_NAMES = {
    "access_token", "api_key", "apikey", "auth", "auth_token", "authorization", "awsaccesskeyid",
    "credential", "key-pair-id", "passwd", "password", "policy", "secret", "sig", "signature",
    "token",
}  # fmt: skip
# Parameters of a signature that name no file: times, scopes and versions of it.
SIGNED_PREFIXES = ("x-amz-", "x-goog-")
SIGNED_WITH = {
    "sig": {"sv", "ss", "srt", "sp", "se", "st", "spr", "sr", "sip", "skoid", "sktid", "skt", "ske",
            "sks", "skv"},  # Azure's shared access signature
    "signature": {"expires"},  # Amazon's and Google's older ones
}  # fmt: skip


def public_text(text: str) -> str:
    """The text with no secret in any address that stands in it.

    >>> public_text("https://me:pass@example.org/a.warc.gz?part=2&X-Amz-Signature=f00 is gone")
    'https://example.org/a.warc.gz?part=2 is gone'
    """
    return ADDRESS.sub(_public, text) if "://" in text else text


def public_values(value: Any) -> Any:
    """Plain data (mappings, sequences, strings) with no secret in any string."""
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, Mapping):
        return {key: public_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(public_values, value))
    return value


def with_secrets(address: str, given: Iterable[str]) -> str:
    """An address as it must be opened: with the secrets of the given one that it comes from.

    `given` are the addresses as the user wrote them, secrets and all: of a file, a folder or a
    pattern.

    >>> with_secrets("https://example.org/b/a.warc.gz", ["https://me:pass@example.org/b/"])
    'https://me:pass@example.org/b/a.warc.gz'
    """
    below = [one for one in given if "://" in one and public_text(one) != one]
    for one in below:
        if public_text(one) == address:
            return one
    for one in sorted(below, key=len, reverse=True):
        plain = public_text(one).split("?")[0]
        pattern = MAGIC.search(plain)
        if address.startswith(plain[: pattern.start()] if pattern else plain):
            return _joined(address, one)
    return address


def _joined(address: str, given: str) -> str:
    scheme, rest = address.split("://", 1)
    rest_given = given.split("://", 1)[1]
    user = USER.match(rest_given)
    query = rest_given.partition("?")[2]
    secret = "&".join(one for one in query.split("&") if one and one not in _kept(query))
    separator = "&" if "?" in rest else "?"
    end = separator + secret if secret else ""
    return f"{scheme}://{user.group() if user else ''}{rest}{end}"


def _public(match: re.Match[str]) -> str:
    rest = USER.sub("", match["rest"])
    place, mark, query = rest.partition("?")
    query, hash_mark, fragment = query.partition("#")
    kept = "&".join(_kept(query))
    if kept == query:
        return match["scheme"] + rest
    return match["scheme"] + place + (mark + kept if kept else "") + hash_mark + fragment


def _kept(query: str) -> list[str]:
    """The parameters of a query that are no secrets, in order."""
    parts = [(part, part.split("=")[0].lower()) for part in query.split("&")]
    secret = SECRET_NAMES.union(*(SIGNED_WITH.get(name, ()) for _, name in parts))
    return [
        part for part, name in parts if name not in secret and not name.startswith(SIGNED_PREFIXES)
    ]
