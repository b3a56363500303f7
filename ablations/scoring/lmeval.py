"""The same questions and the same exported model, scored by lm-evaluation-harness.

An oracle for our own scorer, and a second opinion for anyone who trusts the harness more: the
strings go to it as a local task file, the model in-process, so that nothing needs a network. Needs
the `lmeval` extra (transformers, accelerate, datasets, lm-eval 0.4.13). The harness refuses an
option longer than the model's context, where our scorer reads on in windows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from decant.ablations.scoring.questions import Question
from decant.ablations.scoring.score import EncodedQuestions, question_metrics

_HARNESS = ("lm_eval", "transformers", "lm_eval.models.huggingface", "lm_eval.tasks")
NEAR_TIE = 2e-3  # log-likelihood between the two best options: too close for float32 to rank


@dataclass(frozen=True)
class HarnessScores:
    """What the harness says of one task, in our order of questions and options."""

    acc: float
    acc_norm: float
    log_likelihoods: np.ndarray  # float64 [n_options]


@dataclass(frozen=True)
class Agreement:
    """Our scores of one task beside the harness's. Both accuracies are over all questions."""

    questions: int
    acc: tuple[float, float]  # ours, theirs
    acc_norm: tuple[float, float]
    largest_difference: float  # of any option's log-likelihood
    near_ties: tuple[int, ...]  # questions whose two best options lie within NEAR_TIE


def harness_scores(
    model_dir: Path, tokenizer_file: Path, questions: Sequence[Question], work_dir: Path
) -> HarnessScores:
    """The harness's verdict on an exported model; `tokenizer_file` is a `tokenizers` JSON."""
    # By name: optional, and decorated beyond what a type checker follows.
    lm_eval, transformers, models, tasks = (import_module(name) for name in _HARNESS)
    model = transformers.LlamaForCausalLM.from_pretrained(model_dir, dtype="float32")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file))
    adapter = models.HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        backend="causal",
        batch_size=16,
        device="cpu",
        add_bos_token=False,
        prefix_token_id=int(model.config.eos_token_id or 0),
    )
    results = lm_eval.simple_evaluate(
        model=adapter,
        tasks=[task_config(questions, work_dir)],
        # Indexing the harness's own tasks would take seconds a call.
        task_manager=tasks.TaskManager(include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    assert results is not None  # None is the answer on other ranks of a group only
    return _read(results)


def task_config(questions: Sequence[Question], work_dir: Path) -> dict[str, Any]:
    """A harness task over a JSON-lines file of the questions, which is written here.

    The blank before an option becomes the harness's delimiter: its acc_norm divides by the
    option's characters without it, and so does ours.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / "questions.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for question in questions:
            file.write(json.dumps(_row(question)) + "\n")
    return {
        "task": "decant_questions",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(work_dir / "cache")},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "{{gold}}",
        "target_delimiter": " ",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in ("acc", "acc_norm")
        ],
    }


def _row(question: Question) -> dict[str, Any]:
    if len(set(question.contexts)) != 1:
        raise ValueError(f"{question.key}: options with contexts of their own are not of this form")
    if not all(option.startswith(" ") for option in question.continuations):
        raise ValueError(f"{question.key}: an option does not begin with a blank")
    return {
        "context": question.contexts[0],
        "options": [option[1:] for option in question.continuations],
        "gold": question.gold,
    }


def _read(results: dict[str, Any]) -> HarnessScores:
    (name,) = results["samples"]
    samples = sorted(results["samples"][name], key=lambda sample: sample["doc_id"])
    values = [float(ll) for sample in samples for ll, _ in sample["filtered_resps"]]
    scores = results["results"][name]
    return HarnessScores(
        float(scores["acc,none"]), float(scores["acc_norm,none"]), np.array(values)
    )


def agreement(encoded: EncodedQuestions, ours: np.ndarray, theirs: HarnessScores) -> Agreement:
    """How far the two scorers are apart, near-ties listed instead of excused."""
    metrics = question_metrics(encoded, ours)
    return Agreement(
        questions=len(encoded.questions),
        acc=(float(metrics["acc"].mean()), theirs.acc),
        acc_norm=(float(metrics["acc_norm"].mean()), theirs.acc_norm),
        largest_difference=float(np.abs(ours - theirs.log_likelihoods).max()),
        near_ties=near_ties(encoded, ours),
    )


def near_ties(encoded: EncodedQuestions, values: np.ndarray) -> tuple[int, ...]:
    """Questions whose two best options lie within NEAR_TIE, by likelihood or per character."""
    ties = []
    for index, (start, end) in enumerate(zip(encoded.first[:-1], encoded.first[1:], strict=True)):
        chars = encoded.chars[start:end]
        plain = np.sort(values[start:end])[::-1]
        per_char = np.sort(values[start:end] / chars)[::-1] * chars.min()
        if len(plain) > 1 and min(plain[0] - plain[1], per_char[0] - per_char[1]) <= NEAR_TIE:
            ties.append(index)
    return tuple(ties)
