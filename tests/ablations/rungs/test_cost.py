"""FLOPs, memory and hours, counted before anything is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decant.ablations.rungs.cost import estimate, machine
from decant.ablations.rungs.ladder import rung


def test_the_paper_s_run_costs_the_paper_s_flops():
    cost = estimate(rung("fineweb"), None, machine("h100"), workers=64)
    assert cost.flops == pytest.approx(3.05e20, rel=0.01)
    assert cost.device_hours == pytest.approx(3.05e20 / (989e12 * 0.40) / 3600, rel=0.01)
    assert cost.hours == pytest.approx(cost.device_hours / 64)


def test_an_unknown_machine_lists_the_known_ones():
    with pytest.raises(ValueError, match="cpu-core, a100"):
        machine("tpu")


def test_products_counted_on_fake_tensors_equal_the_formula():
    pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")
    from decant.ablations.rungs.dryrun import dry_run

    step = rung("cpu-s")
    shape = step.shape
    run = dry_run(step)
    assert run.product_flops == step.batch_tokens * 6 * (
        shape.matrix_parameters + shape.vocab * shape.hidden
    )
    assert run.state_bytes == 16 * shape.parameters


def test_micro_batches_and_workers_divide_memory_and_work():
    pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")
    from decant.ablations.rungs.dryrun import dry_run

    step = rung("smoke")
    whole = dry_run(step)
    split = dry_run(replace(step, micro_sequences=2), workers=2)
    assert (split.micro_batches, split.micro_sequences) == (2, 2)
    assert 2 * split.product_flops == whole.product_flops
    assert 3.5 < whole.activation_bytes / split.activation_bytes < 4.5
    assert split.logit_bytes * 4 == whole.logit_bytes


def test_the_largest_rung_fits_64_gpus_of_80_gb():
    pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")
    from decant.ablations.rungs.dryrun import dry_run

    assert dry_run(rung("fineweb"), workers=64).peak_bytes < 76e9
