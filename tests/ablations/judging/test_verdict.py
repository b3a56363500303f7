"""From made-up effects with known truth to the four verdicts."""

from dataclasses import replace

import numpy as np
import pytest

from decant.ablations.judging.errors import overall_error, set_variance
from decant.ablations.judging.verdict import HELPS, HURTS, INCONCLUSIVE, NEUTRAL, Settings, judge
from decant.ablations.measuring.effects import Effect, Repeats

SIGNALS = ["novels", "news", "forum", "wiki", "web"]


def make_effect(values, noise=0.001, name="rule", seeds=2, **changes):
    rng = np.random.default_rng(len(name))
    m = len(SIGNALS)
    null = {k: noise * rng.normal(size=(20, seeds, m)) for k in ("tokens", "domains", "topics")}
    plain = dict(
        name=name, design="leave-one-out", judged=True, values=np.tile(values, (seeds, 1)),
        null=null, removed_fraction=0.1, removed_documents=10, run_tokens=1e5, unique_tokens=1e5,
        epochs=1.0, pool_share=0.4, placebo_scale=1.0, problem=None,
    )  # fmt: skip
    return Effect(**{**plain, **changes})


def make_own_orders(value, noise=0.001, sets=12, arms=4, seed=0, weights=(0.5, 0.5), **changes):
    """An effect of a neural rung: every training has noise of its own, the same on all signals."""
    rng = np.random.default_rng(seed)
    m, seeds = len(SIGNALS), len(weights)

    def score(*shape):
        return np.repeat(noise * rng.normal(size=(*shape, 1)), m, axis=-1)

    arm, without, placebos = score(arms, seeds), score(seeds), score(sets, seeds)
    with_rule = arm.mean(axis=0)
    plain = dict(
        values=value + without - with_rule, null={"domains": with_rule - placebos},
        weights=np.array(weights), repeats=Repeats(arms, 1, (arm,)),
    )  # fmt: skip
    return replace(make_effect([0.0] * m, seeds=seeds), **{**plain, **changes})


def one(effect, **settings):
    return judge([effect], SIGNALS, Settings(**settings))[0]


def test_a_gain_on_every_genre_helps_and_a_loss_hurts():
    assert one(make_effect([0.02, 0.021, 0.019, 0.02, 0.022])).label == HELPS
    assert one(make_effect([-0.02, -0.021, -0.019, -0.02, -0.022])).label == HURTS


def test_a_gain_on_one_genre_alone_is_a_shift_of_the_distribution():
    verdict = one(make_effect([0.2, -0.01, -0.02, -0.01, -0.015]))
    assert verdict.label not in (HELPS, HURTS)
    assert any("towards novels, away from" in note for note in verdict.caveats)


def test_a_small_loss_that_is_certain_on_one_genre_stops_an_overall_help():
    verdict = one(make_effect([0.05, 0.05, 0.05, 0.05, -0.02]))
    assert verdict.label not in (HELPS, HURTS)


def test_no_effect_inside_the_margin_is_neutral():
    assert one(make_effect([0.0001, -0.0002, 0, 0.0001, 0])).label == NEUTRAL


def test_an_effect_under_the_margin_never_helps_however_certain():
    verdict = one(make_effect([0.001] * 5, noise=1e-5))
    assert verdict.overall.q < 0.001
    assert verdict.label == NEUTRAL


def test_noise_as_large_as_the_effect_is_inconclusive_and_says_what_would_settle_it():
    verdict = one(make_effect([0.02, 0.018, 0.021, 0.02, 0.02], noise=0.05))
    assert verdict.label == INCONCLUSIVE
    assert any("disjoint data seeds" in note for note in verdict.caveats)


def test_more_noise_never_makes_a_rule_neutral():
    quiet = [one(make_effect([0.001] * 5, noise=n)).label for n in (0.0005, 0.002)]
    loud = [one(make_effect([0.001] * 5, noise=n)).label for n in (0.02, 0.05, 0.1, 0.5)]
    assert quiet[0] == NEUTRAL
    assert loud == [INCONCLUSIVE] * 4


def test_a_budget_over_half_the_pool_is_never_better_than_inconclusive():
    effect = make_effect([0.02] * 5, pool_share=0.51)
    verdict = one(effect)
    assert verdict.label == INCONCLUSIVE
    assert any("51% of the pool" in note for note in verdict.caveats)
    assert one(make_effect([0.02] * 5, pool_share=0.5)).label == HELPS


def test_a_missing_run_gives_no_verdict_but_its_reason():
    verdict = one(make_effect([0.02] * 5, problem="the arm is empty"))
    assert (verdict.label, verdict.overall, verdict.caveats) == (
        INCONCLUSIVE, None, ("the arm is empty",),
    )  # fmt: skip


def test_a_diagnostic_is_measured_but_not_judged():
    verdict = one(make_effect([0.3] * 5, judged=False, null={}))
    assert verdict.label == ""
    assert verdict.overall.effect == pytest.approx(0.3)


def test_twenty_rules_need_a_smaller_p_than_one():
    # One rule at p about 0.02 among nineteen without effect.
    weak = make_effect([0.012, 0.011, 0.013, 0.012, 0.012], noise=0.0105)
    alone = one(weak)
    assert 0.001 < alone.overall.p < 0.05
    others = [make_effect([0.0] * 5, name=f"other {k}") for k in range(19)]
    among = judge([weak, *others], SIGNALS, Settings())[0]
    assert among.overall.q == pytest.approx(20 * alone.overall.p)
    assert among.label != HELPS


def test_the_widest_kind_of_placebo_is_the_null():
    effect = make_effect([0.02] * 5)
    effect.null["topics"][:] *= 50
    assert one(effect).label != HELPS


def test_repeated_text_is_said():
    verdict = one(make_effect([0.02] * 5, epochs=5.2))
    assert any("read 5.2 times" in note for note in verdict.caveats)


def taste_bound_effect(value):
    """An effect with sampling noise of sd 0.0003, and topic placebos twenty times as wide."""
    effect = make_effect([value] * 5, noise=0.001)
    effect.null["topics"][:] *= 20
    return effect


def test_a_sure_effect_within_what_arbitrary_drops_do_is_not_called_neutral():
    verdict = one(taste_bound_effect(0.004))
    assert verdict.overall.margin > 0.006
    assert verdict.label == INCONCLUSIVE


def test_no_effect_within_what_arbitrary_drops_do_is_not_neutral_for_that():
    effect = taste_bound_effect(0.0)
    effect.values[:] = [[0.0004, 0.0002, -0.0001, 0.0003, 0.0]] * 2
    verdict = one(effect)
    assert verdict.overall.margin > 0.002
    assert verdict.label == INCONCLUSIVE


@pytest.mark.parametrize(("margin_bpb", "label"), [(0.004, NEUTRAL), (0.003, INCONCLUSIVE)])
def test_neutral_is_never_wider_than_the_margin_of_the_user(margin_bpb, label):
    effect = make_effect([0.0] * 5, noise=0.0)
    # Twenty placebos whose means over two seeds and five signals have sd 0.002.
    at = np.linspace(-1, 1, 20)
    for kind in effect.null:
        effect.null[kind][:] = (0.002 * at / at.std(ddof=1))[:, None, None]
    verdict = one(effect, margin_bpb=margin_bpb)
    # 90 %: t of 19 degrees of freedom is 1.729, of 0.002 sqrt(1 + 1/20).
    half = 1.729 * 0.002 * (1 + 1 / 20) ** 0.5
    assert 0.003 < half < 0.004
    assert verdict.label == label


def test_the_error_of_a_neural_effect_holds_the_noise_of_both_arms():
    effect = make_own_orders(0.0, noise=0.001)
    sets = effect.null["domains"].mean(axis=(1, 2)).var(ddof=1)
    error = overall_error(effect)
    assert error.variance == pytest.approx(sets * (1 + 1 / 4))
    assert error.df == 12 - 1


def test_data_seeds_of_a_neural_effect_weigh_as_their_tokens_do():
    effect = make_own_orders(0.0, noise=0.0, weights=(0.08, 0.92))
    effect.values[:] = [[0.1] * 5, [0.0] * 5]
    assert one(effect).overall.effect == pytest.approx(0.08 * 0.1)


@pytest.mark.parametrize(("sets", "refused"), [(11, True), (12, False)])
def test_fewer_than_twelve_placebo_sets_give_no_neural_verdict(sets, refused):
    verdict = one(make_own_orders(0.02, sets=sets))
    assert (verdict.overall is None) is refused
    if refused:
        assert verdict.caveats == ("11 placebo sets of a kind: a verdict needs 12",)


def test_the_detectable_effect_is_that_of_the_first_step_of_holm():
    effects = [make_own_orders(0.0, seed=k) for k in range(7)]
    found = judge(effects, SIGNALS, Settings())[0].overall
    # t of 11 degrees of freedom: 3.294 at 0.05 / 7 two-sided, 0.876 at 80 %.
    sd = overall_error(effects[0]).sd
    assert found.detectable == pytest.approx((3.294 + 0.876) * sd, rel=1e-3)


def test_placebos_smaller_than_the_rule_widen_what_sets_do_and_not_the_noise():
    quiet = make_own_orders(0.0, noise=0.001)
    wide = make_own_orders(0.0, noise=0.001, placebo_scale=3.0)
    beyond = set_variance(quiet)
    grown = overall_error(wide).variance - overall_error(quiet).variance
    assert grown == pytest.approx((3.0**2 - 1) * beyond)
    assert beyond < 0.001**2  # noise alone: sets differ by little else


def test_trainings_that_diverged_are_counted_in_the_notes():
    repeats = replace(make_own_orders(0.02).repeats, missing=2)
    verdict = one(make_own_orders(0.02, repeats=repeats))
    assert "2 trainings diverged and are left out" in verdict.caveats


def test_more_data_is_not_promised_to_settle_what_arbitrary_drops_do():
    verdict = one(taste_bound_effect(0.004))
    assert any("more such data would not decide" in note for note in verdict.caveats)
    assert not any("data seeds" in note for note in verdict.caveats)


def test_signals_that_disagree_are_doubt_even_where_placebos_are_quiet():
    quiet = one(make_effect([0.006] * 5, noise=0.0005))
    assert quiet.label == HELPS
    split = one(make_effect([0.026, -0.008, 0.022, -0.012, 0.002], noise=0.0005))
    assert split.overall.effect == pytest.approx(0.006)
    assert split.overall.p > 0.3


def test_the_error_is_the_wider_of_placebos_and_disagreement_not_their_sum():
    agreeing = one(make_effect([0.006] * 5, noise=0.002)).overall
    # A spread between signals well inside the placebos' own adds nothing.
    mild = one(make_effect([0.0065, 0.0055, 0.006, 0.0062, 0.0058], noise=0.002)).overall
    assert (mild.low, mild.high) == pytest.approx((agreeing.low, agreeing.high))


def test_four_data_seeds_that_disagree_are_doubt_and_two_are_too_few_to_say():
    apart = np.array([0.03, -0.01, 0.025, -0.005])
    four = make_effect([0.01] * 5, noise=0.0005, seeds=4)
    four.values[:] = apart[:, None]
    assert one(four).label == INCONCLUSIVE
    assert one(four).overall.high - one(four).overall.effect == pytest.approx(
        3.182 * apart.std(ddof=1) / 2, rel=1e-3
    )
    two = make_effect([0.01] * 5, noise=0.0005, seeds=2)
    two.values[:] = apart[:2, None]
    assert one(two).label == HELPS


def test_data_seeds_that_agree_change_nothing():
    assert one(make_effect([0.01] * 5, noise=0.002, seeds=4)).label == HELPS
