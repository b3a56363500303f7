"""A neural rung's verdicts on pure noise, and on effects of the size that it promises to find."""

import pytest

from decant.ablations.judging.verdict import HELPS, HURTS
from tests.bench.neural_null import NOISE, SHIPPED, Simulation, Structure, run, structures


@pytest.fixture(scope="module")
def structure() -> Structure:
    (found,) = structures(("real-pages-neural",))
    return found


def test_noise_is_called_an_effect_no_oftener_than_promised_and_real_ones_are_found(structure):
    """The bench's figures at a twentieth of its studies: 4,000 of each are in the README."""
    row = run(structure, 240, seed=5)
    # 5 % of 240 are 12, and 2 binomial sd of 3.4 more.
    assert row.any_false <= 18
    # 5 % of 60 are 3, and 2.4 binomial sd of 1.7 more.
    assert row.sets_false <= 7
    # 80 % of 60 are 48; 39 is 2.9 binomial sd of 3.1 below.
    assert row.helps >= 39
    assert row.hurts >= 39


def test_an_effect_of_four_times_the_detectable_size_is_always_found_with_its_sign(structure):
    size = 4 * 3.0 * NOISE
    for sign, label in ((1, HELPS), (-1, HURTS)):
        simulation = Simulation(structure, seed=9)
        assert {simulation.study(sign * size)[0].label for _ in range(20)} == {label}


def test_every_shipped_neural_study_has_the_sets_that_a_verdict_needs():
    found = structures(SHIPPED)
    assert [one.name for one in found if one.design.draws < 12] == []
    assert [one.name for one in found if one.design.with_trainings < 4] == []
