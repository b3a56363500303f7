"""Weights under transformers' names, and the same numbers out of transformers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

from decant.ablations.rungs.ladder import Shape  # noqa: E402
from decant.ablations.rungs.llama import Llama  # noqa: E402
from decant.ablations.rungs.weights import (  # noqa: E402
    CheckpointError,
    export,
    from_transformers,
    load,
    to_transformers,
)

GROUPED = Shape(hidden=32, layers=2, heads=4, ff=48, vocab=97, context=24, kv_heads=2)
UNTIED = Shape(hidden=32, layers=1, heads=2, ff=40, vocab=61, context=16, tied=False)
TIED = Shape(hidden=32, layers=2, heads=2, ff=40, vocab=61, context=16)
SHAPES = pytest.mark.parametrize("shape", [GROUPED, UNTIED, TIED], ids=["gqa", "untied", "tied"])


@SHAPES
def test_an_exported_model_reads_back_to_the_same_logits(shape, tmp_path):
    model = Llama(shape, seed=5)
    export(to_transformers(model), shape, tmp_path, eos=0)
    again = load(tmp_path)
    tokens = torch.arange(shape.context)[None]
    assert again.shape.kv == shape.kv
    assert torch.equal(model(tokens), again(tokens))


@SHAPES
def test_transformers_gives_the_logits_we_give(shape, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the lmeval extra")
    model = Llama(shape, seed=5)
    for weight in model.parameters():  # gains of one would hide a norm that is not applied
        weight.data += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    export(to_transformers(model), shape, tmp_path, eos=0)
    theirs, report = transformers.LlamaForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True, attn_implementation="eager"
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    tokens = torch.randint(0, shape.vocab, (3, shape.context))
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-5)


@SHAPES
def test_transformers_gives_the_loss_and_the_gradients_we_give(shape, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the lmeval extra")
    model = Llama(shape, seed=5)
    export(to_transformers(model), shape, tmp_path, eos=0)
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path)
    rows = torch.randint(0, shape.vocab, (3, shape.context), generator=torch.manual_seed(2))
    loss = model(rows[:, :-1], rows[:, 1:])
    loss.backward()
    expected = theirs(rows, labels=rows).loss
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.grad)
    ours, wanted = to_transformers(model), dict(theirs.named_parameters())
    assert ours.keys() == wanted.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, wanted[name].grad, rtol=1e-3, atol=1e-6)


def test_a_checkpoint_of_another_shape_is_refused_by_the_weight_s_name():
    weights = to_transformers(Llama(TIED))
    with pytest.raises(ValueError, match=r"model.embed_tokens.weight has shape \(61, 32\)"):
        from_transformers(Llama(GROUPED), weights)
    del weights["model.norm.weight"]
    with pytest.raises(ValueError, match=r"lacks model.norm.weight"):
        from_transformers(Llama(TIED), weights)


def test_a_cut_off_file_is_called_that(tmp_path):
    export(to_transformers(Llama(TIED)), TIED, tmp_path, eos=0)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load(tmp_path)
