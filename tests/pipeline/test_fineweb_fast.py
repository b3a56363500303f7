"""The fast recipe is FineWeb's, but for its gates."""

from pathlib import Path

from decant.pipeline import config

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_fast_recipe_differs_from_fineweb_in_its_gates_alone():
    exact = config.load(CONFIGS / "fineweb.yaml")
    fast = config.load(CONFIGS / "fineweb-fast.yaml")
    assert fast.extract.gates != exact.extract.gates
    opened = fast.extract.model_copy(update={"gates": exact.extract.gates})
    assert fast.model_copy(update={"extract": opened}) == exact


def test_the_exact_recipe_has_every_gate_open():
    gates = config.load(CONFIGS / "fineweb.yaml").extract.gates
    assert all(bound is None for bound in gates.model_dump().values())
