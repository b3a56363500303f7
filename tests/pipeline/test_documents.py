"""Documents go through the stages as pages do: the same verdicts, the same texts, all counted."""

import gzip
import json
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.pipeline import config as configuration
from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.engine.storage import Store
from decant.pipeline.sample.crawl import rewritten
from decant.pipeline.sample.english import Writer
from decant.pipeline.sample.languages import TONGUES
from tests import tree
from tests.faults.warc_files import members, record
from tests.pipeline.documents.document_files import json_lines, write
from tests.pipeline.test_extract import balanced, rows

CONFIG = str(tree.ROOT / "configs" / "quickstart.yaml")
NO_RULES = "filter.rules=[]"
DUMP = "CC-MAIN-2024-10"


def article(seed: int) -> str:
    return "\n".join(Writer(Random(seed), "gardens").article(5))


def german(seed: int) -> str:
    return "\n".join(TONGUES[0].paragraph(Random(seed), 5) for _ in range(3))


def document(number: int, text: str | None, url: str = "http://site{}.example/page") -> dict:
    """A row as FineWeb publishes it."""
    return {
        "text": text,
        "id": f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>",
        "dump": DUMP,
        "url": url.format(number),
        "date": "2024-02-21T10:00:00Z",
        "file_path": "a.warc.wet.gz",
        "language": "en",
        "language_score": 0.5,
        "token_count": 1,
    }


def corpus() -> list[dict]:
    """Texts of every fate: kept, dropped by rules of the text, in another language, copies."""
    texts = [article(seed) for seed in range(12)]
    paragraphs = [("p", text) for text in texts[0].split("\n")]
    near = [text for _, text in rewritten(paragraphs, 0.03, Random(3))]
    texts += ["\n".join(near), texts[1], german(1), german(2), "Too short.", article(20) + " {"]
    texts += ["buy shoes buy shoes now " * 80, "A line without an end\n" * 40, "é" * 3, ""]
    texts += [article(30) + "\nlorem ipsum dolor", article(31).replace(".", "")]
    return [document(number, text) for number, text in enumerate(texts, 1)]


CORPUS = corpus()


def run(
    tmp_path: Path, *inputs: Path, name: str = "run", settings: tuple = ()
) -> tuple[Store, int]:
    """A run of the quickstart's recipe over some input, and its exit code."""
    output = str(tmp_path / name)
    request = RunRequest(CONFIG, output, tuple(map(str, inputs)), workers=0, settings=settings)
    return Store(output), execute_run(request)


def complaint(capsys) -> str:
    """What stderr says beside the line that names the configuration."""
    lines = capsys.readouterr().err.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("decant: configuration:"))


def stages(store: Store) -> dict:
    return json.loads(store.read_bytes("ledger.json"))["stages"]


def published(store: Store) -> dict[str, dict]:
    """The published rows by id."""
    names = [name for name in store.list("4-shards/data") if name.endswith(".parquet")]
    tables = [store.read_table(name) for name in names]
    return {row["id"]: row for table in tables for row in table.to_pylist()}


def decisions(store: Store) -> dict[str, tuple]:
    """Rule, value, bound and detail of every dropped document by its id."""
    folders = ("1-extracted/dropped", "2-filtered/dropped", "3-deduplicated/dropped")
    names = ("rule", "value", "bound", "detail")
    return {
        row["id"]: tuple(row[name] for name in names) for one in folders for row in rows(store, one)
    }


def wet(documents: list[dict]) -> bytes:
    """The same documents as a file of conversion records."""
    info = record(0, f"isPartOf: {DUMP}\r\n".encode(), "warcinfo")
    return members(
        [
            info,
            *(record(n, one["text"].encode(), "conversion") for n, one in enumerate(documents, 1)),
        ]
    )


def test_documents_end_as_the_same_texts_in_an_archive_do(tmp_path):
    archive = tmp_path / "a.warc.wet.gz"
    archive.write_bytes(wet(CORPUS))
    records, code = run(tmp_path, archive, name="records")
    assert code == 0
    for file in ("a.parquet", "a.jsonl.gz"):
        documents, code = run(tmp_path, write(tmp_path, file, CORPUS), name=f"run-{file}")
        assert code == 0
        assert decisions(documents) == decisions(records)
        assert published(documents) == published(records)
        for stage, entry in stages(documents).items():
            for key in ("in", "kept", "errors", "dropped"):
                assert entry[key] == stages(records)[stage][key]
    fates = {rule for rule, *_ in decisions(records).values()}
    assert {"language_score", "empty_payload", "minhash_duplicate"} < fates
    assert len(fates) > 6


def test_the_kept_set_is_what_judging_each_text_gives(tmp_path):
    settings = ("language.enabled=false", "url.enabled=false", "filter.all_measures=true")
    store, code = run(tmp_path, write(tmp_path, "a.parquet", CORPUS), settings=settings)
    recipe = configuration.load(CONFIG).recipe()
    texts = {one["id"]: one["text"] for one in CORPUS if one["text"]}
    verdicts = {key: recipe.judge(text, all_measures=True) for key, text in texts.items()}
    assert code == 0
    judged = rows(store, "2-filtered/kept") + rows(store, "2-filtered/dropped")
    by_offset = {row["offset"]: row for row in judged}
    assert len(by_offset) == len(texts)
    for offset, one in enumerate(CORPUS):
        if one["text"]:
            row, verdict = by_offset[offset], verdicts[one["id"]]
            assert [row[rule.name] for rule in recipe.rules] == list(verdict.values)
            assert row.get("rule") == verdict.dropped_by
    kept = {key for key, verdict in verdicts.items() if verdict.kept}
    lost = {key for key, (rule, *_) in decisions(store).items() if rule == "minhash_duplicate"}
    assert set(published(store)) == kept - lost
    assert published(store)[CORPUS[2]["id"]]["language_score"] == 0.5  # as the file says


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_how_a_file_is_cut_changes_nothing(tmp_path, name):
    path = write(tmp_path, name, CORPUS)
    whole, _ = run(tmp_path, path, name="whole")
    parts, _ = run(tmp_path, path, name="parts", settings=("input.split_bytes=3000",))
    assert len(parts.list("1-extracted")) > len(whole.list("1-extracted"))
    assert decisions(parts) == decisions(whole)
    for folder in ("1-extracted", "1-extracted/dropped", "2-filtered/kept"):
        assert rows(parts, folder) == rows(whole, folder)
    assert parts.read_bytes("ledger.json") != b""
    same = [json.loads(one.read_bytes("ledger.json"))["digest"] for one in (whole, parts)]
    assert same[0] == same[1]


def test_rows_that_are_no_documents_are_counted(tmp_path):
    lines = [
        json.dumps(document(1, article(1))).encode(),
        b'{"text": null}',
        b"{",
        json.dumps(document(4, article(4)) | {"id": ["x"]}).encode(),
        b'{"text": "' + b"x" * 30_000 + b'"}',
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    settings = (NO_RULES, "input.max_row_bytes=20000")
    store, code = run(tmp_path, path, settings=settings)
    entry = stages(store)["extract"]
    assert code == 0
    assert balanced(entry)
    assert (entry["in"], entry["kept"]) == (5, 1)
    assert entry["dropped"] == {"row_bytes": 1, "text_null": 1}
    assert entry["error_reasons"] == {"column 'id' has another type": 1, "not JSON": 1}
    too_large = next(
        row for row in rows(store, "1-extracted/dropped") if row["rule"] == "row_bytes"
    )
    assert (too_large["value"], too_large["bound"]) == (30_012.0, 20_000.0)


def test_two_documents_with_one_id_are_counted(tmp_path):
    twins = [document(1, article(1)), document(1, article(2)), document(3, article(3))]
    store, code = run(tmp_path, write(tmp_path, "a.parquet", twins), settings=(NO_RULES,))
    assert code == 0
    assert stages(store)["shard"]["repeated_ids"] == 1
    assert stages(store)["shard"]["kept"] == 3


def test_documents_without_an_id_get_one_from_their_place(tmp_path):
    path = write(tmp_path, "a.jsonl", [{"text": article(n)} for n in range(3)])
    first, _ = run(tmp_path, path, name="one", settings=(NO_RULES,))
    second, _ = run(tmp_path, path, name="two", settings=(NO_RULES,))
    assert len(published(first)) == 3
    assert published(first) == published(second)


def test_columns_to_keep_reach_the_published_set(tmp_path):
    documents = [
        document(n, article(n)) | {"score": n / 2, "metadata": {"kind": f"k{n}", "tags": ["a"]}}
        for n in range(1, 4)
    ]
    keep = "input.keep_columns=[score, metadata.kind, metadata.tags]"
    store, code = run(tmp_path, write(tmp_path, "a.parquet", documents), settings=(NO_RULES, keep))
    assert code == 0
    row = published(store)[documents[1]["id"]]
    assert (row["score"], row["kind"], row["tags"]) == (1.0, "k2", ["a"])


def test_folders_name_the_dump_where_no_column_does(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / "in", f"dump={name}/0.jsonl", [{"text": article(len(name)), "id": name}])
    store, _ = run(tmp_path, tmp_path / "in", settings=(NO_RULES, "dedup.scope=dump"))
    assert {key: row["dump"] for key, row in published(store).items()} == {
        "one": "one",
        "two": "two",
    }


def test_a_folder_with_archives_is_read_as_archives_unless_documents_are_meant(tmp_path):
    folder = tmp_path / "in"
    write(folder, "a.parquet", CORPUS)
    (folder / "a.warc.wet.gz").write_bytes(wet(CORPUS[:3]))
    store, _ = run(tmp_path, folder, name="auto", settings=(NO_RULES,))
    assert stages(store)["extract"]["in"] == 3
    settings = (NO_RULES, "input.format=documents")
    store, _ = run(tmp_path, folder, name="documents", settings=settings)
    assert stages(store)["extract"]["in"] == len(CORPUS)


def test_a_file_that_ends_too_early_is_named_and_the_run_says_3(tmp_path, capsys):
    documents = [document(n, article(n)) for n in range(40)]
    data = gzip.compress(json_lines(documents), mtime=0)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(data[: len(data) // 2])
    store, code = run(tmp_path, path, settings=(NO_RULES,))
    assert code == 3
    assert "quarantined: " + str(path) in capsys.readouterr().err
    assert 0 < stages(store)["extract"]["in"] < 40
    assert stages(store)["extract"]["unreadable_ranges"] == 1


def test_a_table_without_rows_is_no_fault(tmp_path):
    empty = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), empty)
    more = write(tmp_path, "b.parquet", CORPUS[:3])
    store, code = run(tmp_path, empty, more, settings=(NO_RULES,))
    assert (code, stages(store)["extract"]["in"]) == (0, 3)


def test_only_as_many_documents_as_asked_for_are_read(tmp_path):
    files = [write(tmp_path, f"{n}.parquet", CORPUS[n * 4 : n * 4 + 4]) for n in range(3)]
    settings = (NO_RULES, "input.limit_records=6")
    store, _ = run(tmp_path, *files, settings=settings)
    assert stages(store)["extract"]["in"] == 6


WRONG = {
    "no text column": (
        {"a.parquet": [{"body": "x", "url": "u"}]},
        (),
        ["a.parquet: has no column 'text'", "body, url", "input.columns: {text: NAME}"],
    ),
    "text of another type": ({"a.parquet": [{"text": 1}]}, (), ["a.parquet", "int64"]),
    "a type that changes": (
        {"a.parquet": [{"text": "x", "score": 1}], "b.parquet": [{"text": "x", "score": "high"}]},
        ("input.keep_columns=[score]",),
        ["b.parquet", "a.parquet", "'score'", "string", "int64"],
    ),
    "a missing column to keep": (
        {"a.jsonl": [{"text": "x"}]},
        ("input.keep_columns=[score]",),
        ["a.jsonl: has no column 'score'"],
    ),
    "a name that runs use": (
        {"a.jsonl": [{"text": "x"}]},
        ("input.keep_columns=[url]",),
        ["input.keep_columns", "'url'"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_end_in_one_line_and_exit_code_2(tmp_path, capsys, name):
    files, settings, parts = WRONG[name]
    for file, documents in files.items():
        write(tmp_path / "in", file, documents)
    _, code = run(tmp_path, tmp_path / "in", settings=settings)
    message = complaint(capsys)
    assert code == 2
    assert message.count("\n") == 1
    assert [part for part in parts if part not in message] == []


def test_garbage_named_parquet_is_refused_in_one_line(tmp_path, capsys):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + b"\xff" * 100 + b"PAR1")
    _, code = run(tmp_path, path)
    message = complaint(capsys)
    assert (code, message.count("\n")) == (2, 1)
    assert "a.parquet: is no readable parquet file" in message


@pytest.mark.parametrize("change", [(), ("filter.rules=[{gopher_text_chars: {at_least: 1000}}]",)])
def test_deciding_a_run_over_documents_again_equals_a_full_run(tmp_path, change):
    path = write(tmp_path, "a.parquet", CORPUS)
    settings = ("filter.all_measures=true", *change)
    first, _ = run(tmp_path, path, name="first", settings=settings[:1])
    full, _ = run(tmp_path, path, name="full", settings=settings)
    request = RunRequest(CONFIG, str(tmp_path / "again"), workers=0, settings=settings,
                         stages=("filter",), source=first.url)  # fmt: skip
    assert execute_run(request) == 0
    again = Store(str(tmp_path / "again"))
    for folder in ("2-filtered/kept", "2-filtered/dropped"):
        assert rows(again, folder) == rows(full, folder)
