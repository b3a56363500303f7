"""What turns an arm into scores on one rung: an n-gram fit, or a training run."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from decant.ablations.arms.pool import Draw
from decant.ablations.measuring import shared
from decant.ablations.measuring.shared import Prepared
from decant.ablations.rungs.ngram import NgramIndex, NgramModel, Positions
from decant.ablations.scoring.score import LanguageModel
from decant.ablations.scoring.scored import Scored
from decant.pipeline.engine.execute import Job


class Trainer(Protocol):
    """A rung at work: a draw in, a language model or its signals out."""

    def model(self, read: Draw, order: int) -> LanguageModel: ...

    def signals(self, read: Draw, order: int) -> np.ndarray: ...


class NgramTrainer:
    """The n-gram rung over a prepared study; models cost milliseconds and are not kept."""

    def __init__(self, study: Prepared) -> None:
        pool = study.pool
        self._index = NgramIndex(pool.tokens, pool.first, pool.vocab_size, pool.eos)
        self._scorer = NgramScorer(self._index, study.scored)

    def model(self, read: Draw, order: int) -> LanguageModel:
        return self._index.fit(read.copies)

    def signals(self, read: Draw, order: int) -> np.ndarray:
        return self._scorer.signals(self._index.fit(read.copies))


@lru_cache(maxsize=2)
def trainer(url: str, address: str, rung: str, rate: float, neural: str) -> Trainer:
    """The rung's trainer, built once per process; `neural` is that section of the study in JSON."""
    study = shared.load(url, address)
    if rung == "ngram":
        return NgramTrainer(study)
    # torch is imported only where a neural rung is asked for
    from decant.ablations.measuring.neural_trainer import NeuralTrainer

    return NeuralTrainer(study, Path(url) / "models" / rung, rung, rate, json.loads(neural))


def trainer_of(job: Job) -> Trainer:
    """The rung at work that a task asks for."""
    args = job.task.args
    neural = json.dumps(args.get("neural", {}), sort_keys=True)
    return trainer(job.store.url, args["address"], args["rung"], args["learning_rate"], neural)


class NgramScorer:
    """Scores n-gram models of one pool: every string is looked up once for all arms."""

    def __init__(self, index: NgramIndex, scored: Scored) -> None:
        self.index, self.scored = index, scored
        self._gold: Positions = index.compile(*scored.gold)

    def signals(self, model: NgramModel) -> np.ndarray:
        """Bits per byte on every signal, float64 [signals]."""
        return self.scored.values(model.score(self._gold))
