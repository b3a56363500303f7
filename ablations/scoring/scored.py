"""What every run of a study is scored on: reference sets and questions, encoded once.

A signal is one number in bits per byte that falls as a model gets better: a reference set's
held-out bits per byte, or a task's mean over questions of the right answer's bits per byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from decant.ablations.scoring import score
from decant.ablations.scoring.questions import Question
from decant.ablations.scoring.references import ReferenceSet
from decant.ablations.scoring.score import (
    EncodedDocuments,
    EncodedQuestions,
    LanguageModel,
    Tokenizer,
)


@dataclass(frozen=True)
class Scored:
    """The signals of a study, in order: reference sets by name, then tasks."""

    references: tuple[EncodedDocuments, ...]
    tasks: tuple[tuple[str, EncodedQuestions], ...]

    @property
    def signals(self) -> list[str]:
        """`heldout:NAME` and `task:NAME`."""
        heldout = [f"heldout:{r.name}" for r in self.references]
        return heldout + [f"task:{name}" for name, _ in self.tasks]

    @cached_property
    def gold(self) -> tuple[list[list[int]], list[list[int]]]:
        """(contexts, continuations) that the signals need: documents, then right options."""
        contexts = [c for r in self.references for c in r.contexts]
        continuations = [c for r in self.references for c in r.continuations]
        for _, encoded in self.tasks:
            contexts += [encoded.contexts[i] for i in encoded.gold]
            continuations += [encoded.continuations[i] for i in encoded.gold]
        return contexts, continuations

    def values(self, likelihoods: np.ndarray) -> np.ndarray:
        """The signals from the log-likelihoods of `gold`, float64 [signals]."""
        signals, at = [], 0
        for reference in self.references:
            end = at + len(reference.contexts)
            size = reference.size_bytes.sum()
            signals.append(float(score.bits_per_byte(likelihoods[at:end].sum(), size)))
            at = end
        for _, encoded in self.tasks:
            end = at + len(encoded.gold)
            size = encoded.size_bytes[encoded.gold]
            signals.append(float(np.mean(score.bits_per_byte(likelihoods[at:end], size))))
            at = end
        return np.array(signals)


def encode(
    tokenizer: Tokenizer, references: Sequence[ReferenceSet], questions: Sequence[Question]
) -> Scored:
    """Reference sets and questions as token ids; tasks in the order they first appear."""
    documents = tuple(score.encode_documents(tokenizer, r.name, r.texts) for r in references)
    by_task: dict[str, list[Question]] = {}
    for question in questions:
        by_task.setdefault(question.task, []).append(question)
    tasks = tuple((n, score.encode_questions(tokenizer, q)) for n, q in by_task.items())
    return Scored(documents, tasks)


@dataclass(frozen=True)
class TaskScores:
    """All options of every task under one model."""

    likelihoods: dict[str, np.ndarray]
    metrics: dict[str, dict[str, np.ndarray]]  # task: metric: per question


def score_options(model: LanguageModel, scored: Scored) -> TaskScores:
    """Every option's log-likelihood and every question's metrics."""
    likelihoods = {name: score.score_questions(model, e) for name, e in scored.tasks}
    metrics = {n: score.question_metrics(e, likelihoods[n]) for n, e in scored.tasks}
    return TaskScores(likelihoods, metrics)


def option_rows(scored: Scored, scores: TaskScores, run: dict[str, str]) -> pa.Table:
    """One row per option of every task, after the run's own columns."""
    tables = [score.option_table(e, scores.likelihoods[n]) for n, e in scored.tasks]
    table = pa.concat_tables(tables) if tables else score.OPTION_SCHEMA.empty_table()
    for at, (name, value) in enumerate(run.items()):
        column = pa.array([value] * table.num_rows, pa.string())
        table = table.add_column(at, pa.field(name, pa.string()), column)
    return table
