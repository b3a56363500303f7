"""A trained model as files that `transformers.LlamaForCausalLM.from_pretrained` loads.

Every set of weights is written in this form, snapshots included: `config.json` beside safetensors
under transformers' own names. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decant.ablations.checkpoint import read_tensors, write_tensors, write_text
from decant.ablations.model import Llama
from decant.ablations.rungs import Shape

_CONFIG = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ff": "intermediate_size",
    "vocab": "vocab_size",
    "context": "max_position_embeddings",
    "kv_heads": "num_key_value_heads",
    "tied": "tie_word_embeddings",
    "rope_theta": "rope_theta",
    "norm_eps": "rms_norm_eps",
    "init_std": "initializer_range",
}
_RENAMED = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
# Suffix here -> (suffixes there); a matrix that is several there is split along its rows.
_LAYER = {
    "attention_norm.weight": ("input_layernorm.weight",),
    "mlp_norm.weight": ("post_attention_layernorm.weight",),
    "attention.qkv.weight": tuple(f"self_attn.{n}_proj.weight" for n in "qkv"),
    "attention.out.weight": ("self_attn.o_proj.weight",),
    "mlp.gate_up.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "mlp.down.weight": ("mlp.down_proj.weight",),
}


def to_transformers(model: Llama) -> dict[str, Tensor]:
    """The model's weights under transformers' names, on the CPU in float32; a tied head once."""
    weights: dict[str, Tensor] = {}
    for name, weight in model.named_parameters():
        targets, sizes = _targets(name, model.shape)
        values = weight.detach().to("cpu", torch.float32)
        weights |= dict(zip(targets, (p.contiguous() for p in values.split(sizes)), strict=True))
    return weights


def from_transformers(model: Llama, weights: Mapping[str, Tensor]) -> Llama:
    """The same model, its parameters overwritten; a missing or odd-shaped weight is named."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            targets, _ = _targets(name, model.shape)
            missing = [t for t in targets if t not in weights]
            if missing:
                raise ValueError(f"the checkpoint lacks {missing[0]}")
            values = torch.cat([weights[t] for t in targets])
            if values.shape != parameter.shape:
                raise ValueError(
                    f"{targets[0]} has shape {tuple(values.shape)} in the checkpoint, "
                    f"{tuple(parameter.shape)} in this rung"
                )
            parameter.copy_(values)
    return model


def _targets(name: str, shape: Shape) -> tuple[tuple[str, ...], list[int]]:
    """Names there and rows of each part for one parameter here; [] rows means one whole part."""
    if name in _RENAMED:
        rows = shape.hidden if name == "norm.weight" else shape.vocab
        return (_RENAMED[name],), [rows]
    _, layer, suffix = name.split(".", 2)
    key_rows = shape.kv * shape.head_size
    rows = {
        "attention.qkv.weight": [shape.hidden, key_rows, key_rows],
        "mlp.gate_up.weight": [shape.ff, shape.ff],
    }.get(suffix, [shape.hidden])
    return tuple(f"model.layers.{layer}.{there}" for there in _LAYER[suffix]), rows


def llama_config(shape: Shape, eos: int | None) -> dict[str, object]:
    """`config.json` of the shape, with rotary settings in the form of transformers 4 and of 5."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **{there: getattr(shape, here) for here, there in _CONFIG.items()},
        "num_key_value_heads": shape.kv,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": eos,
        "eos_token_id": eos,
        "torch_dtype": "float32",
    }


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a Llama `config.json` of ours describes."""
    return Shape(**{here: config[there] for here, there in _CONFIG.items()})


def export(weights: Mapping[str, Tensor], shape: Shape, directory: Path, eos: int | None) -> None:
    """Writes `config.json` and `model.safetensors`, each whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(llama_config(shape, eos), indent=2, sort_keys=True) + "\n"
    write_text(directory / "config.json", text)
    write_tensors(directory / "model.safetensors", weights)


def load(directory: Path) -> Llama:
    """The model that `export` wrote."""
    config = json.loads((directory / "config.json").read_text())
    return from_transformers(Llama(shape_of(config)), load_weights(directory))


def weights_file(path: Path) -> Path:
    """The safetensors file of a model's directory; a file, such as a snapshot, is itself."""
    return path / "model.safetensors" if path.is_dir() else path


def load_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a model's directory or of a snapshot, under transformers' names."""
    return read_tensors(weights_file(path))[0]
