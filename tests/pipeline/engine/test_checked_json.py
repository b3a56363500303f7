import json

import pytest

from decant.pipeline.engine import checked_json
from decant.pipeline.engine.damage import DamagedFile, StorageError
from decant.pipeline.engine.storage import Store

CONTENT = {"in": 10, "dropped": {"language": 1.5, "a \ud800 half": None}, "files": ["x", "ü"]}


def decode(data: bytes) -> dict:
    return checked_json.decode(data, "run", "ledger.json")


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_comes_back_as_it_went_in(indent):
    assert decode(checked_json.encode(CONTENT, indent)) == CONTENT


def test_every_flipped_bit_is_damage_or_changes_nothing():
    data = checked_json.encode(CONTENT, indent=1)
    unseen = 0
    for bit in range(8 * len(data)):
        harmed = bytearray(data)
        harmed[bit // 8] ^= 1 << bit % 8
        try:
            assert decode(bytes(harmed)) == CONTENT  # a blank for a tab
            unseen += 1
        except DamagedFile as damage:
            assert damage.path == "ledger.json"
    assert unseen < 50


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"3", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_damage(data):
    with pytest.raises(DamagedFile, match=r"ledger\.json is damaged: it is no JSON"):
        decode(data)


def test_a_document_of_format_1_has_no_checksum_and_is_read():
    assert decode(b'{"in": 10}') == {"in": 10}


@pytest.mark.parametrize("lacks", ["format", "checksum"])
def test_one_of_the_two_keys_alone_is_damage(lacks):
    document = json.loads(checked_json.encode(CONTENT))
    del document[lacks]
    with pytest.raises(DamagedFile):
        decode(json.dumps(document).encode())


def test_a_later_format_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(checked_json, "FORMAT", 3)
    data = checked_json.encode(CONTENT)
    monkeypatch.undo()
    with pytest.raises(StorageError, match=r"has format 3; this version of decant reads formats"):
        decode(data)


def test_the_same_document_is_not_written_again(tmp_path):
    store = Store(str(tmp_path))
    for _ in range(2):
        checked_json.write(store, "a.json", CONTENT)
    assert len(store.written) == 1
    assert checked_json.read(store, "a.json") == CONTENT
