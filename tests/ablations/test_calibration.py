"""The calibration's own machinery: pools that are what the bench says they are."""

import numpy as np
import pytest

from decant.ablations.scoring.scored import Scored
from tests.bench.calibration import plan, real_plan
from tests.bench.calibration_pools import DECOYS, make_study
from tests.bench.calibration_real import Crawl, take
from tests.bench.calibration_tables import tables, upper_bound

POOLS = 4
NOTHING = Scored((), ())


@pytest.fixture(scope="module")
def study():
    return make_study(3, 300, {"menu": 0.2}, 0.1)


@pytest.fixture(scope="module")
def crawl(study):
    """A made-up crawl whose menus are what the rule drops."""
    menu = study.drops["menu"]
    return Crawl(study.pool, ~menu, {"menu": menu}, NOTHING, NOTHING)


def test_no_pool_is_used_for_two_studies():
    seeds = [seed for _, _, seed in plan(decoys=420, planted=20, weak=20, first_seed=5)]
    assert len(seeds) == len(set(seeds)) == 420 + 15 * 20 + 10 * 20


def test_every_row_of_real_pages_has_as_many_studies_but_the_large_pools():
    rows = real_plan(("a", "b"), 3)
    kinds = {(kind, share, pools) for kind, share, _, pools in rows}
    assert len(kinds) == 2 * 3 + 2 + len(DECOYS)
    assert len(rows) == len(set(rows)) == 3 * len(kinds) + 3 * 2  # large pools twice as often


@pytest.mark.parametrize("decoy", DECOYS)
def test_a_decoy_drops_its_share_of_tokens(study, decoy):
    drop = study.drops[decoy]
    share = study.pool.lengths[drop].sum() / study.pool.lengths.sum()
    assert 0.1 - study.pool.lengths.max() / study.pool.lengths.sum() <= share <= 0.1


def test_pools_of_one_deal_share_no_domain_and_together_are_the_base(crawl):
    # Numbers 4 to 7 are the second deal.
    pools = [crawl.study("domain hash", 0.2, number, POOLS).pool for number in range(4, 8)]
    domains = [set(pool.domain.tolist()) for pool in pools]
    assert sum(map(len, domains)) == len(set.union(*domains))
    identities = np.concatenate([pool.identity for pool in pools])
    assert sorted(identities) == sorted(crawl.pool.identity[crawl.base])


def test_planted_pages_are_dropped_ones_up_to_their_share(crawl):
    found = crawl.study("menu", 0.1, 1, POOLS)
    planted = found.drops["menu"]
    assert np.isin(found.pool.identity[planted], crawl.pool.identity[crawl.dropped["menu"]]).all()
    assert not np.isin(found.pool.identity[~planted], crawl.pool.identity[~crawl.base]).any()
    share = found.pool.lengths[planted].sum() / found.pool.lengths.sum()
    assert 0.05 < share <= 0.1


def test_a_pool_of_some_documents_has_their_tokens(study):
    chosen = np.array([7, 2, 5])
    part = take(study.pool, chosen)
    for k, document in enumerate(chosen):
        whole = study.pool.tokens[study.pool.first[document] : study.pool.first[document + 1]]
        assert (part.tokens[part.first[k] : part.first[k + 1]] == whole).all()


def test_the_bound_on_a_false_rate_is_clopper_and_pearsons():
    # No false verdict in n studies: 1 - 0.05^(1/n); all of them: 1.
    assert upper_bound(0, 400) == pytest.approx(1 - 0.05 ** (1 / 400))
    assert upper_bound(3, 3) == 1.0


def test_tables_without_real_pages_say_that_they_are_left_out():
    row = {"pages": "made-up", "kind": "longest", "share": 0.2, "seed": 1, "verdict": "HELPS",
           "effect": 0.01, "p": 0.01, "detectable": 0.01, "margin": 0.002, "tokens": 300_000,
           "budget": 1e5, "cpu_s": 1.0}  # fmt: skip
    text = tables([row, {**row, "seed": 2, "verdict": "NEUTRAL"}])
    assert "Left out" in text
    assert "False verdicts on decoys: 1 of 2 = 50.0%" in text


def test_a_verdict_on_real_pages_is_held_against_the_measured_truth():
    row = {"pages": "real", "kind": "longest", "share": 0.2, "pools": 5, "verdict": "HELPS",
           "effect": 0.01, "detectable": 0.01, "tokens": 300_000, "cpu_s": 1.0}  # fmt: skip
    truth = {"pages": "truth", "kind": "longest", "share": 0.2, "effect": 0.013, "t": 5.2}
    text = tables([row, {**row, "verdict": "HURTS"}, {**row, "kind": "first letter"}, truth])
    assert "Decoys whose truth has a sign (|t| > 2.36): 1 of 2 verdicts of that sign, 1 of" in text
    assert "decoys whose truth has no sure sign: 1 of 1 = 100.0%" in text
