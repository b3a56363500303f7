"""The digests in a record's header, compared with its bytes: damage that no container notices."""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterable

from decant.pipeline.warc.reader import Record

ALGORITHMS = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}  # bytes of a digest
MATCH, MISMATCH, ABSENT = "match", "mismatch", "absent"


def parsed(value: str) -> tuple[str, bytes] | None:
    """(algorithm, digest) of a field like `sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ`.

    None for an algorithm that is not known or a value that is no digest; base32 and hexadecimal are
    both written, in either case.

    >>> parsed("sha-1:DA39A3EE5E6B4B0D3255BFEF95601890AFD80709") == parsed(
    ...     "SHA1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
    ... )
    True
    """
    name, colon, text = value.strip().partition(":")
    name, text = name.strip().lower().replace("-", ""), text.strip()
    size = ALGORITHMS.get(name)
    if not colon or size is None:
        return None
    with contextlib.suppress(ValueError):
        if len(text) == 2 * size:
            return name, bytes.fromhex(text)
    letters = text.upper().rstrip("=")
    try:
        digest = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError:
        return None
    return (name, digest) if len(digest) == size else None


def verdict(record: Record, payloads: Iterable[Callable[[], bytes]]) -> str:
    """MATCH where every digest of a record is right, MISMATCH where one is not, ABSENT for none.

    A payload digest may be of any of `payloads`: writers take it before or after the transfer
    coding is undone. They are made only as far as needed. Of a record that its crawler cut, digests
    may be those of the whole: none is compared.
    """
    if "warc-truncated" in record.headers:
        return ABSENT
    block = parsed(record.headers.get("warc-block-digest", ""))
    payload = parsed(record.headers.get("warc-payload-digest", ""))
    if block is not None and not _is_of(block, record.content):
        return MISMATCH
    if payload is not None and not any(_is_of(payload, make()) for make in payloads):
        return MISMATCH
    return ABSENT if block is None and payload is None else MATCH


def _is_of(digest: tuple[str, bytes], data: bytes) -> bool:
    name, expected = digest
    return hashlib.new(name, data, usedforsecurity=False).digest() == expected
