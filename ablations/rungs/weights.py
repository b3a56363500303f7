"""Weights and training states on disk: safetensors files that appear whole or not at all.

Weights, snapshots included, are written as `transformers.LlamaForCausalLM.from_pretrained` loads
them: `config.json` beside tensors under transformers' own names. A training state holds weights,
both Adam moments and the step; the data's place and the learning rate follow from the step, and
training draws no random numbers, so that a killed run goes on exactly where it stopped. Nothing is
ever pickled or unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from decant.ablations.rungs.ladder import Shape
from decant.ablations.rungs.llama import Llama


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or is not this run's; the message says what to do."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """The file under its name once it is whole and on disk; until then the old file stays.

    `write` makes the file at the path it is given.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"could not write {path}: {error}. Finished checkpoints are intact: free some space "
            "and start again to go on from the last one."
        ) from error


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
) -> None:
    """A safetensors file of the tensors, with `notes` in its header."""
    on_cpu = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    header = {"format": "pt", **(notes or {})}
    write_atomically(path, lambda temporary: save_file(on_cpu, temporary, header))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The file's tensors, on the CPU, and its notes."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())  # a handle, not a mapping: it has no iterator
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error


def save_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, identity: str
) -> None:
    """Everything that update number `step` needs to be the same update."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"weight.{name}"] = parameter
        for key in ("exp_avg", "exp_avg_sq"):
            tensors[f"{key}.{name}"] = optimizer.state[parameter][key]
    write_tensors(path, tensors, {"step": str(step), "identity": identity})


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: str
) -> int:
    """The step to go on with, model and optimiser filled in; 0 where there is no state yet."""
    if not path.exists():
        return 0
    tensors, notes = read_tensors(path)
    if notes.get("identity") != identity:
        raise CheckpointError(
            f"{path} belongs to another run (other rung, data, seed, rate or budget). "
            "Give this one a directory of its own, or delete that one."
        )
    step = int(notes["step"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"weight.{name}"])
            optimizer.state[parameter] = {
                # A float32 scalar where the fused kernel wants it: beside the parameter.
                "step": torch.tensor(float(step), device=parameter.device),
                "exp_avg": tensors[f"exp_avg.{name}"].to(parameter.device),
                "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(parameter.device),
            }
    return step


def average(files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the files' weights, summed in float64 so that their order leaves no trace."""
    total: dict[str, Tensor] = {}
    for path in files:
        weights, _ = read_tensors(path)
        for name, weight in weights.items():
            total[name] = total[name].add_(weight) if name in total else weight.double()
    return {name: (weight / len(files)).float() for name, weight in total.items()}


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
