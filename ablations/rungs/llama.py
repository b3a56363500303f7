"""A Llama decoder that maps weight for weight to `transformers.LlamaForCausalLM`, and its loss.

RMSNorm before each block, rotary positions, grouped-query attention, SwiGLU, no biases. Query, key
and value are one matrix here, gate and up another: fewer and larger products, which is what a
small model on a CPU lives on; `weights.py` splits them. Shapes: B sequences, T positions, D hidden,
H heads of size K, G key-value heads, F feed-forward, V vocabulary.

The loss is the mean cross-entropy of the next token with the head's product inside. In a small
model the head is most of the FLOPs and its logits [B · T, V] the largest array by far, so on a CPU
they are made, turned into their own gradient and used up a few hundred rows at a time, within the
cache.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decant.ablations.rungs.ladder import Shape

_ROWS = 256  # × 4,096 logits × 4 bytes = 4 MB, inside a core's share of the last-level cache


def next_token_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Mean of −ln softmax(hidden · headᵀ)[target]; hidden [N, D], head [V, D], targets [N]."""
    if hidden.device.type == "cpu" and hidden.dtype == torch.float32:
        loss = _ChunkedLoss.apply(hidden, head, targets)
        assert isinstance(loss, Tensor)
        return loss
    return plain_loss(hidden, head, targets)


def plain_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """The same mean from whole logits, which torch.compile fuses on a GPU."""
    return F.cross_entropy(F.linear(hidden, head).float(), targets)


class _ChunkedLoss(torch.autograd.Function):
    """Both gradients are made on the way forward: d loss / d logits = softmax − one-hot."""

    @staticmethod
    def forward(ctx, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        d_hidden, d_head = torch.empty_like(hidden), torch.zeros_like(head)
        total = torch.zeros((), dtype=torch.float64)
        for first in range(0, len(targets), _ROWS):
            rows = slice(first, first + _ROWS)
            gold = targets[rows, None]
            logits = hidden[rows] @ head.T
            largest = logits.amax(1, keepdim=True)
            score = logits.gather(1, gold) - largest
            logits.sub_(largest).exp_()
            norm = logits.sum(1, keepdim=True)
            total += (norm.log() - score).sum(dtype=torch.float64)
            logits.div_(norm)
            logits.scatter_add_(1, gold, torch.full_like(score, -1.0))
            torch.mm(logits, head, out=d_hidden[rows])
            d_head.addmm_(logits.T, hidden[rows])
        ctx.save_for_backward(d_hidden, d_head)
        ctx.count = len(targets)
        return (total / len(targets)).float()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        d_hidden, d_head = ctx.saved_tensors
        scale = gradient / ctx.count
        return d_hidden * scale, d_head * scale, None


class Norm(nn.Module):
    """RMSNorm: x / sqrt(mean(x²) + eps) · gain."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotary_table(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines of position · theta^(-2i/K), float32 [T, K / 2] each."""
    pairs = torch.arange(0, shape.head_size, 2, dtype=torch.int64).float() / shape.head_size
    frequency = 1.0 / shape.rope_theta**pairs
    angle = torch.outer(torch.arange(shape.context).float(), frequency)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [B, T, heads, K] turned by its position; halves pair up, as in transformers.

    cos, sin: [T, K / 2], or [B, T, K / 2] where sequences have positions of their own.
    """
    left, right = x.chunk(2, dim=-1)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).type_as(x)


class Attention(nn.Module):
    """Self-attention over what comes before, or over what `mask` [B, 1, T, T] allows.

    In training documents are not masked from each other.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.kv, self.size = shape.heads, shape.kv, shape.head_size
        self.qkv = nn.Linear(shape.hidden, (self.heads + 2 * self.kv) * self.size, bias=False)
        self.out = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, hidden = x.shape
        joined = self.qkv(x).view(batch, length, self.heads + 2 * self.kv, self.size)
        turned = rotate(joined[:, :, : self.heads + self.kv], cos, sin)  # q and k at once
        q, k = turned.split((self.heads, self.kv), dim=2)
        v = joined[:, :, self.heads + self.kv :]
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2),
            attn_mask=mask, is_causal=mask is None, enable_gqa=self.kv != self.heads,
        )  # fmt: skip
        return self.out(y.transpose(1, 2).reshape(batch, length, hidden))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.ff, bias=False)
        self.down = nn.Linear(shape.ff, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.hidden, shape.norm_eps)
        self.attention = Attention(shape)
        self.mlp_norm = Norm(shape.hidden, shape.norm_eps)
        self.mlp = SwiGLU(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, mask)
        return x + self.mlp(self.mlp_norm(x))


class Llama(nn.Module):
    """Next-token logits [B, T, V] of token ids [B, T], or their mean loss against `targets`.

    Weights are drawn from `seed` alone, the same for every arm of a study: normal(0, init_std),
    divided by sqrt(2 · layers) for the two matrices that write to the residual stream, as
    FineWeb's trainer (nanotron) does.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden, shape.norm_eps)
        self.head = nn.Linear(shape.hidden, shape.vocab, bias=False)
        if shape.tied:
            self.head.weight = self.embedding.weight
        cos, sin = rotary_table(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialise(seed)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        narrow = self.shape.init_std / math.sqrt(2 * self.shape.layers)
        for name, weight in self.named_parameters():  # tied weights appear once
            if weight.ndim == 2 and not weight.is_meta:
                writes = name.endswith(("attention.out.weight", "mlp.down.weight"))
                weight.normal_(0.0, narrow if writes else self.shape.init_std, generator=generator)

    def hidden(
        self, tokens: Tensor, positions: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Normed hidden states [B, T, D], what the head reads.

        `positions` [B, T] and `mask` [B, 1, T, T] are for several continuations of one context in
        one sequence; without them tokens count from 0 and see all before them.
        """
        places = slice(tokens.shape[1]) if positions is None else positions
        cos, sin = self.cos[places], self.sin[places]
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return self.norm(x)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        hidden = self.hidden(tokens)
        if targets is None:
            return self.head(hidden)
        return next_token_loss(hidden.flatten(0, 1), self.head.weight, targets.flatten())
