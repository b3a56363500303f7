"""A neural rung at work in a study: one directory per run, found again by what it trained on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xxhash

from ablations import rungs
from ablations.neural import NeuralModel
from ablations.pool import Draw
from ablations.prepared import Prepared
from ablations.stream import Stream
from ablations.train import train


class NeuralTrainer:
    """Trains a rung on draws of a prepared study; `rate` multiplies the rung's learning rate."""

    def __init__(
        self, study: Prepared, folder: Path, rung: str, rate: float, device: str | None
    ) -> None:
        self._study, self._folder, self._device = study, folder, device
        self._rung = rungs.rung(rung).with_vocab(study.pool.vocab_size)
        self._rate = rate * self._rung.learning_rate

    def model(self, read: Draw, order: int) -> NeuralModel:
        """The trained model; two arms of one order share their initialisation."""
        pool = self._study.pool
        spans = np.stack([pool.first[read.documents], pool.first[read.documents + 1]], axis=1)
        stream = Stream(pool.tokens, spans.astype(np.int64), pool.eos)
        return train(
            self._rung,
            stream,
            seed=order,
            out_dir=self._run_folder(read, order),
            learning_rate=self._rate,
            tokens=len(stream),
            eos=pool.eos,
            device=self._device,
        )

    def signals(self, read: Draw, order: int) -> np.ndarray:
        """Bits per byte on every signal; a scored run is not scored again."""
        path = self._run_folder(read, order) / "signals.json"
        names = self._study.scored.signals
        if path.exists():
            known = json.loads(path.read_text())
            if known["names"] == names:
                return np.array(known["values"])
        values = self._study.scored.values(
            self.model(read, order).loglikelihood(*self._study.scored.gold)
        )
        if not np.isfinite(values).all():
            raise ValueError(f"{path.parent}: a signal is not finite: {values}")
        path.write_text(json.dumps({"names": names, "values": values.tolist()}))
        return values

    def _run_folder(self, read: Draw, order: int) -> Path:
        asked = json.dumps([asdict(self._rung), self._rate, order], sort_keys=True)
        digest = xxhash.xxh3_128(asked.encode())
        digest.update(read.documents.astype(np.int64).tobytes())
        return self._folder / digest.hexdigest()
