"""A trained Llama behind the scoring door: summed log-likelihoods of continuations, in batches.

The options of a question share its context, so it is read once: a row holds the context and then
each option, at the positions it would have alone and blind to the others. Rows of like length make
a batch, and logits are made only where a token is scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from decant.ablations.rungs.devices import Device
from decant.ablations.rungs.llama import Llama

# Positions a forward pass holds. 8,192 of d 128 are 4 MB an array on a CPU.
_BATCH_POSITIONS = {"cpu": 8_192, "cuda": 131_072}


@dataclass(frozen=True)
class _Row:
    """One sequence of the batch: a context and the continuations that are scored after it."""

    context: list[int]  # at least one token: it predicts the first of each continuation
    tails: list[list[int]]
    owners: list[int]  # which question option each tail belongs to

    @property
    def size(self) -> int:
        """Tokens to read; a tail's last one is predicted but never read."""
        return len(self.context) + sum(len(tail) - 1 for tail in self.tails)


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
        rows: list[_Row] = []
        for owner, (context, tail) in enumerate(zip(contexts, continuations, strict=True)):
            for head, part in self._windows(context, tail):
                self._add(rows, head, part, owner)
        # Longest first: neighbours pad little, and a batch too large fails at once, not late.
        rows.sort(key=lambda row: (-row.size, row.owners[0]))
        total = np.zeros(len(contexts))
        with self.device.prepared(), torch.inference_mode():
            while rows:
                count = max(1, _BATCH_POSITIONS[self.device.place.type] // rows[0].size)
                batch, rows = rows[:count], rows[count:]
                owners = [owner for row in batch for owner in row.owners]
                np.add.at(total, owners, self._score(batch))
        return total

    def _windows(self, context: list[int], tail: list[int]) -> list[tuple[list[int], list[int]]]:
        """Contexts and tails of at most T + 1 tokens together, which score every token once."""
        size = self.model.shape.context
        if not tail:
            return []
        if not context:
            if self.eos is None:
                raise ValueError("an empty context needs the model's eos token before it")
            context = [self.eos]
        head = tail[:size]
        windows = [(context[-(size + 1 - len(head)) :], head)]
        for start in range(size, len(tail), size):
            windows.append((tail[start - 1 : start], tail[start : start + size]))
        return windows

    def _add(self, rows: list[_Row], context: list[int], tail: list[int], owner: int) -> None:
        """Puts the tail in the last row if that has its context and room, else in a new one."""
        last = rows[-1] if rows else None
        room = self.model.shape.context
        if last and last.context == context and last.size + len(tail) - 1 <= room:
            last.tails.append(tail)
            last.owners.append(owner)
        else:
            rows.append(_Row(context, [tail], [owner]))

    def _score(self, batch: list[_Row]) -> np.ndarray:
        """Σ ln p of every tail of the batch, row by row, float64."""
        layout = _Layout(batch)
        place = self.device.place
        tokens = torch.from_numpy(layout.tokens).to(place)
        positions, mask = None, None
        if any(len(row.tails) > 1 for row in batch):
            positions = torch.from_numpy(layout.positions).to(place)
            mask = _sees(torch.from_numpy(layout.branch).to(place))
        hidden = self.model.hidden(tokens, positions, mask)
        read = hidden[torch.tensor(layout.row).to(place), torch.tensor(layout.column).to(place)]
        values = self._log_probabilities(read, torch.tensor(layout.target).to(place))
        return np.add.reduceat(values.cpu().numpy(), layout.first)

    def _log_probabilities(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """ln p of each target after its hidden state, float64 [N]."""
        parts = []
        for states, gold in zip(hidden.split(1024), targets.split(1024), strict=True):
            logits = self.model.head(states).float()
            score = logits.gather(1, gold[:, None])[:, 0]
            parts.append((score - logits.logsumexp(1)).double())
        return torch.cat(parts)


class _Layout:
    """Rows as arrays [B, L], and where each scored token is predicted.

    branch: 0 on a context, k on its k-th tail, -1 on padding. `row`, `column`, `target`: one entry
    for each scored token, tail after tail; `first`: where each tail begins among them.
    """

    def __init__(self, batch: list[_Row]) -> None:
        shape = (len(batch), max(row.size for row in batch))
        self.tokens = np.zeros(shape, dtype=np.int64)
        self.positions = np.zeros(shape, dtype=np.int64)
        self.branch = np.full(shape, -1, dtype=np.int64)
        self.row: list[int] = []
        self.column: list[int] = []
        self.target: list[int] = []
        self.first: list[int] = []
        for number, row in enumerate(batch):
            self._place(number, row)

    def _place(self, number: int, row: _Row) -> None:
        size = len(row.context)
        self._write(number, 0, row.context, 0, 0)
        start = size
        for branch, tail in enumerate(row.tails, 1):
            self.first.append(len(self.target))
            self._write(number, start, tail[:-1], size, branch)
            self.row += [number] * len(tail)
            self.column += [size - 1, *range(start, start + len(tail) - 1)]
            self.target += tail
            start += len(tail) - 1

    def _write(self, number: int, start: int, tokens: list[int], at: int, branch: int) -> None:
        where = slice(start, start + len(tokens))
        self.tokens[number, where] = tokens
        self.positions[number, where] = np.arange(at, at + len(tokens))
        self.branch[number, where] = branch


def _sees(branch: Tensor) -> Tensor:
    """Which position reads which, bool [B, 1, L, L]: its context and its own branch before it."""
    reader, read = branch[:, :, None], branch[:, None, :]
    length = branch.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=branch.device).tril()
    return (before & ((read == 0) | (read == reader))).unsqueeze(1)
