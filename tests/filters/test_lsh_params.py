"""Bands and rows by intent, the S-curve, and signatures as datasketch objects."""

import numpy as np
import pytest
from datasketch import LeanMinHash, MinHashLSH

from decant.filters.minhash import half_point, meeting_probability
from decant.pipeline.config import DedupConfig, RunConfig
from decant.pipeline.dedup.datasketch_objects import (
    ForeignSignature,
    from_datasketch,
    to_lean_minhash,
    to_minhash,
)
from decant.pipeline.dedup.summary import print_curve
from decant.pipeline.report.charts import plot_curve
from tests.pipeline.dedup.dedup_runs import near, random_signature


@pytest.mark.parametrize(("threshold", "permutations"), [(0.75, 112), (0.5, 128), (0.9, 64)])
def test_bands_and_rows_are_those_of_datasketch(threshold, permutations):
    config = DedupConfig.model_validate({"threshold": threshold, "permutations": permutations})
    lsh = MinHashLSH(threshold=threshold, num_perm=permutations)
    assert (config.bands, config.rows) == (lsh.b, lsh.r)


def test_a_resolved_configuration_reads_back_as_itself():
    config = RunConfig.model_validate({"dedup": {"threshold": 0.75}})
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


def test_bands_beside_a_threshold_are_refused():
    with pytest.raises(ValueError, match="11 bands x 10 rows"):
        DedupConfig.model_validate({"threshold": 0.75, "bands": 14, "rows": 8})


def test_the_curve_of_fineweb_is_the_published_one():
    assert round(meeting_probability(0.7, 14, 8), 2) == 0.56
    assert round(meeting_probability(0.75, 14, 8), 2) == 0.77
    assert round(meeting_probability(0.8, 14, 8), 2) == 0.92
    assert meeting_probability(half_point(14, 8), 14, 8) == pytest.approx(0.5)
    assert "0.80  0.9235 ####" in print_curve(14, 8)
    assert plot_curve(14, 8).startswith("<svg ")


def test_a_signature_survives_datasketch_and_serialisation():
    rng = np.random.default_rng(5)
    one = random_signature(rng)
    assert np.array_equal(from_datasketch(to_minhash(one), 112), one)
    lean = to_lean_minhash(one)
    data = bytearray(lean.bytesize())
    lean.serialize(data)
    assert np.array_equal(from_datasketch(LeanMinHash.deserialize(data), 112), one)


def test_estimated_jaccard_is_datasketchs():
    rng = np.random.default_rng(6)
    one = random_signature(rng)
    other = near(one, 0.8, rng)
    assert to_minhash(one).jaccard(to_minhash(other)) == (one == other).sum() / 112


def test_values_that_no_signature_of_ours_holds_are_refused():
    with pytest.raises(ForeignSignature, match="2\\^61"):
        from_datasketch(to_minhash(np.full(4, 2**63, np.uint64)), 4)
    with pytest.raises(ForeignSignature, match="4 permutations, expected 112"):
        from_datasketch(to_minhash(np.zeros(4, np.uint64)), 112)
