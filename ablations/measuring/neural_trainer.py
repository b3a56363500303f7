"""A neural rung at work in a study: one directory per training, named by what it trained on."""

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
from decant.ablations.rungs import ladder, weights
from decant.ablations.rungs.continuing import Start
from decant.ablations.rungs.devices import pick_device
from decant.ablations.rungs.distributed import files_of, train_on_group
from decant.ablations.rungs.llama import Llama
from decant.ablations.rungs.scorer import NeuralModel
from decant.ablations.rungs.stream import documents_of
from decant.ablations.rungs.train import FINISHED, TrainingDiverged, train
from decant.ablations.rungs.weights import write_atomically, write_text
from decant.ablations.scoring.score import LanguageModel

DIVERGED = "diverged.txt"  # in a training's directory: why it is not trained again
CURVE = "curve.json"


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
        """The trained model; `order` also seeds its initialisation."""
        return RememberedModel(lambda: self.trained(read, order), self.run_folder(read, order))

    def signals(self, read: Draw, order: int) -> np.ndarray:
        """Bits per byte on every signal, float64 [m]; a scored training is not scored again.

        A signal that is no number is NaN; all are where the training diverged, now or before.
        """
        try:
            return self._signals(self.model(read, order))
        except TrainingDiverged:
            return np.full(len(self._study.scored.signals), np.nan)

    def _signals(self, model: LanguageModel) -> np.ndarray:
        values = self._study.scored.values(model.loglikelihood(*self._study.scored.gold))
        return np.where(np.isfinite(values), values, np.nan)

    def start(self) -> np.ndarray:
        """The signals of the weights that every training starts from, float64 [m]."""
        device = pick_device(self._neural.get("device"))
        model = Llama(self._rung.shape, 0)
        if self._start:
            weights.from_transformers(model, weights.load_weights(self._start.weights))
        return self._signals(NeuralModel(model.to(device.place), self._study.pool.eos, device))

    def curve(self, read: Draw, order: int) -> tuple[list[float], np.ndarray]:
        """(shares of the training, its signals there, float64 [shares, m]); the last is the end.

        Snapshots are scored once and deleted. A training that left none has its end alone, one that
        diverged no point.
        """
        folder = self.run_folder(read, order)
        try:
            if not (folder / FINISHED).exists():
                self.trained(read, order, snapshots=self._neural.get("curve_points", 0))
        except TrainingDiverged:
            return [], np.zeros((0, len(self._study.scored.signals)))
        final = self.signals(read, order)
        path = folder / CURVE
        if not path.exists():
            points = [(share, self._snapshot(file)) for share, file in self._snapshots(folder)]
            plain = [[share, values.tolist()] for share, values in points]
            write_text(path, json.dumps(plain))
            for file in (folder / "snapshots").glob("*.safetensors"):
                file.unlink()
        points = [(s, np.array(v)) for s, v in json.loads(path.read_text())] + [(1.0, final)]
        return [share for share, _ in points], np.array([values for _, values in points])

    def _snapshots(self, folder: Path) -> list[tuple[float, Path]]:
        """(share of the training, file) of every snapshot but the last, in order."""
        steps = json.loads((folder / FINISHED).read_text())["steps"]
        files = sorted((folder / "snapshots").glob("*.safetensors"))
        shares = [(int(file.stem) / steps, file) for file in files]
        return [(share, file) for share, file in shares if share < 1.0]

    def _snapshot(self, file: Path) -> np.ndarray:
        device = pick_device(self._neural.get("device"))
        model = weights.from_transformers(Llama(self._rung.shape, 0), weights.load_weights(file))
        return self._signals(NeuralModel(model.to(device.place), self._study.pool.eos, device))

    def trained(self, read: Draw, order: int, snapshots: int = 0) -> NeuralModel:
        """The model of a finished training, which is read back, or of one that is trained now."""
        folder = self.run_folder(read, order)
        if (folder / DIVERGED).exists():
            raise TrainingDiverged((folder / DIVERGED).read_text())
        try:
            return self._trained(read, order, folder, snapshots)
        except TrainingDiverged as error:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / DIVERGED, f"{error}\n")
            raise

    def _trained(self, read: Draw, order: int, folder: Path, snapshots: int) -> NeuralModel:
        pool, start = self._study.pool, self._start
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
            return train(self._rung, data, device=device, snapshots=snapshots, **recipe)
        return train_on_group(
            self._rung, files_of(data, folder), workers=workers, use_gpu=device != "cpu", **recipe
        )

    def run_folder(self, read: Draw, order: int) -> Path:
        """Where the training of this draw lies: the name holds all that shapes its weights."""
        origin = [self._rung.name, self._rung.recipe(), self._rate, order, self._study.pool_address]
        origin += self._start.address if self._start else []
        digest = xxhash.xxh3_128(json.dumps(origin, sort_keys=True).encode())
        digest.update(read.documents.astype(np.int64).tobytes())
        return self._folder / digest.hexdigest()


class RememberedModel:
    """A model that computes a list of likelihoods once: later it reads them from `folder`.

    Arms are shared by many contrasts, and a model of a finished training never changes.
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
