"""Multiple-choice questions from files in hub field layout, as contexts and continuations.

`prompts: fineweb` follows FineWeb's lighteval_tasks.py (spec section 2.1), `harness` follows
lm-evaluation-harness 0.4.13. MMLU is in cloze form in both; `mmlu_letters` is the letter form.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One question: option k is `continuations[k]` after `contexts[k]`; `gold` is an index.

    `cluster` groups questions that are not independent (MMLU's subject, HellaSwag's activity);
    `key` is unique within the task.
    """

    task: str
    key: str
    cluster: str
    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    gold: int
