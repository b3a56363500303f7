"""Extraction of small archives: each record has one end, and how a file is cut changes nothing."""

import base64
import gzip
import hashlib
import json

import pyarrow as pa
import pytest

from decant.pipeline import extract
from decant.pipeline.config import (
    ExtractConfig,
    GatesConfig,
    InputConfig,
    LanguageConfig,
    RunConfig,
    UrlConfig,
)
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.page import judge as judge_
from decant.pipeline.page import quarantine
from decant.pipeline.rundir import inputs, paths
from decant.pipeline.text.guard import PageGuard
from decant.pipeline.text.protocol import Extraction
from tests.faults.warc_files import arc, crawl, http, members, page, record, record_id

ANY_LANGUAGE = LanguageConfig(keep=None, threshold=0.0)
PLAIN = ExtractConfig(isolate=False)
NO_GZIP = b"\x1f\x8b\x08" + b"\0" * 99


def run(tmp_path, *files: bytes, name: str = "run", **sections) -> tuple[Store, dict]:
    """The run directory and the ledger entry of extracting these files."""
    paths = []
    for number, data in enumerate(files):
        paths.append(tmp_path / f"{number}.warc.gz")
        paths[-1].write_bytes(data)
    given = sections.pop("input", {})
    config = RunConfig(
        input=InputConfig(paths=tuple(map(str, paths)), **given),
        extractor=sections.pop("extractor", "resiliparse"),
        url=UrlConfig(enabled=False),
        language=sections.pop("language", ANY_LANGUAGE),
        extract=sections.pop("extract", PLAIN),
    )
    store = Store(str(tmp_path / name))
    inputs.freeze(store, config)
    with Engine(store, config) as engine:
        return store, extract.run(engine, store, config)


def rows(store: Store, folder: str) -> list[dict]:
    paths = [one for one in store.list(folder) if one.count("/") == folder.count("/") + 1]
    tables = [store.read_table(one) for one in paths if one.endswith(".parquet")]
    return pa.concat_tables(tables).to_pylist()


def fates(store: Store) -> dict[str, str]:
    """The end of each record by its id."""
    ends = {one["id"]: "kept" for one in rows(store, "1-extracted")}
    return ends | {one["id"]: one["rule"] for one in rows(store, "1-extracted/dropped")}


def balanced(entry: dict) -> bool:
    return entry["in"] == entry["kept"] + entry["errors"] + sum(entry["dropped"].values())


def test_every_record_of_a_small_crawl_has_its_end(tmp_path):
    typed = "WARC-Identified-Payload-Type: {}"
    html = http(page(9))
    cases = {
        1: (record(1), "kept"),
        2: (record(2, html, extra=(typed.format("text/html"),)), "kept"),
        3: (record(3, html, extra=(typed.format("application/pdf"),)), "not_html"),
        4: (record(4, http(b"%PDF-1.4")), "not_html"),
        5: (record(5, http(b"")), "empty_payload"),
        6: (
            record(6, http("<p>日本語のテキスト".encode() * 20 + b"\xff<p>")),
            "undecodable_charset",
        ),
        7: (record(7, http(b"<html><body></body></html>")), "extraction_empty"),
        8: (record(8, http(b"<p>" + b"<b>" * 3_000 + b"deep")), "page_depth"),
        9: (record(9, b"text of a page", "conversion"), "kept"),
        10: (
            record(10, http(b"\x1f\x8b\x08" + b"\0" * 99, "Content-Encoding: gzip")),
            "empty_payload",
        ),
        11: (record(11, html, extra=(typed.format('Text/HTML; charset="latin1"'),)), "kept"),
        12: (record(12, html, extra=(typed.format(" ; charset=utf-8"),)), "kept"),
    }
    skipped = [
        record(20, b"x", "request"),
        record(21, b"x", "metadata"),
        record(22, b"", "revisit"),
    ]
    data = members([one for one, _ in cases.values()] + skipped)
    store, entry = run(tmp_path, data)
    assert fates(store) == {record_id(number): end for number, (_, end) in cases.items()}
    assert entry["skipped"] == {"metadata": 1, "request": 1, "revisit": 1}
    assert entry["in"] == len(cases)
    assert balanced(entry)


def test_a_dropped_row_says_what_was_measured_and_what_was_allowed(tmp_path):
    store, _ = run(tmp_path, members([record(1, http(b"<p>" + b"<b>" * 2_001))]))
    (row,) = rows(store, "1-extracted/dropped")
    assert (row["rule"], row["value"], row["bound"]) == ("page_depth", 2_001.0, 2_000.0)
    assert (row["stage"], row["url"]) == ("extract", "http://site1.example/page")


def test_an_extracted_row_carries_its_address_in_the_crawl(tmp_path):
    data = members(crawl(3))
    store, _ = run(tmp_path, data)
    first, *_ = found = rows(store, "1-extracted")
    assert [one["offset"] for one in found] == sorted(one["offset"] for one in found)
    assert gzip.decompress(data[first["offset"] :]).startswith(record(1))
    assert first["file_path"] == "0.warc.gz"
    assert (first["dump"], first["date"]) == ("CC-MAIN-2024-10", "2024-02-21T10:00:00Z")
    assert first["text"] in page(1).decode()


def test_records_without_an_id_get_one_from_their_address(tmp_path):
    ids = []
    for name in ("run-1", "run-2"):
        store, _ = run(tmp_path, arc(3), name=name)
        ids.append([one["id"] for one in rows(store, "1-extracted")])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    assert all(one.startswith("<urn:sha1:") for one in ids[0])


@pytest.mark.parametrize("split", [400, 1_500, 7_000])
def test_rows_are_the_same_however_the_file_is_cut(tmp_path, split):
    data = members(crawl(30))
    whole, entry = run(tmp_path, data)
    cut, cut_entry = run(tmp_path, data, name="cut", input={"split_bytes": split})
    for folder in ("1-extracted", "1-extracted/dropped"):
        assert rows(cut, folder) == rows(whole, folder)
    assert len(cut.list("1-extracted/dropped")) == -(-len(data) // split)
    assert {**cut_entry, "records_read": 0} == {**entry, "records_read": 0}


def test_an_archive_inside_a_record_is_no_source_of_records_wherever_the_file_is_cut(tmp_path):
    # Stored, not compressed: its members stand in the file for all to see.
    inner = gzip.compress(record(50, http(members(crawl(40)))), 0, mtime=0)
    data = members([record(1), record(2)]) + inner + members([record(3), record(4)])
    whole, _ = run(tmp_path, data)
    for split in (700, 2_000, 3_500):
        cut, entry = run(tmp_path, data, name=f"cut-{split}", input={"split_bytes": split})
        assert rows(cut, "1-extracted") == rows(whole, "1-extracted")
        assert entry["in"] == 5
        assert cut.exists(extract.BORDERS)


def test_the_first_records_are_taken_over_all_files(tmp_path):
    files = [members(crawl(4)) for _ in range(3)]
    store, entry = run(tmp_path, *files, input={"limit_records": 6})
    assert [(one["file"], one["id"]) for one in rows(store, "1-extracted")] == [
        (number // 4, record_id(number % 4 + 1)) for number in range(6)
    ]
    assert entry["in"] == 6
    assert len(store.list("1-extracted/dropped")) == 3


def test_a_file_without_records_is_named_and_the_others_go_on(tmp_path):
    _, entry = run(tmp_path, b"", b"no archive at all\n", members(crawl(2)))
    assert entry["kept"] == 2
    assert [one.split(": ")[0].rsplit("/", 1)[-1] for one in entry["quarantined"]] == [
        "0.warc.gz",
        "1.warc.gz",
    ]


def test_damaged_records_are_errors_with_a_reason(tmp_path):
    data = bytearray(members(crawl(5)))
    data[-6] ^= 1
    store, entry = run(tmp_path, bytes(data))
    assert entry["errors"] == 1
    assert entry["error_reasons"] == {"checksum": 1}
    assert entry["unreadable_bytes"] > 0
    (row,) = rows(store, "1-extracted/dropped")
    assert (row["rule"], row["detail"]) == ("error", "checksum")


def test_a_page_that_kills_its_extractor_is_kept_as_a_file_that_replays_it(tmp_path, monkeypatch):
    monkeypatch.setattr("decant.pipeline.text.worker.Unguarded.extract", dies_over_page_two)
    data = members([record(number) for number in (1, 2, 3)])
    store, entry = run(tmp_path, data)
    assert entry["errors"] == 1
    assert fates(store) == {record_id(1): "kept", record_id(2): "error", record_id(3): "kept"}
    (path,) = store.list(quarantine.FOLDER)
    (given_up,) = entry["quarantined"]
    assert given_up.endswith("cpu_time")
    before = store.read_bytes(path)
    monkeypatch.undo()

    replayed, again = run(tmp_path, before, name="replay")
    assert (again["kept"], again["errors"]) == (1, 0)
    assert rows(replayed, "1-extracted")[0]["text"] in page(2).decode()

    store.remove("manifests")
    store.remove("1-extracted/00000.parquet")
    _, rerun = run(tmp_path, data)  # same directory: what was given up stays given up
    assert rerun == entry
    assert store.read_bytes(path) == before


def dies_over_page_two(self, html: bytes):
    return Extraction(lost="cpu_time") if html == page(2) else Extraction(text="some text")


def test_the_run_is_the_same_however_many_records_are_settled_together(tmp_path, monkeypatch):
    slow = http(b"<div>" * 1_900 + b"<p>some words " * 5_000)
    bodies = {3: slow, 8: http(b"<body></body>"), 9: slow, 11: http(b"%PDF-1.4")}
    data = members([record(number, bodies.get(number)) for number in range(1, 24)])
    runs = []
    with PageGuard("resiliparse", cpu_s=0.1) as guard:
        monkeypatch.setattr("decant.pipeline.page.judge.page_extractor", lambda *_: guard)
        for records, size in ((1, 1), (1_000, 1 << 30)):
            monkeypatch.setattr(judge_, "BATCH_RECORDS", records)
            monkeypatch.setattr(judge_, "BATCH_BYTES", size)
            store, entry = run(tmp_path, data, name=f"run-{records}")
            files = {path: store.read_bytes(path) for path in store.list("1-extracted")}
            runs.append((files, entry))
    assert runs[0][1]["errors"] == 2
    assert sum("quarantine" in path for path in runs[0][0]) == 2
    assert all(one == runs[0] for one in runs)


def test_no_more_than_a_batch_of_pages_is_held(tmp_path, monkeypatch):
    sizes = []

    def counted(self, pages):
        sizes.append((len(pages), sum(map(len, pages))))
        return [Extraction(text="some text") for _ in pages]

    monkeypatch.setattr("decant.pipeline.text.worker.Unguarded.extract_all", counted)
    monkeypatch.setattr(judge_, "BATCH_BYTES", 100_000)
    small = [record(number, http(b"<p>" + b"word " * 10)) for number in range(1, 80)]
    large = [record(number, http(b"<p>" + b"word " * 5_000)) for number in range(80, 90)]
    _, entry = run(tmp_path, members(small + large))
    assert entry["kept"] == 89
    assert max(count for count, _ in sizes) == judge_.BATCH_RECORDS
    assert max(size for _, size in sizes) < 100_000 + 30_000


def test_each_line_of_a_union_says_which_engine_found_it(tmp_path):
    body = "".join(f"<p>Boat {n} came home with a hold full of herring.</p>" for n in range(5))
    html = http(f"<body><nav><p>Tide tables</p></nav><main>{body}</main></body>".encode())
    data = members([record(1, html), record(2, http(b"<body></body>"))])
    options = ExtractConfig(isolate=True, options={"main_content": False})
    store, entry = run(tmp_path, data, extractor="union", extract=options)
    (row,) = rows(store, "1-extracted")
    lines = row["text"].split("\n")
    assert dict(zip(lines, row["lineage"], strict=True))["Tide tables"] == "r"
    assert row["lineage"].count("b") == 5
    assert fates(store) == {record_id(1): "kept", record_id(2): "extraction_empty"}
    assert balanced(entry)


def test_a_run_of_one_engine_has_no_lineage(tmp_path):
    store, _ = run(tmp_path, members(crawl(2)))
    assert all("lineage" not in row for row in rows(store, "1-extracted"))


ENGLISH = LanguageConfig()


def gated(**bounds) -> ExtractConfig:
    return ExtractConfig(isolate=False, gates=GatesConfig(**bounds))


def sentence(words: int) -> bytes:
    text = "This is the house that we all have been looking for in the end of the day. " * 9
    return http(f"<p>{' '.join(text.split()[:words])}</p>".encode())


def test_the_gate_of_words_closes_below_its_bound(tmp_path):
    data = members([record(1, sentence(29)), record(2, sentence(30))])
    store, _ = run(tmp_path, data, extract=gated(min_words=30))
    assert fates(store) == {record_id(1): "gate_page_words", record_id(2): "kept"}


def test_a_page_without_any_word_passes_the_gates(tmp_path):
    store, entry = run(
        tmp_path,
        members([record(1, http(b"<html><body><img src=a></body></html>"))]),
        extract=gated(min_words=30, min_language_score=0.5),
    )
    assert fates(store) == {record_id(1): "extraction_empty"}
    assert balanced(entry)


def test_the_gate_of_language_closes_for_a_page_in_another_one(tmp_path):
    german = http("<p>Der alte Fährmann kennt jede Stelle am Fluss und wartet.</p>".encode())
    data = members([record(1, german), record(2, sentence(40))])
    store, _ = run(tmp_path, data, extract=gated(min_language_score=0.1), language=ENGLISH)
    assert fates(store) == {record_id(1): "gate_page_language_score", record_id(2): "kept"}


@pytest.mark.parametrize(
    ("ends", "fate"),
    [
        ("One. Two! Three?", "kept"),
        ("One. Two! Three", "gate_page_sentence_ends"),
        ("3.5 at a.b/c?d=1 and two. Three!", "gate_page_sentence_ends"),
        ("“One.” (Two.) ‘Three.’", "kept"),
        ("一。二！三？", "kept"),
    ],
)
def test_the_gate_of_sentence_ends_counts_marks_behind_sentences(tmp_path, ends, fate):
    data = members([record(1, http(f"<p>The boats came home in the evening {ends}</p>".encode()))])
    store, _ = run(tmp_path, data, extract=gated(min_sentence_ends=3))
    assert fates(store) == {record_id(1): fate}


def test_the_gate_of_cld2_believes_the_metadata_record_behind_a_page(tmp_path):
    def metadata(number: int, code: str, reliable: bool) -> bytes:
        languages = [{"code": code, "text-covered": 0.97}]
        found = json.dumps({"reliable": reliable, "languages": languages})
        return record(number, f"languages-cld2: {found}\r\n".encode(), "metadata")

    records = []
    for number, (code, reliable) in enumerate([("de", True), ("de", False), ("en", True)], 1):
        records += [record(number, sentence(40)), metadata(number, code, reliable)]
    data = members([*records, record(4, sentence(40))])
    store, _ = run(tmp_path, data, extract=gated(min_cld2_fraction=0.5), language=ENGLISH)
    assert fates(store) == {
        record_id(1): "gate_cld2_fraction",
        record_id(2): "kept",
        record_id(3): "kept",
        record_id(4): "kept",
    }


def test_unreadable_ranges_are_a_table_of_their_partition(tmp_path):
    good = [members([one]) for one in crawl(6)]
    hole = len(b"".join(good[:4])), len(good[4])
    data = b"".join(good[:4]) + bytes(hole[1]) + b"".join(good[5:])
    store, entry = run(tmp_path, members(crawl(2)), data)
    assert entry["unreadable"] == {"not_a_member": hole[1]}
    assert (entry["unreadable_bytes"], entry["unreadable_ranges"]) == (hole[1], 1)
    assert store.list("1-extracted/losses") == [paths.losses(1)]
    expected = {"file": 1, "offset": hole[0], "bytes": hole[1], "reason": "not_a_member"}
    assert store.read_table(paths.losses(1)).to_pylist() == [expected]
    with Engine(store, None) as engine:
        outputs = engine.outputs(extract.STEP)["00001"].outputs
    assert paths.losses(1) in [one.path for one in outputs]


def test_records_that_the_crawler_cut_are_counted_by_its_reason_and_are_no_damage(tmp_path):
    said = ["length", "Length", "disconnect; at 5", "weather"]
    cut = [record(n, extra=(f"WARC-Truncated: {one}",)) for n, one in enumerate(said, 1)]
    _, entry = run(tmp_path, members([*cut, record(9)]))
    assert entry["truncated"] == {"disconnect": 1, "length": 2, "other": 1}
    assert (entry["kept"], entry["errors"], entry["unreadable_bytes"]) == (5, 0, 0)


def digested(number: int, flipped: bool) -> bytes:
    """A record with its block digest, of whose page one letter may have changed since."""
    content = http(page(number))
    digest = base64.b32encode(hashlib.sha1(content).digest()).decode()
    data = record(number, content, extra=(f"WARC-Block-Digest: sha1:{digest}",))
    return data.replace(b"river", b"rivet", 1) if flipped else data


@pytest.mark.parametrize(
    ("pack", "digests", "expected"),
    [
        (b"".join, "unchecked", {"absent": 1, "match": 1, "mismatch": 1}),
        (members, "unchecked", {}),
        (members, "all", {"absent": 1, "match": 1, "mismatch": 1}),
        (b"".join, "none", {}),
    ],
)
def test_digests_are_compared_where_no_checksum_was(tmp_path, pack, digests, expected):
    data = pack([digested(1, False), digested(2, True), record(3)])
    for drops, kept in ((False, 3), (True, 3 - expected.get("mismatch", 0))):
        options = ExtractConfig(isolate=False, digests=digests, drop_mismatched=drops)
        store, entry = run(tmp_path, data, name=f"run-{drops}", extract=options)
        assert (entry["kept"], entry["digests"]) == (kept, expected)
        assert balanced(entry)
    dropped = rows(store, "1-extracted/dropped")
    assert [one["rule"] for one in dropped] == ["digest_mismatch"] * (3 - kept)
