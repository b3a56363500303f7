"""How well a language model knows given strings: option rows, held-out documents, metrics.

Every rung is scored through one door, `LanguageModel`: token ids in, natural-log likelihoods out.
Whatever stands behind it (n-gram counts, a Llama decoder) is compared in bits per UTF-8 byte, the
one unit that does not change with the tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from decant.ablations.scoring.questions import Question

LN2 = float(np.log(2.0))

# One row per (question, option); `study.py` prepends the run's own columns.
OPTION_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("question", pa.string()),
        ("cluster", pa.string()),
        ("option", pa.int32()),
        ("is_gold", pa.bool_()),
        ("log_likelihood", pa.float64()),
        ("tokens", pa.int32()),
        ("chars", pa.int32()),
        ("bytes", pa.int32()),
    ]
)

METRICS = ("acc", "acc_norm", "gold_bpb", "rel_bpb", "correct_prob", "norm_prob", "margin")


class LanguageModel(Protocol):
    """Anything that can say how likely a continuation is after a context."""

    def loglikelihood(
        self, contexts: list[list[int]], continuations: list[list[int]]
    ) -> np.ndarray:
        """Σ ln p(token | everything before it), float64 [n], one value per continuation.

        Contexts may be empty (then the document starts here). A context too long for the model is
        cut on the left, never the continuation.
        """
        ...


class Tokenizer(Protocol):
    """What scoring needs of a tokenizer; `ablations/arms/tokens.py` has the two that exist."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def eos(self) -> int: ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...


def bits_per_byte(nats: float | np.ndarray, size_bytes: float | np.ndarray) -> np.ndarray:
    """Negative log-likelihood in bits over UTF-8 bytes; `nats` is Σ ln p, hence negative.

    >>> round(float(bits_per_byte(-8 * LN2, 4)), 3)
    2.0
    """
    return -np.asarray(nats, dtype=np.float64) / (LN2 * np.asarray(size_bytes, dtype=np.float64))


def encode_pairs(
    tokenizer: Tokenizer, contexts: Sequence[str], continuations: Sequence[str]
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of each context and of what its continuation adds, cut as the harness cuts.

    Trailing blanks of the context move to the continuation, the whole string is encoded, and the
    cut is at len(encode(context)) (lm-evaluation-harness 0.4.13, `_encode_pair`). Where a merge
    swallows the whole continuation, both sides are encoded on their own.
    """
    heads, tails = [], []
    for context, continuation in zip(contexts, continuations, strict=True):
        head = context.rstrip()
        heads.append(head)
        tails.append(context[len(head) :] + continuation)
    whole = tokenizer.encode_batch([h + t for h, t in zip(heads, tails, strict=True)])
    left = tokenizer.encode_batch(heads)
    right = [w[len(c) :] for w, c in zip(whole, left, strict=True)]
    for i, ids in enumerate(right):
        if not ids:
            right[i] = tokenizer.encode_batch([tails[i]])[0]
    return left, right


@dataclass(frozen=True)
class EncodedQuestions:
    """Questions flattened to options once per study: every run scores the same ids.

    `first`: int64 [n_questions + 1], option rows of question q are first[q]:first[q + 1].
    """

    questions: tuple[Question, ...]
    contexts: list[list[int]]
    continuations: list[list[int]]
    first: np.ndarray
    gold: np.ndarray  # int64 [n_questions], row of the right option
    chars: np.ndarray  # float64 [n_options], without one leading blank
    size_bytes: np.ndarray  # float64 [n_options], without one leading blank


def encode_questions(tokenizer: Tokenizer, questions: Sequence[Question]) -> EncodedQuestions:
    """The questions as option rows of token ids; no questions gives empty arrays."""
    contexts = [c for q in questions for c in q.contexts]
    continuations = [c for q in questions for c in q.continuations]
    left, right = encode_pairs(tokenizer, contexts, continuations)
    counts = np.array([len(q.continuations) for q in questions], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    gold = first[:-1] + np.array([q.gold for q in questions], dtype=np.int64)
    bare = [c.removeprefix(" ") for c in continuations]
    chars = np.array([max(len(c), 1) for c in bare], dtype=np.float64)
    size = np.array([max(len(c.encode("utf-8", "replace")), 1) for c in bare], dtype=np.float64)
    return EncodedQuestions(tuple(questions), left, right, first, gold, chars, size)


def score_questions(model: LanguageModel, encoded: EncodedQuestions) -> np.ndarray:
    """ln p of every option, float64 [n_options]; raises where a model answers NaN."""
    values = np.asarray(model.loglikelihood(encoded.contexts, encoded.continuations), np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{bad} of {len(values)} option likelihoods are not finite")
    return values


def question_metrics(encoded: EncodedQuestions, values: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric's value per question, float64 [n_questions] (spec section 3.5).

    acc and acc_norm take the first of equal options, as numpy's argmax does on both sides.
    `correct_prob` is per character: exp(ll / chars); `margin` its lead over the best wrong option.
    """
    first, gold = encoded.first, encoded.gold
    starts, counts = first[:-1], np.diff(first)
    per_char = values / encoded.chars
    bpb = bits_per_byte(values, encoded.size_bytes)
    prob = np.exp(per_char)
    wrong = prob.copy()
    wrong[gold] = -np.inf
    others = np.add.reduceat(bpb, starts) - bpb[gold] if len(starts) else np.zeros(0)
    total = np.add.reduceat(prob, starts) if len(starts) else np.zeros(0)
    best_wrong = np.maximum.reduceat(wrong, starts) if len(starts) else np.zeros(0)
    return {
        "acc": (_argmax_rows(values, first) == gold).astype(np.float64),
        "acc_norm": (_argmax_rows(per_char, first) == gold).astype(np.float64),
        "gold_bpb": bpb[gold],
        "rel_bpb": bpb[gold] - others / np.maximum(counts - 1, 1),
        "correct_prob": prob[gold],
        "norm_prob": prob[gold] / total,
        "margin": prob[gold] - best_wrong,
    }


def _argmax_rows(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Row of the largest value in each question, the first among equals, int64 [n_questions]."""
    if len(first) < 2:
        return np.zeros(0, dtype=np.int64)
    top = np.repeat(np.maximum.reduceat(values, first[:-1]), np.diff(first))
    rows = np.arange(len(values), dtype=np.int64)
    return np.minimum.reduceat(np.where(values == top, rows, len(values)), first[:-1])


def option_table(encoded: EncodedQuestions, values: np.ndarray) -> pa.Table:
    """OPTION_SCHEMA rows of one run, in question and option order."""
    counts = np.diff(encoded.first)
    rows = np.arange(len(values), dtype=np.int64)
    option = rows - np.repeat(encoded.first[:-1], counts)
    repeated = [q for q in encoded.questions for _ in q.continuations]
    columns = [
        [q.task for q in repeated],
        [q.key for q in repeated],
        [q.cluster for q in repeated],
        option.astype(np.int32),
        rows == np.repeat(encoded.gold, counts),
        values,
        np.array([len(c) for c in encoded.continuations], dtype=np.int32),
        encoded.chars.astype(np.int32),
        encoded.size_bytes.astype(np.int32),
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, OPTION_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=OPTION_SCHEMA)


@dataclass(frozen=True)
class EncodedDocuments:
    """Held-out documents of one reference set, encoded once per study."""

    name: str
    contexts: list[list[int]]  # [eos] each: a document starts after a document's end
    continuations: list[list[int]]
    size_bytes: np.ndarray  # float64 [n_documents]


def encode_documents(tokenizer: Tokenizer, name: str, texts: Sequence[str]) -> EncodedDocuments:
    """One reference set as token ids."""
    ids = tokenizer.encode_batch(list(texts))
    size = np.array([max(len(t.encode("utf-8", "replace")), 1) for t in texts], dtype=np.float64)
    return EncodedDocuments(name, [[tokenizer.eos] for _ in ids], ids, size)


def heldout_bpb(model: LanguageModel, documents: EncodedDocuments) -> float:
    """Σ −ln p / (ln 2 · Σ bytes) over a reference set: long documents weigh as their bytes do."""
    nats = model.loglikelihood(documents.contexts, documents.continuations)
    return float(bits_per_byte(np.sum(nats), documents.size_bytes.sum()))
