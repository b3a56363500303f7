"""Who reads what: trunks and branches share no domain, and a branch exactly its tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decant.ablations import hashing
from decant.ablations.annealing.branches import Branch, Sets, branches, trunk_stream
from decant.ablations.annealing.design import (
    FEWEST_UPDATES,
    KEPT,
    REMOVED,
    AnnealDesign,
    BranchLayout,
    longest_document,
)
from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Pool

DESIGN = AnnealDesign(rung="cpu-xs", branch_tokens=32_768, sets=12, removed_sets=12)


def make_layout(share=0.1, design=DESIGN, documents=1_600):
    """Some 320,000 tokens on 400 domains; the rule removes single documents by chance."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(60, 340, documents)
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    numbers = np.arange(documents)
    pool = Pool(
        rng.integers(0, 2000, first[-1]).astype(np.int32), first, 4 * lengths,
        hashing.mix(numbers, 1), hashing.mix(numbers // 4, 2), 2001, 2000,
    )  # fmt: skip
    everything = np.ones(documents, dtype=bool)
    removed = hashing.uniform(pool.identity, 9) < share
    contrast = Contrast("junk", "leave-one-out", everything, ~removed)
    return BranchLayout(pool, design, [contrast], (0,))


@pytest.fixture(scope="module")
def layout():
    return make_layout()


def documents_of(layout, stream):
    return np.searchsorted(layout.pool.first, stream.spans[:, 0], side="right") - 1


def test_a_branch_reads_exactly_its_tokens_each_document_once_and_its_dose_of_the_set(layout):
    tokens = layout.branch_tokens(0)
    for arm in (REMOVED, KEPT):
        sets = Sets(layout, 0, 1)
        for dose in (0.25, 0.5):
            stream = sets.stream(Branch(0, 1, arm, 3, dose, 0))
            assert tokens - 1 <= len(stream) <= tokens
            read = documents_of(layout, stream)
            assert len(set(read)) == len(read)
            of_rule = layout.removed(0)[read]
            size = np.diff(stream.spans, axis=1)[:, 0] + 1
            share = size[of_rule].sum() / tokens
            assert share == pytest.approx(dose if arm == REMOVED else 0.0, abs=2 / tokens)


def test_no_branch_reads_a_domain_of_its_trunk_and_no_trunk_what_a_rule_removes(layout):
    for trunk in (0, 1):
        before = documents_of(layout, trunk_stream(layout, trunk))
        assert not layout.removed(0)[before].any()
        for arm in (REMOVED, KEPT):
            read = documents_of(
                layout, Sets(layout, 0, trunk).stream(Branch(0, trunk, arm, 0, 0.5, 0))
            )
            domain = layout.pool.domain
            assert not set(domain[before].tolist()) & set(domain[read].tolist())


def test_trunks_share_no_domain(layout):
    one, other = (
        set(layout.pool.domain[documents_of(layout, trunk_stream(layout, t))].tolist())
        for t in (0, 1)
    )
    assert one and other and not one & other


def test_every_branch_has_an_order_of_its_own_whatever_other_rules_there_are(layout):
    sets = Sets(layout, 0, 0)
    again = [sets.stream(Branch(0, 0, REMOVED, 0, 0.5, run)).spans.tolist() for run in (1, 2)]
    assert again[0] != again[1]
    other = Contrast("other", "leave-one-out", *(2 * [layout.contrasts[0].with_rule]))
    second = replace(layout, contrasts=[other, layout.contrasts[0]], judged=(1,))
    same = Sets(second, 1, 0).stream(Branch(1, 0, REMOVED, 0, 0.5, 1)).spans.tolist()
    assert same == again[0]


def test_a_study_has_as_many_branches_as_its_design_says(layout):
    names = [branch.key for branch in branches(layout, 0)]
    assert len(names) == len(set(names)) == layout.design.branches == 2 * (6 + 6) * 3


def test_too_little_that_a_rule_removes_shortens_the_branches_and_less_gives_no_verdict():
    least = FEWEST_UPDATES * DESIGN.step(2001).batch_tokens
    short = make_layout(share=0.07)
    assert least <= short.branch_tokens(0) < DESIGN.branch_tokens
    assert short.branch_tokens(0) % DESIGN.step(2001).batch_tokens == 0
    none = make_layout(share=0.01)
    assert none.branch_tokens(0) == 0
    problem = none.problem(0)
    assert problem and f"a branch of {least:,} needs {least // 2:,} of them" in problem


def test_sets_hold_eight_documents_at_least(layout):
    sets = Sets(layout, 0, 0)
    assert sets.longest == longest_document(layout.branch_tokens(0))
    assert all(len(sets.of(REMOVED, k)) >= 8 for k in range(6))


def test_eleven_placebo_sets_are_too_few_and_twelve_are_not(layout):
    few = replace(layout, design=replace(DESIGN, sets=11))
    assert few.problem(0) == "11 placebo sets: under 12 give no verdict"
    assert layout.problem(0) is None


def test_a_rule_whose_pages_are_all_of_one_domain_gets_no_verdict(layout):
    pool = replace(
        layout.pool, domain=np.where(layout.removed(0), np.uint64(7), layout.pool.domain)
    )
    problem = replace(layout, pool=pool).problem(0)
    assert problem and "of 1 domain" in problem


def test_a_rule_that_removes_nothing_says_so(layout):
    same = layout.contrasts[0].with_rule
    nothing = replace(layout, contrasts=[Contrast("x", "leave-one-out", same, same)])
    assert nothing.problem(0) == "removes nothing here: there is nothing to anneal on"


def test_removed_sets_that_share_everything_overlap_wholly_and_others_less():
    scarce, plenty = make_layout(share=0.07), make_layout(share=0.4)
    assert max(Sets(scarce, 0, trunk).overlap() for trunk in (0, 1)) > 0.8
    assert Sets(plenty, 0, 0).overlap() < 0.4
