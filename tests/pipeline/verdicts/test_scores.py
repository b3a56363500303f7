"""A rule over a column: of the documents, of a table in their order, of a table joined by id."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.filters.steps import RecipeError, build
from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.engine.storage import Store
from decant.pipeline.verdicts import score_join
from decant.pipeline.verdicts.score_join import FOUND, MISSING, REPEATED, Lookup, hashed
from tests.pipeline.documents.document_files import write
from tests.pipeline.test_documents import (
    CONFIG,
    article,
    complaint,
    document,
    published,
    rows,
    run,
    stages,
    wet,
)
from tests.pipeline.test_extract import balanced

IDS = [document(n, "")["id"] for n in range(1, 9)]
SCORES = [0.0, 2.9, 3.0, 3.1, 5.0, math.nan, None, 4.0]


def rule(**options) -> str:
    step = {"column": {"name": "edu", "at_least": 3, **options}}
    return f"filter.rules={json.dumps([step])}"


def documents(with_scores: bool) -> list[dict]:
    found = [document(n, article(n)) for n in range(1, 9)]
    if not with_scores:
        return found
    return [{**one, "edu": score} for one, score in zip(found, SCORES, strict=True)]


def table(path: Path, ids: list, scores: list, **more) -> str:
    columns = {"id": ids, "edu": pa.array(scores, pa.float64(), from_pandas=False), **more}
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return f"input.scores={path}"


def kept(store: Store) -> set[int]:
    return {number for number, one in enumerate(IDS) if one in published(store)}


def test_a_column_of_the_documents_is_compared_and_stored_as_a_measure(tmp_path):
    path = write(tmp_path, "a.parquet", documents(True))
    store, code = run(tmp_path, path, settings=(rule(),))
    assert code == 0
    assert kept(store) == {2, 3, 4, 7}  # 3.0 and above
    measures = {
        row["offset"]: row["edu"]
        for folder in ("2-filtered/kept", "2-filtered/dropped")
        for row in rows(store, folder)
    }
    assert [measures[n] for n in (0, 1, 2)] == SCORES[:3]
    assert np.isnan(measures[5]) and np.isnan(measures[6])
    entry = stages(store)["filter"]
    assert balanced(entry)
    assert entry["dropped"] == {"edu": 4}
    assert entry["scores"] == {"edu": {"missing": 1, "nan": 1}}


def test_documents_without_a_score_stay_where_the_step_says_so(tmp_path):
    path = write(tmp_path, "a.parquet", documents(True))
    store, _ = run(tmp_path, path, settings=(rule(missing="keep"),))
    assert kept(store) == {2, 3, 4, 5, 6, 7}
    assert stages(store)["filter"]["scores"] == {"edu": {"missing": 1, "nan": 1}}


def test_a_nested_column_and_one_of_integers_and_one_of_json_lines_are_compared(tmp_path):
    nested = [{**document(n, article(n)), "metadata": {"edu": n}} for n in range(1, 5)]
    for name in ("a.parquet", "a.jsonl"):
        path = write(tmp_path, name, nested)
        step = json.dumps([{"column": {"name": "metadata.edu", "above": 2}}])
        store, code = run(tmp_path, path, name=name[2:], settings=(f"filter.rules={step}",))
        assert (code, kept(store)) == (0, {2, 3})


def test_a_table_in_the_order_of_the_documents_and_a_shuffled_one_give_the_same(tmp_path):
    path = write(tmp_path, "a.parquet", documents(False))
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    settings = {
        "row-order": table(tmp_path / "1.parquet", IDS, SCORES),
        "shuffled": table(
            tmp_path / "2.parquet", [IDS[n] for n in order], [SCORES[n] for n in order]
        ),
    }
    for name, scores in settings.items():
        store, code = run(tmp_path, path, name=name, settings=(rule(), scores))
        assert (code, kept(store)) == (0, {2, 3, 4, 7})
        entry = stages(store)["filter"]
        assert entry["scores"]["edu"]["nan"] == 2  # of a table, null and NaN are one
        joined = "filter/score_join" in {one[10:-5] for one in store.list("manifests/filter")}
        assert joined is (name == "shuffled")
        assert store.list("2-filtered/_scores") == []


def test_a_table_may_lack_ids_or_have_them_twice(tmp_path):
    path = write(tmp_path, "a.parquet", documents(False))
    ids = [IDS[0], IDS[2], IDS[2], IDS[4], "another"]
    scores = table(tmp_path / "s.parquet", ids, [5.0, 4.0, 1.0, 5.0, 9.0])
    store, code = run(tmp_path, path, settings=(rule(), scores))
    assert (code, kept(store)) == (0, {0, 4})
    counts = {"duplicate": 1, "missing": 5, "nan": 0}
    assert stages(store)["filter"]["scores"] == {"edu": counts}
    store, _ = run(tmp_path, path, name="first", settings=(rule(duplicate="first"), scores))
    assert kept(store) == {0, 2, 4}
    store, _ = run(tmp_path, path, name="keep", settings=(rule(missing="keep"), scores))
    assert kept(store) == set(range(8))


def test_many_buckets_and_slices_give_what_one_gives(tmp_path, monkeypatch):
    path = write(tmp_path, "a.parquet", documents(False))
    scores = table(tmp_path / "s.parquet", IDS[::-1], SCORES[::-1])
    settings = (rule(), scores, "input.split_bytes=4000")
    one, _ = run(tmp_path, path, name="one", settings=settings)
    monkeypatch.setattr(score_join, "ROW_BYTES", 1 << 30)
    many, _ = run(tmp_path, path, name="many", settings=settings)
    for folder in ("2-filtered/kept", "2-filtered/dropped"):
        assert str(rows(many, folder)) == str(rows(one, folder))  # NaN equals nothing


def test_an_archive_has_scores_by_the_id_of_its_records(tmp_path):
    path = tmp_path / "a.warc.wet.gz"
    path.write_bytes(wet(documents(False)))
    scores = table(tmp_path / "s.parquet", IDS, SCORES)
    store, code = run(tmp_path, path, settings=(rule(), scores))
    assert (code, kept(store)) == (0, {2, 3, 4, 7})


def test_other_bounds_follow_from_stored_scores(tmp_path):
    path = write(tmp_path, "a.parquet", documents(True))
    first, _ = run(tmp_path, path, settings=(rule(),))
    request = RunRequest(CONFIG, str(tmp_path / "again"), workers=0, settings=(rule(at_least=4),),
                         stages=("filter",), source=first.url)  # fmt: skip
    full, _ = run(tmp_path, path, name="full", settings=(rule(at_least=4),))
    assert execute_run(request) == 0
    again = Store(str(tmp_path / "again"))
    assert stages(again)["filter"] == stages(full)["filter"]
    for folder in ("2-filtered/kept", "2-filtered/dropped"):
        assert str(rows(again, folder)) == str(rows(full, folder))


def test_a_table_of_scores_may_come_after_the_run(tmp_path):
    path = write(tmp_path, "a.parquet", documents(False))
    first, _ = run(tmp_path, path, settings=("filter.rules=[]",))
    scores = table(tmp_path / "s.parquet", IDS[::-1], SCORES[::-1])
    full, _ = run(tmp_path, path, name="full", settings=(rule(), scores))
    request = RunRequest(CONFIG, str(tmp_path / "again"), workers=0, settings=(rule(), scores),
                         stages=("filter",), source=first.url)  # fmt: skip
    assert execute_run(request) == 0
    again = Store(str(tmp_path / "again"))
    assert stages(again)["filter"] == stages(full)["filter"]
    for folder in ("2-filtered/kept", "2-filtered/dropped"):
        assert str(rows(again, folder)) == str(rows(full, folder))


WRONG = {
    "no such column": ({}, ["'edu'", "a.parquet"]),
    "a column of strings": ({"edu": "high"}, ["'edu'", "string", "a number"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_column_that_is_not_there_or_holds_no_numbers_is_refused(tmp_path, capsys, name):
    more, parts = WRONG[name]
    path = write(tmp_path, "a.parquet", [{**document(1, "a text"), **more}])
    _, code = run(tmp_path, path, settings=(rule(),))
    message = complaint(capsys)
    assert (code, message.count("\n")) == (2, 1)
    assert [part for part in parts if part not in message] == []


def test_a_table_without_ids_or_numbers_is_refused(tmp_path, capsys):
    path = write(tmp_path, "a.parquet", documents(False))
    pq.write_table(pa.table({"edu": [1.0]}), tmp_path / "s.parquet")
    pq.write_table(pa.table({"id": ["a"], "edu": ["high"]}), tmp_path / "t.parquet")
    for file, part in (("s", "no column 'id'"), ("t", "needs a number"), ("u", "u.parquet")):
        setting = f"input.scores={tmp_path}/{file}.parquet"
        _, code = run(tmp_path, path, name=file, settings=(rule(), setting))
        message = complaint(capsys)
        assert (code, part in message) == (2, True)
        assert "Traceback" not in message


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("edu", "takes a name and bounds"),
        ({"name": "edu"}, "no bounds"),
        ({"name": "edu", "at_least": "x"}, "takes a number"),
        ({"name": "edu", "at_least": 1, "missing": "maybe"}, "missing is one of drop, keep"),
        ({"name": "edu", "at_least": 1, "mising": "keep"}, "no option is called 'mising'"),
        ({"name": "gopher_stop_words", "at_least": 1}, "a rule is called"),
    ],
)
def test_a_wrong_step_is_refused_with_what_would_be_right(step, message):
    with pytest.raises(RecipeError, match=message):
        build([{"column": step}])


def test_a_repeated_id_has_the_values_of_its_first_row():
    lookup = Lookup(hashed(["b", "a", "b"]), np.array([5, 1, 3]), np.array([[9.0], [7.0], [8.0]]))
    states, values = lookup.find(hashed(["a", "b", "c"]))
    assert states.tolist() == [FOUND, REPEATED, MISSING]
    assert values[:2, 0].tolist() == [7.0, 8.0]
    assert np.isnan(values[2, 0])


def test_ids_that_share_half_a_hash_are_told_apart():
    hashes = np.array([[1, 5], [1, 9], [2, 0]], np.uint64)
    lookup = Lookup(hashes, np.arange(3), np.array([[1.0], [2.0], [3.0]]))
    states, values = lookup.find(np.array([[1, 9], [1, 5], [1, 7], [3, 0]], np.uint64))
    assert states.tolist() == [FOUND, FOUND, MISSING, MISSING]
    assert values[:2, 0].tolist() == [2.0, 1.0]


def test_an_empty_table_has_no_scores():
    lookup = Lookup(hashed([]).reshape(0, 2), np.empty(0, np.int64), np.empty((0, 1)))
    states, _ = lookup.find(hashed(["a"]))
    assert states.tolist() == [MISSING]
