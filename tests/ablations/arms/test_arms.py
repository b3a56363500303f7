"""Arms of a run made by the pipeline's own filter stage."""

import itertools

import numpy as np
import pytest

from decant.ablations.arms import finished_run, pool_files, tokens
from decant.ablations.arms.arms import Arms, ArmsError, contrasts, recipe_steps, without_duplicates
from decant.ablations.config import ArmsConfig, SweepConfig
from decant.pipeline.rundir.texts import read_texts
from tests.ablations.small_runs import make_texts, write_run

GOOD, REPEATED, SHORT = 12, 5, 4


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), make_texts(1, GOOD, REPEATED, SHORT))


@pytest.fixture(scope="module")
def pool(store):
    config = finished_run.read_config(store)
    documents = finished_run.read_documents(store, config)
    tokenizer = tokens.train_bpe(read_texts(store), 400)
    ids, first, size = tokens.tokenise(tokenizer, read_texts(store))
    return pool_files.make_pool(documents, ids, first, size, tokenizer)


def find(found, name):
    return next(c for c in found if c.name == name)


def test_the_pool_has_every_document_with_every_verdict(pool):
    assert len(pool) == GOOD + REPEATED + SHORT + 1
    assert pool.rules[0] == "gopher_duplicate_line_fraction"
    assert pool.failed[GOOD : GOOD + REPEATED, 0].all()
    assert pool.failed[GOOD + REPEATED : -1, 1].all()
    assert not pool.failed[:GOOD].any()
    assert pool.measures[GOOD, 0] == 39 / 40


def test_texts_come_in_the_order_of_the_pool(store, pool):
    texts = list(read_texts(store))
    assert [len(t.encode()) for t in texts] == pool.size_bytes.tolist()


def test_a_copy_is_dropped_and_the_first_one_stays(pool):
    survivors = without_duplicates(pool, np.ones(len(pool), dtype=bool))
    assert survivors[0]
    assert not survivors[-1]


def test_the_copy_survives_where_the_first_is_not_in_the_arm(pool):
    mask = np.ones(len(pool), dtype=bool)
    mask[0] = False
    assert without_duplicates(pool, mask)[-1]


def test_leaving_a_rule_out_gives_its_documents_back(pool):
    config = ArmsConfig(designs=("leave-one-out",))
    lines = find(contrasts(pool, config), "gopher_duplicate_line_fraction")
    gained = lines.without & ~lines.with_rule
    assert np.flatnonzero(gained).tolist() == list(range(GOOD, GOOD + REPEATED))
    dedup = find(contrasts(pool, config), "dedup")
    assert np.flatnonzero(dedup.without & ~dedup.with_rule).tolist() == [len(pool) - 1]


def test_adding_one_rule_starts_from_everything(pool):
    config = ArmsConfig(designs=("add-one-in",))
    for contrast in contrasts(pool, config):
        assert contrast.without.all()
        assert not contrast.with_rule.all() or "short_line" in contrast.name


def test_cumulative_steps_follow_the_recipe_and_end_with_dedup(pool):
    found = contrasts(pool, ArmsConfig(designs=("cumulative",)))
    assert [c.name for c in found] == [f"+ {r}" for r in (*pool.rules, "dedup")]
    for one, following in itertools.pairwise(found):
        assert (one.with_rule == following.without).all()


def test_removed_only_is_what_leave_one_out_gives_back(pool):
    found = contrasts(pool, ArmsConfig(designs=("removed-only",)))
    assert not any(c.judged for c in found)
    removed = find(found, "gopher_word_count_floor").without
    assert removed.sum() == SHORT


def test_a_sweep_moves_one_bound_and_keeps_the_other_rules(pool):
    sweep = SweepConfig(rule="gopher_duplicate_line_fraction", at_most=(0.3, 0.98))
    config = ArmsConfig(designs=("threshold-sweep",), sweeps=(sweep,))
    strict, loose = contrasts(pool, config)
    assert strict.with_rule.sum() == GOOD
    assert loose.with_rule[GOOD : GOOD + REPEATED].all()
    assert not loose.with_rule[GOOD + REPEATED : -1].any()


def test_rules_judged_together_are_named_by_patterns(pool):
    config = ArmsConfig(groups={"gopher": ("gopher_*",)}, designs=("add-one-in",))
    found = contrasts(pool, config)
    assert [c.name for c in found] == ["gopher", "dedup"]
    # The rule in no group holds in every arm.
    assert Arms(pool, recipe_steps(pool.rules, config)).keep([]).all()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"c4": ("c4_*",)}, "names no rule of this run"),
        ({"dedup": ("gopher_*",)}, "another name than dedup"),
        ({"empty": ()}, "a group needs rules"),
    ],
)
def test_groups_that_fit_no_rule_are_refused(pool, groups, message):
    with pytest.raises(ArmsError, match=message):
        contrasts(pool, ArmsConfig(groups=groups))


def test_a_run_that_stopped_at_the_first_rule_is_refused(tmp_path):
    store = write_run(tmp_path, make_texts(2, 3, 1, 1), all_measures=False)
    with pytest.raises(finished_run.RunUnfit, match=r"filter\.all_measures=true"):
        finished_run.read_config(store)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    from decant.pipeline.engine.storage import Store

    with pytest.raises(finished_run.RunUnfit, match=r"no config\.yaml"):
        finished_run.read_config(Store(str(tmp_path)))


def test_sites_are_registered_domains_or_hosts():
    urls = ["http://a.x.co.uk/1", "https://b.x.co.uk/2", "http://[bad", ""]
    registered = finished_run.site_hashes(urls, "registered")
    assert registered[0] == registered[1] != registered[2]
    hosts = finished_run.site_hashes(urls, "host")
    assert hosts[0] != hosts[1]
