"""The decoder, its loss and the ladder's sizes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

import torch.nn.functional as F  # noqa: E402

from decant.ablations.rungs.ladder import RUNGS, Shape, rung  # noqa: E402
from decant.ablations.rungs.llama import Llama, next_token_loss  # noqa: E402

TINY = Shape(hidden=32, layers=2, heads=4, ff=48, vocab=97, context=24, kv_heads=2)

# layers · (4·d² + 3·d·ff) + norms (2·layers + 1)·d + embedding vocab·d, twice where not tied
PARAMETERS = {
    "smoke": 2 * (4 * 64**2 + 3 * 64 * 192) + 5 * 64 + 4096 * 64,
    "cpu-xs": 2 * (4 * 64**2 + 3 * 64 * 192) + 5 * 64 + 4096 * 64,
    "cpu-s": 4 * (4 * 128**2 + 3 * 128 * 352) + 9 * 128 + 4096 * 128,
    "cpu-m": 6 * (4 * 192**2 + 3 * 192 * 512) + 13 * 192 + 8192 * 192,
    "gpu-s": 8 * (4 * 384**2 + 3 * 384 * 1024) + 17 * 384 + 16_384 * 384,
    "gpu-m": 12 * (4 * 512**2 + 3 * 512 * 1408) + 25 * 512 + 16_384 * 512,
    "gpu-l": 12 * (4 * 768**2 + 3 * 768 * 2048) + 25 * 768 + 32_768 * 768,
    "cluster-150m": 12 * (4 * 768**2 + 3 * 768 * 2048) + 25 * 768 + 50_304 * 768,
    "dclm-400m": 24 * (4 * 1024**2 + 3 * 1024 * 2816) + 49 * 1024 + 2 * 50_432 * 1024,
    "dclm-1b": 24 * (4 * 2048**2 + 3 * 2048 * 5632) + 49 * 2048 + 2 * 50_432 * 2048,
    "fineweb": 24 * (4 * 2048**2 + 3 * 2048 * 8192) + 49 * 2048 + 50_272 * 2048,
}


@pytest.mark.parametrize("step", RUNGS, ids=lambda r: r.name)
def test_every_rung_has_the_parameters_its_formula_says(step):
    with torch.device("meta"):
        model = Llama(step.shape)
    counted = sum(p.numel() for p in model.parameters())
    assert counted == PARAMETERS[step.name] == step.shape.parameters


def test_the_top_rung_is_fineweb_s_ablation_model():
    step = rung("fineweb")
    assert step.shape.parameters == 1_713_670_144
    assert step.batch_tokens == 2_097_152
    assert step.steps() == 28_000_000_000 // 2_097_152
    assert step.shape.flops_per_token == 6 * (1_713_670_144 - 49 * 2048) + 6 * 24 * 2048 * 2048


def test_gpt2_s_tokenizer_leaves_fineweb_s_padded_table_as_it_is():
    assert rung("fineweb").with_vocab(50_257) is rung("fineweb")
    assert rung("fineweb").with_vocab(50_272) is rung("fineweb")
    assert rung("fineweb").with_vocab(50_273).shape.vocab == 50_273
    assert rung("cpu-s").with_vocab(2048).shape.vocab == 2048


def test_an_unknown_rung_lists_the_known_ones():
    with pytest.raises(ValueError, match="cpu-s, cpu-m"):
        rung("cpu-xl")


def test_a_token_sees_no_later_token():
    model = Llama(TINY, seed=3)
    tokens = torch.arange(20)[None] % 97
    changed = tokens.clone()
    changed[0, 12:] += 1
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12], after[:, 12])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, same, other = (Llama(TINY, seed).embedding.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("rows", [1, 255, 256, 600])
def test_the_chunked_loss_and_its_gradients_equal_plain_cross_entropy(rows):
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 16, generator=generator, requires_grad=True)
    head = torch.randn(50, 16, generator=generator, requires_grad=True)
    targets = torch.randint(0, 50, (rows,), generator=generator)
    ours = next_token_loss(hidden, head, targets) * 0.5
    mine = torch.autograd.grad(ours, (hidden, head))
    plain = F.cross_entropy(hidden @ head.T, targets) * 0.5
    theirs = torch.autograd.grad(plain, (hidden, head))
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="even heads"):
        Shape(hidden=30, layers=1, heads=4, ff=8, vocab=9, context=4)
    with pytest.raises(ValueError, match="share"):
        Shape(hidden=32, layers=1, heads=4, ff=8, vocab=9, context=4, kv_heads=3)
