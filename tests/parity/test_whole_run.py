"""The survivors of a whole run are those of datatrove's FineWeb example, to the character."""

import re
import zlib
from pathlib import Path

import pytest

pytest.importorskip("orjson", reason="datatrove's writers need orjson (extra `dev`)")
pytest.importorskip("magic", reason="datatrove's reader needs libmagic", exc_type=ImportError)

from decant.pipeline.sample.crawl import generate
from tests.bench.whole_run import decant_side, reference_side

pytestmark = pytest.mark.parity


def word_tokenizer(path: Path) -> Path:
    """A toy tokenizer.json: both sides only need the same one."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer.save(str(path))
    return path


def undamaged(data: bytes) -> bytes:
    """The whole gzip members of a WARC file: on a broken one the reference stops altogether."""
    starts = [match.start() for match in re.finditer(rb"\x1f\x8b\x08", data)]
    members = []
    for start in starts:
        member = zlib.decompressobj(wbits=31)
        try:
            member.decompress(data[start:])
        except zlib.error:
            continue
        if member.eof:
            members.append(data[start : len(data) - len(member.unused_data)])
    return b"".join(members)


def test_survivors_and_their_texts_equal_the_reference(tmp_path):
    generate(tmp_path / "crawl", pages=150, seed=11, files=1)
    folder = tmp_path / "input"
    folder.mkdir()
    for file in (tmp_path / "crawl").rglob("*.warc.gz"):
        (folder / file.name).write_bytes(undamaged(file.read_bytes()))
    tokenizer = word_tokenizer(tmp_path / "tokenizer.json")
    reference = reference_side(folder, tokenizer, tmp_path / "reference")
    ours = decant_side("fineweb.yaml", folder, tokenizer, tmp_path / "decant")
    print(f"{len(ours.texts)} surviving documents compared")
    assert len(ours.texts) > 50
    assert ours.texts == reference.texts
