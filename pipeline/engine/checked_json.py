"""JSON with a checksum inside: a changed digit is damage, never another number.

A document carries two keys more than its content: `format`, and `checksum` over everything else,
the format included. Every later format keeps these two as they are here, so that damage and a file
of a newer version are told apart. Files of format 1 have neither key and are read as they stand.
"""

import json
from collections.abc import Mapping
from typing import Any

import xxhash

from decant.pipeline.engine.damage import DamagedFile, StorageError
from decant.pipeline.engine.storage import Store

FORMAT = 2  # 1: without format and checksum


def encode(content: Mapping[str, Any], indent: int | None = None) -> bytes:
    """The document as UTF-8 text of one line (or indented), its end of line included."""
    plain = {**json.loads(json.dumps(content)), "format": FORMAT}  # keys as text, lists, numbers
    document = {**plain, "checksum": _checksum(plain)}
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return (text + "\n").encode("utf-8", "backslashreplace")


def decode(data: bytes, url: str, path: str) -> dict[str, Any]:
    """The content of a document; `url` and `path` are for the error.

    Raises DamagedFile where it is no JSON object or not the one that was written, StorageError
    where it is whole and of a format that this version does not know.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(url, path, f"it is no JSON ({error})") from None
    if not isinstance(document, dict):
        raise DamagedFile(url, path, "it is no JSON object")
    checksum = document.pop("checksum", None)
    if checksum is None and "format" not in document:
        return document
    if checksum != _checksum(document):
        raise DamagedFile(url, path, "its content does not have the checksum that stands in it")
    number = document.pop("format", None)
    if number != FORMAT:
        raise StorageError(
            f"{url}/{path} has format {number!r}; this version of decant reads formats 1 to "
            f"{FORMAT}: use the version that wrote it"
        )
    return document


def read(store: Store, path: str) -> dict[str, Any]:
    """The content of a file of a store, errors as `decode` says; FileNotFoundError passes."""
    return decode(store.read_bytes(path), store.url, path)


def write(store: Store, path: str, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Put a document under its name, unless the same one lies there."""
    data = encode(content, indent)
    if not (store.exists(path) and store.read_bytes(path) == data):
        store.write_bytes(path, data)


def _checksum(document: Mapping[str, Any]) -> str:
    """xxh3_64 (hex) of the document in one spelling, whatever its indentation and order."""
    spelling = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return xxhash.xxh3_64_hexdigest(spelling.encode())
