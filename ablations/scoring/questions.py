"""Multiple-choice questions from files in hub field layout, as contexts and continuations.

`prompts: fineweb` follows FineWeb's lighteval_tasks.py and lighteval's stock prompts beside it,
`harness` follows lm-evaluation-harness 0.4.13. Texts differ between the two, to the blank; each
task's two forms stand side by side below. MMLU is in cloze form in both, `mmlu_letters` is the
letter form.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant.ablations import hashing
from decant.ablations.scoring import generated
from decant.ablations.scoring.generated import GENERATED

Prompts = str  # "fineweb" | "harness"

# A few self-written questions of each format, for tests and the quickstart.
BUNDLED = Path(__file__).parent / "data" / "benchmarks"


class BenchmarkError(Exception):
    """A benchmark file is missing or its fields are wrong; says which file, line and field."""


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


@dataclass(frozen=True)
class Asked:
    """What a prompt makes of a row: contexts (one, or one per option), options, right option."""

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    gold: int


def hellaswag(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Ending after the activity and context; `ctx` as it is where `ctx_a, ctx_b` are missing.

    FineWeb's form keeps the blank at the end of the context *and* the one before each ending, so
    the scored string has two: that is what their models were scored on.
    """
    parted = "ctx_a" in row
    body = f"{row['ctx_a']} {str(row['ctx_b']).capitalize()}" if parted else row["ctx"]
    text = f"{row['activity_label']}: {body}"
    endings = [_untitled(e) for e in row["endings"]]
    if prompts == "harness":
        context = _untitled(text.strip())
        endings = [_untitled(e.strip()) for e in row["endings"]]
    else:
        context = _untitled(text + " ")
    return Asked((context,), _spaced(endings), int(row["label"]))


def _untitled(text: str) -> str:
    """WikiHow's markers out of a HellaSwag string, double blanks halved once."""
    text = text.replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def arc(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Full answers after `Question: …\\nAnswer:`, the same in both forms."""
    return Asked((f"Question: {row['question']}\nAnswer:",), *_labelled(row))


def mmlu(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Cloze form: the whole answer is the continuation."""
    subject = str(row["subject"]).replace("_", " ")
    question = row["question"]
    if prompts == "harness":
        head = f"The following are questions (with answers) about {subject}.\n\n"
        question = question.strip()
    else:
        head = f"The following are questions about {subject}.\n"
    return Asked(
        (f"{head}Question: {question}\nAnswer:",), _spaced(row["choices"]), int(row["answer"])
    )


def mmlu_letters(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Letter form: random for small models, kept for comparison with large ones."""
    subject = str(row["subject"]).replace("_", " ")
    letters = "ABCDEFGHIJ"[: len(row["choices"])]
    options = "".join(f"\n{k}. {text}" for k, text in zip(letters, row["choices"], strict=True))
    head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    context = f"{head}{row['question'].strip()}{options}\nAnswer:"
    return Asked((context,), _spaced(letters), int(row["answer"]))


def piqa(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Solutions after the goal, the same in both forms."""
    options = _spaced([row["sol1"], row["sol2"]])
    return Asked((f"Question: {row['goal']}\nAnswer:",), options, int(row["label"]))


def openbookqa(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Choices straight after the stem, the same in both forms."""
    return Asked((row["question_stem"],), *_labelled(row))


def siqa(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """Three answers; labels count from 1."""
    text = f"{row['context']} {row['question']}"
    options = _spaced([row["answerA"], row["answerB"], row["answerC"]])
    context = f"Q: {text}\nA:" if prompts == "harness" else text
    return Asked((context,), options, int(row["label"]) - 1)


def commonsense_qa(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """FineWeb: full answers straight after the question; the harness asks for letters."""
    options, gold = _labelled(row)
    if prompts == "fineweb":
        return Asked((row["question"],), options, gold)
    letters = "ABCDEFGHIJ"[: len(options)]
    listed = "".join(f"\n{k}.{text}" for k, text in zip(letters, options, strict=True))
    context = f"Question: {row['question'].strip()}{listed}\nAnswer:"
    return Asked((context,), _spaced(letters), gold)


def winogrande(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """FineWeb: option and rest after the beginning; the harness: the rest after each option."""
    before, _, after = row["sentence"].partition("_")
    after = after.strip()
    options = (row["option1"], row["option2"])
    gold = int(row["answer"]) - 1
    if prompts == "harness":
        return Asked(tuple(before + o for o in options), (f" {after}",) * 2, gold)
    return Asked((before,), tuple(f"{o} {after}" for o in options), gold)


def sciq(row: Mapping[str, Any], prompts: Prompts) -> Asked:
    """The harness's form in both (FineWeb has no SciQ); the right answer stands last."""
    support = (row.get("support") or "").lstrip()
    options = [row["distractor1"], row["distractor2"], row["distractor3"], row["correct_answer"]]
    context = f"{support}\nQuestion: {row['question']}\nAnswer:"
    return Asked((context,), _spaced(options), 3)


def _labelled(row: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Options and gold of rows with `choices: {text, label}` and an `answerKey`."""
    choices = row["choices"]
    gold = list(choices["label"]).index(str(row["answerKey"]).strip())
    return _spaced(choices["text"]), gold


def _spaced(options) -> tuple[str, ...]:
    return tuple(f" {o}" for o in options)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its folder under the root, the split that is scored, its prompt."""

    name: str
    folder: str
    split: str
    ask: Callable[[Mapping[str, Any], Prompts], Asked]
    cluster: Callable[[Mapping[str, Any]], str | None]
    chance: float


def _alone(row: Mapping[str, Any]) -> None:
    return None


TASKS = (
    Benchmark(
        "hellaswag", "hellaswag", "validation", hellaswag, lambda r: r["activity_label"], 1 / 4
    ),
    Benchmark("arc_easy", "arc_easy", "test", arc, _alone, 1 / 4),
    Benchmark("arc_challenge", "arc_challenge", "test", arc, _alone, 1 / 4),
    Benchmark("mmlu", "mmlu", "test", mmlu, lambda r: r["subject"], 1 / 4),
    Benchmark("mmlu_letters", "mmlu", "test", mmlu_letters, lambda r: r["subject"], 1 / 4),
    Benchmark("piqa", "piqa", "validation", piqa, _alone, 1 / 2),
    Benchmark("openbookqa", "openbookqa", "validation", openbookqa, _alone, 1 / 4),
    Benchmark("siqa", "siqa", "validation", siqa, lambda r: r["context"], 1 / 3),
    Benchmark("commonsense_qa", "commonsense_qa", "validation", commonsense_qa,
         lambda r: r.get("question_concept"), 1 / 5),
    Benchmark("winogrande", "winogrande", "validation", winogrande, _alone, 1 / 2),
    Benchmark("sciq", "sciq", "validation", sciq, _alone, 1 / 4),
    # Of the sample crawl, in the layouts of HellaSwag, OpenBookQA and PIQA: no files.
    Benchmark("generated_endings", GENERATED, "", hellaswag, lambda r: r["activity_label"], 1 / 4),
    Benchmark("generated_words", GENERATED, "", openbookqa, lambda r: r["topic"], 1 / 4),
    Benchmark("generated_order", GENERATED, "", piqa, lambda r: r["topic"], 1 / 2),
)  # fmt: skip

# What a study scores unless it says otherwise: letters are random below a few billion parameters.
DEFAULT_TASKS = tuple(
    t.name for t in TASKS if t.name != "mmlu_letters" and t.folder != GENERATED
)  # fmt: skip


def task_named(name: str) -> Benchmark:
    """The task of that name; an unknown one lists the names that exist."""
    for task in TASKS:
        if task.name == name:
            return task
    known = ", ".join(t.name for t in TASKS)
    raise BenchmarkError(f"unknown task {name!r}; known tasks: {known}")


def load_questions(
    root: str | Path, name: str, prompts: Prompts, limit: int | None = None, seed: int = 0
) -> list[Question]:
    """The task's questions from ROOT/<folder>/<split>.jsonl[.gz]; `limit` draws by hash of the key.

    A generated task has no file: it is made afresh, `limit` questions of it. A row that lacks a
    field or has a null in one, or whose answer is none of its options, raises BenchmarkError with
    file and line.
    """
    task = task_named(name)
    if task.folder == GENERATED:
        path, made = Path(name), generated.rows(name, limit or generated.QUESTIONS, seed)
        found = ((number, TaskRow(row)) for number, row in enumerate(made, 1))
    else:
        path = _find_file(Path(root), task)
        found = _rows(path)
    questions = []
    for number, (line, row) in enumerate(found):
        questions.append(_question(task, row, prompts, f"{path}:{line}", number))
    if limit is None or len(questions) <= limit:
        return questions
    order = hashing.mix(hashing.hash_strings(q.key for q in questions), seed).argsort()
    return [questions[i] for i in sorted(order[:limit].tolist())]


def _find_file(root: Path, task: Benchmark) -> Path:
    for suffix in (".jsonl.gz", ".jsonl"):
        path = root / task.folder / f"{task.split}{suffix}"
        if path.exists():
            return path
    raise BenchmarkError(
        f"{task.name}: no {task.folder}/{task.split}.jsonl or .jsonl.gz under {root} "
        "(benchmarks.root); leave the task out or put the file there"
    )


def _rows(path: Path) -> Iterator[tuple[int, TaskRow]]:
    """Each row with the number of its line."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _object(line, path, number)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: cannot be read: {error}") from error


class TaskRow(dict[str, Any]):
    """A row in which a null raises TypeError: a prompt would hold the word "None" instead."""

    def __getitem__(self, field: str) -> Any:
        value = super().__getitem__(field)
        _refuse_null(value, field)
        return value


def _refuse_null(value: Any, name: str) -> None:
    if value is None:
        raise TypeError(f"{name} is null")
    if isinstance(value, Mapping | list):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            _refuse_null(part, f"{name}[{key!r}]")


def _object(line: str, path: Path, number: int) -> TaskRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path}:{number}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise BenchmarkError(f"{path}:{number}: expected an object with fields, found {row!r:.60}")
    return TaskRow(row)


def _question(task: Benchmark, row: TaskRow, prompts: Prompts, where: str, number: int) -> Question:
    """The question of a row; `where` names its file and line in errors."""
    try:
        prompt = task.ask(row, prompts)
        cluster = task.cluster(row)
    except KeyError as error:
        raise BenchmarkError(
            f"{where}: {task.name} needs the field {error}; found {sorted(row)}"
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(f"{where}: {task.name}: wrong kind of value: {error}") from None
    if not 0 <= prompt.gold < len(prompt.continuations) or len(prompt.continuations) < 2:
        raise BenchmarkError(
            f"{where}: {task.name}: answer {prompt.gold} of {len(prompt.continuations)} options"
        )
    key = f"{number:06d}"
    contexts = prompt.contexts
    if len(contexts) == 1:
        contexts = contexts * len(prompt.continuations)
    return Question(
        task.name, key, str(cluster or key), contexts, prompt.continuations, prompt.gold
    )


def variant(root: str | Path, name: str) -> str:
    """How this copy of the task's file is built, for the report: HellaSwag comes in two forms."""
    task = task_named(name)
    if task.folder == GENERATED:
        return "generated from the sample crawl's grammar"
    _, first = next(_rows(_find_file(Path(root), task)), (0, TaskRow()))
    if name == "hellaswag":
        return "ctx_a + ctx_b capitalised" if "ctx_a" in first else "ctx as it is"
    return "standard"
