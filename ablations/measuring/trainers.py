"""What turns an arm into scores on one rung: an n-gram fit, or a training."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from decant.ablations.arms.pool import Draw
from decant.ablations.measuring import shared
from decant.ablations.measuring.effects import KNESER_NEY
from decant.ablations.measuring.shared import Prepared
from decant.ablations.rungs.ngram import NgramIndex, NgramModel, Positions
from decant.ablations.scoring.score import LanguageModel
from decant.ablations.scoring.scored import Scored
from decant.pipeline.engine.execute import Job


class Trainer(Protocol):
    """A rung at work: a draw in, a language model or its signals out."""

    def model(self, read: Draw, order: int) -> LanguageModel: ...

    def signals(self, read: Draw, order: int) -> np.ndarray:
        """Bits per byte on every signal, float64 [m]; all NaN where the training diverged."""
        ...

    def curve(self, read: Draw, order: int) -> tuple[list[float], np.ndarray]:
        """(shares of the training, its signals there, float64 [shares, m]); the last is the end."""
        ...

    def start(self) -> np.ndarray | None:
        """The signals of an untrained model, float64 [m]; None where there is none."""
        ...


class NgramTrainer:
    """The n-gram rung over a prepared study; models cost milliseconds and are not kept."""

    def __init__(self, study: Prepared, smoothing: str) -> None:
        pool = study.pool
        self._index = NgramIndex(pool.tokens, pool.first, pool.vocab_size, pool.eos)
        self._scorer = NgramScorer(self._index, study.scored)
        self._smoothing = smoothing

    def model(self, read: Draw, order: int) -> NgramModel:
        fitted = self._index.fit(read.copies)
        return fitted.kneser_ney() if self._smoothing == KNESER_NEY else fitted

    def signals(self, read: Draw, order: int) -> np.ndarray:
        return self._scorer.signals(self.model(read, order))

    def curve(self, read: Draw, order: int) -> tuple[list[float], np.ndarray]:
        return [1.0], self.signals(read, order)[None]

    def start(self) -> None:
        """An n-gram model without counts is uniform: no start to learn from."""


@lru_cache(maxsize=2)
def trainer(url: str, address: str, rung: str, rate: float, smoothing: str, neural: str) -> Trainer:
    """The rung's trainer, built once per process; `neural` is that section of the study in JSON."""
    study = shared.load(url, address)
    if rung == "ngram":
        return NgramTrainer(study, smoothing)
    # torch is imported only where a neural rung is asked for
    from decant.ablations.measuring.neural_trainer import NeuralTrainer

    return NeuralTrainer(study, Path(url) / "models" / rung, rung, rate, json.loads(neural))


def trainer_of(job: Job) -> Trainer:
    """The rung at work that a task asks for."""
    args = job.task.args
    neural = json.dumps(args.get("neural", {}), sort_keys=True)
    return trainer(
        job.store.url, args["address"], args["rung"], args["learning_rate"], args["smoothing"],
        neural,
    )  # fmt: skip


class NgramScorer:
    """Scores n-gram models of one pool: every string is looked up once for all arms."""

    def __init__(self, index: NgramIndex, scored: Scored) -> None:
        self.index, self.scored = index, scored
        self._gold: Positions = index.compile(*scored.gold)

    def signals(self, model: NgramModel) -> np.ndarray:
        """Bits per byte on every signal, float64 [signals]."""
        return self.scored.values(model.score(self._gold))
