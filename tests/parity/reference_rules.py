"""datatrove 0.10.1's FineWeb filters and signature, as one function of a text."""

import functools

import pytest
import xxhash

pytest.importorskip("datatrove", reason="the reference implementation is not installed")
pytest.importorskip("fasteners", reason="datatrove's blocks import fasteners")

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import load_word_tokenizer

# spaCy lets the first "IS_ALPHA" of a process pass and fails on every later one, which datatrove
# then cuts out: past the first, its words are a function of the text.
load_word_tokenizer("eng").word_tokenize("IS_ALPHA")


@functools.cache
def blocks() -> list:
    """The filters of datatrove's FineWeb example behind the language filter, in order."""
    return [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]


@functools.cache
def signer(hash_name: str = "sha1") -> MinhashDedupSignature:
    """The signature block of the FineWeb example."""
    hashing = HashConfig(precision=64, hash_fc=hash_name)
    block = MinhashDedupSignature("/nonexistent", MinhashConfig(hash_config=hashing))
    if hash_name == "xxhash":  # datatrove passes strings, which xxhash 4 no longer takes
        block._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())
    return block


def judge(text: str, filters: list | None = None) -> tuple[str | None, str]:
    """(reason or None, text after the edits that were reached)."""
    document = Document(text=text, id="0")
    for block in filters or blocks():
        verdict = block.filter(document)
        if verdict is not True:
            return verdict[1], document.text
    return None, document.text


def signature(text: str, hash_name: str = "sha1") -> list[int] | None:
    """The 112 hashes, or None under five tokens."""
    block = signer(hash_name)
    shingles = block.get_shingles(text)
    if shingles.size == 0:
        return None
    return [value for band in block.get_signature(shingles) for value in band]


def words(text: str) -> list[str]:
    """The word tokens of a text."""
    return load_word_tokenizer("eng").word_tokenize(text)
