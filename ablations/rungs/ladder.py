"""The model ladder: named shapes from 0.37 M parameters to FineWeb's 1.71 B, with their recipes.

A rung fixes everything about a run except its data, seed and learning rate, so that two arms on
one rung differ in their documents alone. A schedule says which share of the peak rate each update
uses.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

_PADDING = 128  # rows a table may have beyond its tokenizer's, for even matrix sizes


class RungUnfit(Exception):
    """A rung cannot be run as asked, or would tell nothing; the message says what would do."""


@dataclass(frozen=True)
class Shape:
    """A Llama decoder's sizes; every field has its namesake in `transformers.LlamaConfig`."""

    hidden: int
    layers: int
    heads: int
    ff: int
    vocab: int
    context: int
    kv_heads: int = 0  # 0: as many as heads (no grouped queries)
    tied: bool = True
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden {self.hidden} does not split into {self.heads} even heads")
        if self.heads % self.kv:
            raise ValueError(f"{self.heads} heads cannot share {self.kv} key-value heads evenly")

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @property
    def kv(self) -> int:
        return self.kv_heads or self.heads

    @property
    def matrix_parameters(self) -> int:
        """Weights of the layers' matrices: attention and SwiGLU, without norms and embeddings."""
        attention = 2 * self.hidden * (self.hidden + self.kv * self.head_size)
        return self.layers * (attention + 3 * self.hidden * self.ff)

    @property
    def parameters(self) -> int:
        """All weights, a tied embedding counted once."""
        norms = (2 * self.layers + 1) * self.hidden
        tables = 1 if self.tied else 2
        return self.matrix_parameters + norms + tables * self.vocab * self.hidden

    @property
    def flops_per_token(self) -> int:
        """Training FLOPs a token: 6 a weight in a product, 6·L·d·T for causal attention.

        The head is a product, an embedding look-up is none. Forward alone is a third.
        """
        products = self.matrix_parameters + self.vocab * self.hidden
        return 6 * products + 6 * self.layers * self.hidden * self.context


@dataclass(frozen=True)
class RunNoise:
    """How far two runs of the same documents differ at the rung's rate, as `rates.py` measures it.

    Runs differ in document order and initialisation; `sd` is in bits per byte of held-out text.
    """

    sd: float
    runs: int
    tokens: int  # of each run


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. `says` is what a verdict from it may claim, printed with it."""

    name: str
    shape: Shape
    batch_sequences: int
    learning_rate: float
    tokens: float  # default budget of one run
    says: str
    schedule: str = "wsd"
    warmup_steps: int = 0  # 0: 5 % of the steps
    weight_decay: float = 0.1
    average_last: int = 3  # checkpoints averaged into the final model
    min_steps: int = 500  # below, training noise exceeds any effect (spec 4.3): no verdict
    micro_sequences: int = 0  # sequences a device holds at once; 0: the whole batch
    run_noise: RunNoise | None = None  # None: never measured

    @property
    def batch_tokens(self) -> int:
        return self.batch_sequences * self.shape.context

    def recipe(self) -> dict[str, object]:
        """What of the rung shapes a run's weights, besides budget and learning rate."""
        named = ("batch_sequences", "schedule", "warmup_steps", "weight_decay", "average_last",
                 "micro_sequences")  # fmt: skip
        return {"shape": asdict(self.shape), **{name: getattr(self, name) for name in named}}

    def with_vocab(self, size: int) -> Rung:
        """The same rung for a tokenizer of `size` tokens.

        A table that is larger by padding alone stays: FineWeb's has 50,272 rows for GPT-2's 50,257.
        """
        if size <= self.shape.vocab < size + _PADDING:
            return self
        return replace(self, shape=replace(self.shape, vocab=size))

    def steps(self, tokens: float | None = None) -> int:
        """Whole optimiser steps that a token budget pays for."""
        return int(tokens if tokens is not None else self.tokens) // self.batch_tokens


_NONE = "nothing: exercises the training path"
_LIKELIHOOD = "indicative: likelihoods only, and from three seeds on"
_PROXY = "proxy: about 75-85 % agreement with 1 B models on ARC-Easy and cloze MMLU likelihoods"
_DECISION = "decision grade"

RUNGS = (
    # R1-R3 train on CPU: small batches, since steps and not tokens are what short runs lack.
    Rung("smoke", Shape(64, 2, 2, 192, 4096, 128), 8, 5e-3, 0.1e6, _NONE, min_steps=0),
    # cpu-xs: runs of a quarter of a million tokens, too few for 500 updates of cpu-s. Its rate is
    # the one that `rates.py` chose on real pages: at 3e-3 runs reach the same and differ by 0.044.
    Rung("cpu-xs", Shape(64, 2, 2, 192, 4096, 128), 4, 9e-4, 0.5e6, _LIKELIHOOD,
         run_noise=RunNoise(0.0137, 5, 262_144)),
    # cpu-s after 0.4 MT of web text, held-out bits per byte by rate: 7.5e-4 2.543, 1.5e-3 2.497,
    # 3e-3 2.553 and 2.567 (two seeds), 6e-3 2.625. The others' rates are the OLMo ladder's, halved.
    Rung("cpu-s", Shape(128, 4, 4, 352, 4096, 256), 4, 1.5e-3, 1e6, _LIKELIHOOD),
    Rung("cpu-m", Shape(192, 6, 6, 512, 8192, 256), 8, 2e-3, 5e6, _LIKELIHOOD),
    # R4-R6: one GPU, half an hour.
    Rung("gpu-s", Shape(384, 8, 6, 1024, 16_384, 1024), 64, 4e-3, 0.5e9, _PROXY),
    Rung("gpu-m", Shape(512, 12, 8, 1408, 16_384, 1024), 128, 3e-3, 0.35e9, _PROXY,
         micro_sequences=64),
    Rung("gpu-l", Shape(768, 12, 12, 2048, 32_768, 1024), 256, 2e-3, 0.4e9, _PROXY,
         micro_sequences=64),
    # R7-R10: clusters. R8 and R9 are DCLM's shapes, whose embeddings are not tied.
    Rung("cluster-150m", Shape(768, 12, 12, 2048, 50_304, 2048), 192, 3e-3, 15e9, _DECISION,
         micro_sequences=16),
    Rung("dclm-400m", Shape(1024, 24, 8, 2816, 50_432, 2048, tied=False), 512, 3e-3, 8.2e9,
         _DECISION, weight_decay=0.033, micro_sequences=8),
    Rung("dclm-1b", Shape(2048, 24, 16, 5632, 50_432, 2048, tied=False), 256, 3e-3, 28.8e9,
         _DECISION, weight_decay=0.033, micro_sequences=4),
    # FineWeb's ablation model to the weight: 1.71 B ("1.82 B" counts the embedding twice).
    Rung("fineweb", Shape(2048, 24, 32, 8192, 50_272, 2048), 1024, 3e-4, 28e9, _DECISION,
         schedule="cosine", warmup_steps=500, average_last=1, micro_sequences=4),
)  # fmt: skip


def rung(name: str) -> Rung:
    """The rung of that name; an unknown name is answered with those that exist."""
    for candidate in RUNGS:
        if candidate.name == name:
            return candidate
    raise ValueError(f"no rung {name!r}; choose from: {', '.join(r.name for r in RUNGS)}")


KINDS = ("wsd", "cosine", "stable", "linear")


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a share of the peak rate that depends on the kind.

    `wsd`: constant, then linear to the floor (Hu et al. 2024, arXiv 2404.06395); `cosine`: to the
    floor over the whole run, FineWeb's own; `stable`: constant to the end, for a trunk to branch
    from; `linear`: to the floor over the whole run, for a branch that anneals.
    """

    kind: str
    steps: int
    warmup: int
    decay: int  # steps of the last phase; cosine decays from the end of the warm-up
    floor: float

    def fraction(self, step: int) -> float:
        """Share of the peak rate used by update number `step`, counted from 0.

        >>> [Schedule("wsd", 8, 2, 4, 0.0).fraction(s) for s in range(8)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.kind == "cosine":
            gone = (step - self.warmup) / max(1, self.steps - self.warmup)
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * gone))
        left = min(1.0, (self.steps - step) / max(1, self.decay))
        return self.floor + (1 - self.floor) * left


def schedule(kind: str, steps: int, warmup: int = 0) -> Schedule:
    """A rung's schedule over `steps` updates; `warmup` 0 means 5 % of them.

    WSD: the last 25 % decay to zero. Cosine: to a tenth of the peak (FineWeb: 3e-4 to 3e-5).
    Linear: all that is left after the warm-up decays to zero.
    """
    if kind not in KINDS:
        raise ValueError(f"schedule {kind!r} is none of: {', '.join(KINDS)}")
    warmup = min(warmup or math.ceil(0.05 * steps), steps)
    decay = {"wsd": math.ceil(0.25 * steps), "stable": 0}.get(kind, steps - warmup)
    return Schedule(kind, steps, warmup, decay, 0.1 if kind == "cosine" else 0.0)
