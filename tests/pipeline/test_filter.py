"""The filter stage: rows, schemas and sums; deciding again from measures; what rules share."""

import itertools
import json
from pathlib import Path

import pytest
import xxhash

from decant.pipeline import config as configuration
from decant.pipeline import filter as filtering
from decant.pipeline import run as running
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import Engine, Job, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.redecide import redecide
from decant.pipeline.run import Stage, run_stages
from decant.pipeline.rundir import inputs
from decant.pipeline.rundir.records import EXTRACTED
from decant.pipeline.stage_keys import stage_digest
from tests.filters import made_texts
from tests.pipeline.made_run import document

FINEWEB = Path(__file__).parents[2] / "configs" / "fineweb.yaml"
PARTITIONS = 3
MEASURED = "filter.all_measures=true"
PASSAGE = (
    "The committee met on Tuesday to talk about the bridge that was closed in the spring. "
    "Nobody had expected the repairs to take this long, and the shops on the north side have "
    "lost many of their customers. “We were told that it would be a matter of weeks,” said one "
    "of the owners. The engineers found more rust than they had feared. A decision about money "
    "is to be made in autumn, with the votes of the county.\n"
)


def texts_of(partition: int) -> list[str]:
    """Generated texts, two that are kept, one of these edited, and one for each way of C4."""
    kept = f"{PASSAGE}Number {partition} was written down on a warm day, which was a Sunday."
    edited = f"{PASSAGE}Home\nThe {partition}th council is to be elected with the next one. [1]"
    both = f"{PASSAGE}This line has a {{ bracket.\nAnd here is lorem ipsum again."
    return [kept, edited, both, *made_texts.texts(60, seed=partition)]


def write_extracted(job: Job) -> dict:
    number = job.task.args["partition"]
    rows = [document(number, 10 * k, text) for k, text in enumerate(texts_of(number))]
    with job.store.table_writer(f"1-extracted/{number:05d}.parquet", EXTRACTED) as writer:
        writer.write_rows(rows)
    return {"in": len(rows), "kept": len(rows)}


def extract(engine: Engine, store: Store, config: RunConfig) -> dict:
    row = dict.fromkeys(inputs.SCHEMA.names)
    with store.table_writer(inputs.PATH, inputs.SCHEMA) as writer:
        writer.write_rows([{**row, "partition": n, "file": n} for n in range(PARTITIONS)])
    tasks = [Task(f"{n:05d}", {"partition": n}) for n in range(PARTITIONS)]
    digest = stage_digest(config, "extract")
    results = engine.map("extract/pages", write_extracted, tasks, digest)
    total = sum(one["in"] for one in results.values())
    return {"in": total, "kept": total, "errors": 0, "dropped": {}}


@pytest.fixture(autouse=True)
def two_stages(monkeypatch):
    stages = (
        Stage("extract", extract, "1-extracted"),
        Stage("filter", filtering.run, "2-filtered"),
    )
    monkeypatch.setattr(running, "STAGES", stages)


def run(folder: Path, config: RunConfig) -> Store:
    store = Store(str(folder))
    with Engine(store, config) as engine:
        run_stages(engine, store, config)
    return store


def rows(store: Store, part: str) -> list[dict]:
    names = [name for name in store.list(f"2-filtered/{part}") if name.endswith(".parquet")]
    return list(itertools.chain.from_iterable(store.read_table(n).to_pylist() for n in names))


def stage_files(store: Store) -> dict[str, bytes]:
    names = [*store.list("2-filtered"), *store.list("manifests"), "ledger.json"]
    return {name: store.read_bytes(name) for name in names}


def test_every_document_is_kept_or_dropped_by_a_named_rule(tmp_path):
    config = configuration.load(FINEWEB)
    store = run(tmp_path, config)
    kept, dropped = rows(store, "kept"), rows(store, "dropped")
    assert len(kept) + len(dropped) == 63 * PARTITIONS
    names = {rule.name for rule in config.recipe().rules}
    for row in dropped:
        assert row["stage"] == "filter"
        assert row["rule"] in names
        assert row["value"] is not None and row["bound"] is not None
        assert row["id"] == f"<urn:test:{row['file']}:{row['offset']}>"
    entry = json.loads(store.read_bytes("ledger.json"))["stages"]["filter"]
    assert entry["in"] == entry["kept"] + sum(entry["dropped"].values())
    assert entry["kept"] == len(kept)


def test_text_is_written_again_only_where_an_edit_changed_it(tmp_path):
    kept = {
        (r["file"], r["offset"]): r["text"]
        for r in rows(run(tmp_path, configuration.load(FINEWEB)), "kept")
    }
    assert kept[0, 0] is None
    assert kept[0, 10] == texts_of(0)[1].replace("Home\n", "").replace("[1]", "").strip()


def test_signatures_cover_the_kept_or_with_all_measures_everything(tmp_path):
    config = configuration.load(FINEWEB)
    short = rows(run(tmp_path / "short", config), "signatures")
    full = rows(run(tmp_path / "full", configuration.load(FINEWEB, [MEASURED])), "signatures")
    assert len(full) == 63 * PARTITIONS
    assert short == [row for row in full if row["kept"]]
    first = short[0]
    assert first["text_hash"] == xxhash.xxh3_128_digest(texts_of(0)[0].encode())
    assert first["chars"] == len(texts_of(0)[0])
    assert len(first["signature"]) == 8 * 112
    without = [row for row in full if row["shingles"] == 0]
    assert without and all(row["signature"] is None for row in without)


def test_kept_documents_are_the_same_with_and_without_all_measures(tmp_path):
    short = run(tmp_path / "short", configuration.load(FINEWEB))
    full = run(tmp_path / "full", configuration.load(FINEWEB, [MEASURED]))
    for part in ("kept", "dropped"):
        ours = rows(short, part)
        keys = [key for key in ours[0] if key != "text" or part == "kept"]
        both = [
            [{key: row[key] for key in keys} for row in one] for one in (ours, rows(full, part))
        ]
        assert both[0] == both[1]


OTHER_BOUNDS = (
    ("top_2_gram_char_fraction: {at_most: 0.20}", "top_2_gram_char_fraction: {at_most: 0.05}"),
    ("c4_sentences: {at_least: 5}", "c4_sentences: {at_least: 2}"),
    ("    - gopher_stop_words: {at_least: 2}\n", ""),
    ("gopher_word_count_floor: {at_least: 50}", "gopher_word_count_floor: {at_least: 5}"),
)  # fmt: skip


@pytest.mark.parametrize("measured", ["filter.all_measures=false", MEASURED])
def test_deciding_again_leaves_the_bytes_of_a_full_run(tmp_path, measured):
    source = run(tmp_path / "source", configuration.load(FINEWEB, [MEASURED]))
    text = FINEWEB.read_text()
    for old, new in OTHER_BOUNDS:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "other.yaml").write_text(text)
    config = configuration.load(tmp_path / "other.yaml", [measured])
    full = run(tmp_path / "full", config)
    again = Store(str(tmp_path / "again"))
    outcome = redecide(source, again, config, Progress(again, live=False))
    assert stage_files(again) == stage_files(full)
    assert rows(again, "kept") != rows(source, "kept")
    assert outcome.stages["filter"]["in"] == 63 * PARTITIONS


# (old, new, what is said of the texts that are read).
NOT_MEASURED = (
    ("min_words_per_line: 3", "min_words_per_line: 4", "judges the texts of all 189 documents"),
    ("  bands: 14", "  bands: 20", "judges the texts of all 189 documents"),
    ("short_line_chars: 30", "short_line_chars: 29", "measures fineweb_short_line_fraction:"),
    # behind the edit instead of before it
    ("    - c4_sentences",
     "    - gopher_top_2_gram_char_fraction: {at_most: 0.2}\n    - c4_sentences",
     "measures gopher_top_2_gram_char_fraction:"),
)  # fmt: skip


@pytest.mark.parametrize("measured", ["filter.all_measures=false", MEASURED])
@pytest.mark.parametrize(("old", "new", "words"), NOT_MEASURED)
def test_what_was_not_measured_is_and_leaves_the_bytes_of_a_full_run(
    tmp_path, old, new, words, measured, capsys
):
    source = run(tmp_path / "source", configuration.load(FINEWEB, [MEASURED]))
    text = FINEWEB.read_text()
    assert old in text
    if "top_2_gram" in new:
        text = text.replace("    - gopher_top_2_gram_char_fraction: {at_most: 0.20}\n", "")
    (tmp_path / "other.yaml").write_text(text.replace(old, new))
    config = configuration.load(tmp_path / "other.yaml", [measured])
    full = run(tmp_path / "full", config)
    again = Store(str(tmp_path / "again"))
    redecide(source, again, config, Progress(again, live=False))
    assert stage_files(again) == stage_files(full)
    assert words in capsys.readouterr().err


def test_only_texts_that_a_stored_rule_has_not_settled_are_read(tmp_path, capsys):
    source = run(tmp_path / "source", configuration.load(FINEWEB, [MEASURED]))
    text = FINEWEB.read_text().replace("short_line_chars: 30", "short_line_chars: 29")
    (tmp_path / "other.yaml").write_text(text)
    config = configuration.load(tmp_path / "other.yaml")
    again = Store(str(tmp_path / "again"))
    redecide(source, again, config, Progress(again, live=False))
    names = [rule.name for rule in config.recipe().rules]
    before = set(names[: names.index("fineweb_short_line_fraction")])
    measured = [*rows(source, "kept"), *rows(source, "dropped")]
    reached = sum(not before & set(row["failed_rules"]) for row in measured)
    assert 0 < reached < len(measured)
    tied = PARTITIONS  # one text in each has both marks of C4
    assert f"has read {reached + tied:,} texts" in capsys.readouterr().err


def test_a_run_without_measures_is_judged_from_its_texts(tmp_path):
    source = run(tmp_path / "source", configuration.load(FINEWEB))
    config = configuration.load(FINEWEB, ["filter.rules.gopher_stop_words.at_least=3"])
    full = run(tmp_path / "full", config)
    again = Store(str(tmp_path / "again"))
    redecide(source, again, config, Progress(again, live=False))
    assert stage_files(again) == stage_files(full)


def test_other_extracted_texts_are_refused(tmp_path):
    source = run(tmp_path / "source", configuration.load(FINEWEB, [MEASURED]))
    again = Store(str(tmp_path / "again"))
    config = configuration.load(FINEWEB, ["language.threshold=0.7"])
    with pytest.raises(ConfigError, match=r"language\.threshold was 0\.65"):
        redecide(source, again, config, Progress(again, live=False))


@pytest.mark.parametrize("key", ["extracted", "dropped_text"])
def test_released_texts_are_refused_with_the_key_that_released_them(tmp_path, key):
    source = run(tmp_path / "source", configuration.load(FINEWEB, [f"retain.{key}=false"]))
    source.write_bytes("manifests/shard.done.json", b"{}")
    again = Store(str(tmp_path / "again"))
    with pytest.raises(ConfigError, match=f"retain.{key}: false"):
        redecide(source, again, configuration.load(FINEWEB), Progress(again, live=False))


def test_overlap_counts_what_each_rule_removes_and_what_it_alone_does(tmp_path):
    store = run(tmp_path, configuration.load(FINEWEB, [MEASURED]))
    found = json.loads(store.read_bytes("2-filtered/overlap.json"))
    measured = [*rows(store, "kept"), *rows(store, "dropped")]
    failed = [row["failed_rules"] for row in measured]
    assert found["documents"] == 63 * PARTITIONS
    names = found["overlap"]["rules"]
    for name, entry in found["rules"].items():
        assert entry["failed"] == sum(name in one for one in failed)
        assert entry["solo"] == sum(one == [name] for one in failed)
        numbers = sum(row[name] == row[name] for row in measured)  # NaN has no bin
        assert sum(entry["histogram"]["counts"]) == numbers
    one, other = "gopher_word_count_floor", "gopher_stop_words"
    both = found["overlap"]["both"][names.index(one)][names.index(other)]
    assert both == sum(one in row and other in row for row in failed) > 0


def test_a_rule_that_never_or_nearly_always_fires_is_named():
    from decant.pipeline.verdicts.overlap import warnings

    recipe = configuration.load(FINEWEB).recipe()
    entry = {"in": 10_000, "dropped": {"gopher_word_count_floor": 9_500, "gopher_stop_words": 1}}
    found = warnings(recipe, entry)
    assert any("gopher_word_count_floor" in one and "95.0%" in one for one in found)
    assert any("gopher_top_2_gram" in one and "none of 10,000" in one for one in found)
    assert not any("gopher_stop_words" in one for one in found)
