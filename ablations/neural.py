"""A trained Llama behind the scoring door: summed log-likelihoods of continuations, in batches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ablations.devices import Device
from ablations.model import Llama

# Positions a forward pass holds. 8,192 of d 128 are 4 MB an array on a CPU.
_BATCH_POSITIONS = {"cpu": 8_192, "cuda": 131_072}


class NeuralModel:
    """Implements `score.LanguageModel`. `eos` stands in for an empty context."""

    def __init__(self, model: Llama, eos: int | None, device: Device) -> None:
        self.model, self.eos, self.device = model.eval(), eos, device

    def loglikelihood(
        self, contexts: list[list[int]], continuations: list[list[int]]
    ) -> np.ndarray:
        """Σ ln p(token | everything before it), float64 [n].

        A context that does not fit is cut on the left. A continuation longer than the model's
        context is read in consecutive windows, each after the last token of the one before.
        Computed in float32 (TF32 products on CUDA): bf16 logits would add noise of the size of
        the effects looked for.
        """
        windows: list[tuple[int, list[int], int]] = []  # owner, tokens, how many are scored
        for owner, (context, continuation) in enumerate(zip(contexts, continuations, strict=True)):
            windows += [(owner, w, n) for w, n in self._windows(context, continuation)]
        # Longest first: neighbours pad little, and a batch too large fails at once, not late.
        windows.sort(key=lambda window: (-len(window[1]), window[0]))
        total = np.zeros(len(contexts))
        positions = _BATCH_POSITIONS[self.device.place.type]
        with self.device.prepared(), torch.inference_mode():
            while windows:
                size = max(1, positions // max(len(windows[0][1]) - 1, 1))
                batch, windows = windows[:size], windows[size:]
                sums = self._score([(w, n) for _, w, n in batch])
                np.add.at(total, [owner for owner, _, _ in batch], sums)
        return total

    def _windows(self, context: list[int], continuation: list[int]) -> list[tuple[list[int], int]]:
        """Windows of at most T + 1 tokens whose last n are scored; together all of them, once."""
        size = self.model.shape.context
        if not continuation:
            return []
        if not context:
            if self.eos is None:
                raise ValueError("an empty context needs the model's eos token before it")
            context = [self.eos]
        head = continuation[:size]
        windows = [((context + head)[-(size + 1) :], len(head))]
        for start in range(size, len(continuation), size):
            part = continuation[start : start + size]
            windows.append((continuation[start - 1 : start] + part, len(part)))
        return windows

    def _score(self, batch: list[tuple[list[int], int]]) -> np.ndarray:
        """Σ ln p of the last n tokens of each window, float64; right padding is never attended."""
        longest = max(len(window) for window, _ in batch)
        padded = torch.zeros(len(batch), longest, dtype=torch.int64)
        scored = torch.zeros(len(batch), longest - 1, dtype=torch.bool)
        for row, (window, count) in enumerate(batch):
            padded[row, : len(window)] = torch.tensor(window, dtype=torch.int64)
            scored[row, len(window) - 1 - count : len(window) - 1] = True
        padded, scored = padded.to(self.device.place), scored.to(self.device.place)
        hidden = self.model.hidden(padded[:, :-1])[scored]  # [scored tokens, D]
        values = self._token_log_probabilities(hidden, padded[:, 1:][scored])
        owners = scored.nonzero()[:, 0]
        sums = torch.zeros(len(batch), dtype=torch.float64, device=values.device)
        return sums.index_add_(0, owners, values).cpu().numpy()

    def _token_log_probabilities(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """ln p of each target, float64 [N]; logits only where a token is scored."""
        parts = []
        for rows in torch.arange(len(targets), device=targets.device).split(1024):
            logits = self.model.head(hidden[rows]).float()
            gold = logits.gather(1, targets[rows, None])[:, 0]
            parts.append((gold - logits.logsumexp(1)).double())
        return torch.cat(parts)
