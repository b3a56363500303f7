import pytest

from decant.pipeline.rundir import ledger


def entry(taken: int, kept: int, errors: int = 0, **dropped: int) -> dict:
    return {"in": taken, "kept": kept, "errors": errors, "dropped": dropped}


def test_counts_of_tasks_add_up_and_tables_merge():
    total = ledger.add([entry(3, 1, language=2), entry(4, 3, url_domain=1), {"note": "text"}])
    assert total == {
        "in": 3 + 4,
        "kept": 1 + 3,
        "errors": 0,
        "dropped": {"language": 2, "url_domain": 1},
    }


def test_a_balanced_stage_passes():
    ledger.check("filter", entry(10, 6, errors=1, language=3))


@pytest.mark.parametrize("kept", [5, 7])
def test_a_row_lost_or_invented_fails_the_run(kept):
    with pytest.raises(ledger.LedgerError, match="10 rows in"):
        ledger.check("filter", entry(10, kept, errors=1, language=3))


def test_a_stage_must_take_in_what_the_one_before_kept():
    ledger.check_chain({"extract": entry(3, 2, language=1), "filter": entry(2, 2)})
    with pytest.raises(ledger.LedgerError, match="extract kept 2 rows, but filter took in 1"):
        ledger.check_chain({"extract": entry(3, 2, language=1), "filter": entry(1, 1)})


def test_the_ledger_lists_stages_in_pipeline_order():
    data = ledger.encode({"filter": entry(1, 1), "extract": entry(1, 1)}, {"shards": "ab"})
    assert data.index(b"extract") < data.index(b"filter") < data.index(b"digest")
