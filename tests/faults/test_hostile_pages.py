"""Pages built to do harm each end in a counted outcome, and their neighbours are extracted."""

import gzip
import zlib
from pathlib import Path

import pytest

from decant.pipeline import extract
from decant.pipeline.config import ExtractConfig, InputConfig, LanguageConfig, RunConfig
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import inputs
from tests.faults.warc_files import http, members, page, record, record_id

MEGABYTE = 1_000_000


def giant(number: int, size_mb: int) -> bytes:
    """A member that holds a page of this many megabytes, made without holding it."""
    head = record(number, b"", length=size_mb * MEGABYTE)[:-4]
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = b"<p>word " * (MEGABYTE // 8)
    parts = [packer.compress(head), *(packer.compress(block) for _ in range(size_mb))]
    return b"".join([*parts, packer.compress(b"\r\n\r\n"), packer.flush()])


def addressed(number: int, url: str) -> bytes:
    return record(number).replace(f"http://site{number}.example/page".encode(), url.encode())


def quoted(count: int, name: str = "a{}") -> bytes:
    return b"<p " + " ".join(name.format(at) + "=1" for at in range(count)).encode() + b">text"


TYPED = "WARC-Identified-Payload-Type: text/html"
HOSTILE = {
    "500 MB page": (giant(2, 500), "page_bytes"),
    "gzip bomb": (
        members([record(2, http(gzip.compress(bytes(50 * MEGABYTE)), "Content-Encoding: gzip"))]),
        "page_bytes",
    ),
    "nested bomb": (
        members(
            [
                record(
                    2,
                    http(
                        gzip.compress(gzip.compress(bytes(50 * MEGABYTE))),
                        "Content-Encoding: gzip, gzip",
                    ),
                )
            ]
        ),
        "page_bytes",
    ),
    "100,000 nested tags": (members([record(2, http(b"<div>" * 100_000 + b"x"))]), "page_elements"),
    "10,000 nested tags": (members([record(2, http(b"<div>" * 10_000 + b"x"))]), "page_depth"),
    "200,000 attributes": (members([record(2, http(quoted(200_000)))]), "page_attributes"),
    "one attribute of 1 MB": (
        members([record(2, http(b"<p class='" + b"x" * MEGABYTE + b"'>" + page(2)))]),
        "kept",
    ),
    "NUL bytes": (
        members([record(2, http(page(2).replace(b" ", b"\0 ")), extra=(TYPED,))]),
        "kept",
    ),
    "only NUL bytes": (members([record(2, http(b"<html>" + bytes(5_000)))]), "not_html"),
    "address of 1 MB": (members([addressed(2, "http://a.example/" + "b" * MEGABYTE)]), "kept"),
    "address of control characters": (
        members([addressed(2, "http://a.example/\x01\x02\x0b\x7f\u2028\u202e\ufeff")]),
        "kept",
    ),
    "no address": (members([addressed(2, "")]), "kept"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_has_a_counted_end_and_harms_no_other(base, name):
    member, expected = HOSTILE[name]
    folder = base / name.replace(" ", "-")
    folder.mkdir()
    (folder / "x.warc.gz").write_bytes(members([record(1)]) + member + members([record(3)]))
    entry, ends = extracted(folder)
    assert ends == {record_id(1): "kept", record_id(2): expected, record_id(3): "kept"}
    assert (entry["in"], entry["errors"]) == (3, 0)


def extracted(folder: Path) -> tuple[dict, dict[str, str]]:
    """The ledger entry of extracting a folder's archive, and the end of each record."""
    config = RunConfig(
        input=InputConfig(paths=(str(folder / "x.warc.gz"),)),
        language=LanguageConfig(keep=None, threshold=0.0),
        extract=ExtractConfig(),
    )
    store = Store(str(folder / "run"))
    inputs.freeze(store, config)
    with Engine(store, config) as engine:
        entry = extract.run(engine, store, config)
    kept, dropped = (
        store.read_table(path).to_pylist()
        for path in ("1-extracted/00000.parquet", "1-extracted/dropped/00000.parquet")
    )
    ends = {one["id"]: "kept" for one in kept} | {one["id"]: one["rule"] for one in dropped}
    return entry, ends
