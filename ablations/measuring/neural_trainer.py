"""A neural rung at work in a study: one directory per run, found again by what it trained on."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from decant.ablations.arms.pool import Draw
from decant.ablations.measuring.shared import Prepared
from decant.ablations.measuring.terms import group_size
from decant.ablations.rungs import ladder
from decant.ablations.rungs.continuing import Start
from decant.ablations.rungs.distributed import files_of, train_on_group
from decant.ablations.rungs.scorer import NeuralModel
from decant.ablations.rungs.stream import documents_of
from decant.ablations.rungs.train import FINISHED, train
from decant.ablations.rungs.weights import write_atomically
from decant.ablations.scoring.score import LanguageModel


class NeuralTrainer:
    """Trains a rung on draws of a prepared study; `rate` multiplies the rung's learning rate.

    `neural` is the study's section of that name, as plain values.
    """

    def __init__(
        self, study: Prepared, folder: Path, rung: str, rate: float, neural: Mapping[str, Any]
    ) -> None:
        self._study, self._folder, self._neural = study, folder, neural
        self._rung = ladder.rung(rung).with_vocab(study.pool.vocab_size)
        self._rate = rate * self._rung.learning_rate
        origin = neural.get("continue_from")
        self._start = Start.of(origin) if origin else None  # None: fresh weights

    def model(self, read: Draw, order: int) -> LanguageModel:
        """The trained model; two arms of one order share their initialisation."""
        return RememberedModel(lambda: self.trained(read, order), self.run_folder(read, order))

    def signals(self, read: Draw, order: int) -> np.ndarray:
        """Bits per byte on every signal; a scored run is not scored again."""
        found = self.model(read, order).loglikelihood(*self._study.scored.gold)
        values = self._study.scored.values(found)
        if not np.isfinite(values).all():
            folder = self.run_folder(read, order)
            raise ValueError(f"{folder}: a signal is not finite: {values}")
        return values

    def trained(self, read: Draw, order: int) -> NeuralModel:
        """The model of a finished run, which is read back, or of one that is trained now."""
        pool, start, folder = self._study.pool, self._start, self.run_folder(read, order)
        stream = documents_of(pool.tokens, pool.first, read.documents, pool.eos)
        data = start.data(stream) if start else stream
        recipe: dict[str, Any] = {
            "seed": order,
            "out_dir": folder,
            "learning_rate": self._rate,
            "tokens": start.tokens(len(stream)) if start else len(stream),
            "eos": pool.eos,
            "continue_from": start.weights if start else None,
        }
        device, workers = self._neural.get("device"), group_size(self._neural)
        if workers == 1 or (folder / FINISHED).exists():
            return train(self._rung, data, device=device, **recipe)
        return train_on_group(
            self._rung, files_of(data, folder), workers=workers, use_gpu=device != "cpu", **recipe
        )

    def run_folder(self, read: Draw, order: int) -> Path:
        """Where the run of this draw lies: the name holds all that shapes its weights."""
        asked = [self._rung.name, self._rung.recipe(), self._rate, order, self._study.pool_address]
        asked += self._start.address if self._start else []
        digest = xxhash.xxh3_128(json.dumps(asked, sort_keys=True).encode())
        digest.update(read.documents.astype(np.int64).tobytes())
        return self._folder / digest.hexdigest()


class RememberedModel:
    """A run's model that computes a list of likelihoods once: later it reads them from `folder`.

    Arms are shared by many contrasts, and a model of a finished run never changes.
    """

    def __init__(self, trained: Callable[[], NeuralModel], folder: Path) -> None:
        self._make, self._folder = trained, folder / "likelihoods"

    @cached_property
    def _model(self) -> NeuralModel:
        return self._make()

    def loglikelihood(
        self, contexts: list[list[int]], continuations: list[list[int]]
    ) -> np.ndarray:
        """As `score.LanguageModel` has it."""
        path = self._folder / f"{_digest(contexts, continuations)}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)
        values = self._model.loglikelihood(contexts, continuations)
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getvalue()))
        return values


def _digest(contexts: list[list[int]], continuations: list[list[int]]) -> str:
    """Hex name of lists of token ids."""
    state = xxhash.xxh3_128()
    for lists in (contexts, continuations):
        state.update(np.array([len(ids) for ids in lists], dtype=np.int64).tobytes())
        state.update(np.array([i for ids in lists for i in ids], dtype=np.int64).tobytes())
    return state.hexdigest()
