"""Arms as files for another trainer: the tokens of every run, and who plays which part."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from decant.ablations.ablate import FINISHED, ablate
from decant.ablations.config import load
from decant.ablations.elsewhere.parts import read_parts, rules
from decant.ablations.measuring.plans import plan
from decant.ablations.study import prepare
from decant.pipeline.engine.storage import Store
from tests.ablations.test_neural_study import run, write_study  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("export")
    config = write_study(folder, run)
    assert ablate(config, str(folder / "out"), export_to=folder / "arms") == FINISHED
    return folder


def test_nothing_is_trained(exported):
    assert not (exported / "out" / "models").exists()
    assert not (exported / "out" / "verdict.md").exists()


def test_every_part_of_every_rule_has_its_run_and_every_run_its_tokens(exported):
    parts = read_parts(exported / "arms" / "arms.csv")
    assert rules(parts) == ["repeated lines (leave-one-out)"]
    roles = [part.role for part in parts]
    assert [roles.count(r) for r in ("without", "with", "placebo")] == [1, 2, 3]
    files = {path.stem for path in (exported / "arms" / "tokens").glob("*.npy")}
    assert files == {part.run for part in parts}


def test_the_tokens_are_the_documents_in_reading_order_with_their_ends(exported):
    study = prepare(load(exported / "study.yaml"), Store(str(exported / "again")))
    terms = study.neural_terms("smoke")
    trainings = plan(study.pool, study.contrasts[0], terms.design, terms.budget).trainings
    parts = read_parts(exported / "arms" / "arms.csv")
    for part, training in zip(parts, trainings, strict=True):
        ids = np.load(exported / "arms" / "tokens" / f"{part.run}.npy", allow_pickle=False)
        expected = [
            token
            for d in training.reads.documents
            for token in (*study.pool.tokens[study.pool.first[d] : study.pool.first[d + 1]],
                          study.pool.eos)
        ]  # fmt: skip
        assert ids.dtype == np.uint16
        assert ids.tolist() == expected
        assert part.tokens == training.reads.tokens
