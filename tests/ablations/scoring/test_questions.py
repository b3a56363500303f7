"""Prompts to the blank, wrong files, and the self-written set."""

import gzip
import json

import pytest

from decant.ablations.scoring import questions as benchmarks
from decant.ablations.scoring.generated import GENERATED
from decant.ablations.scoring.questions import BUNDLED, TASKS, BenchmarkError, load_questions

HELLASWAG = {
    "activity_label": "Making soup", "ctx_a": "A man [substeps] cuts  onions.", "ctx_b": "he",
    "endings": ["cries [a lot].", "sings", "sleeps", "runs [title] fast"], "label": "0",
}  # fmt: skip


def ask(row, name, prompts):
    asked = benchmarks.task_named(name).ask(row, prompts)
    return asked.contexts, asked.continuations, asked.gold


def test_hellaswag_of_fineweb_keeps_the_blank_at_the_end_and_the_harness_does_not():
    fineweb, options, gold = ask(HELLASWAG, "hellaswag", "fineweb")
    assert fineweb == ("Making soup: A man cuts onions. He ",)
    assert options == (" cries .", " sings", " sleeps", " runs. fast")
    assert gold == 0
    assert ask(HELLASWAG, "hellaswag", "harness")[0] == ("Making soup: A man cuts onions. He",)


def test_hellaswag_with_a_joined_context_takes_it_as_it_is():
    row = {**HELLASWAG, "ctx": "A man cuts onions. he"}
    del row["ctx_a"], row["ctx_b"]
    assert ask(row, "hellaswag", "harness")[0] == ("Making soup: A man cuts onions. he",)


def test_mmlu_is_cloze_with_the_subject_in_words():
    row = {"question": " Why? ", "subject": "high_school_biology", "choices": ["a", "b"],
           "answer": 1}  # fmt: skip
    fineweb = "The following are questions about high school biology.\nQuestion:  Why? \nAnswer:"
    harness = (
        "The following are questions (with answers) about high school biology.\n\n"
        "Question: Why?\nAnswer:"
    )
    assert ask(row, "mmlu", "fineweb") == ((fineweb,), (" a", " b"), 1)
    assert ask(row, "mmlu", "harness")[0] == (harness,)
    assert ask(row, "mmlu_letters", "harness")[1] == (" A", " B")


def test_winogrande_of_the_harness_scores_one_rest_after_two_beginnings():
    row = {"sentence": "Ann saw Eva because _ waved.", "option1": "Ann", "option2": "Eva",
           "answer": "2"}  # fmt: skip
    contexts, options, gold = ask(row, "winogrande", "harness")
    assert contexts == ("Ann saw Eva because Ann", "Ann saw Eva because Eva")
    assert (options, gold) == ((" waved.", " waved."), 1)
    fineweb = ask(row, "winogrande", "fineweb")
    assert fineweb == (("Ann saw Eva because ",), ("Ann waved.", "Eva waved."), 1)


def test_siqa_labels_count_from_one():
    row = {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c",
           "label": "3"}  # fmt: skip
    assert ask(row, "siqa", "fineweb") == (("C. Q?",), (" a", " b", " c"), 2)
    assert ask(row, "siqa", "harness")[0] == ("Q: C. Q?\nA:",)


@pytest.mark.parametrize("task", [t.name for t in TASKS])
@pytest.mark.parametrize("prompts", ["fineweb", "harness"])
def test_every_task_has_self_written_questions_of_its_format(task, prompts):
    questions = load_questions(BUNDLED, task, prompts)
    assert len(questions) >= 8
    for question in questions:
        assert 0 <= question.gold < len(question.continuations)
        assert len(question.contexts) == len(question.continuations)
    # Always answering the same option must not pay.
    golds = [q.gold for q in questions]
    if task != "sciq":
        assert max(golds.count(g) for g in set(golds)) <= 0.6 * len(golds)


def write(folder, row, name="validation.jsonl"):
    (folder / "hellaswag").mkdir(exist_ok=True)
    text = row if isinstance(row, str) else json.dumps(row)
    (folder / "hellaswag" / name).write_text(json.dumps(HELLASWAG) + "\n" + text + "\n")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"ctx": "x", "endings": ["a", "b"], "label": "0"}, "needs the field 'activity_label'"),
        ({**HELLASWAG, "label": "7"}, "answer 7 of 4 options"),
        ({**HELLASWAG, "label": "x"}, "wrong kind of value"),
        ({**HELLASWAG, "endings": 3}, "wrong kind of value"),
        ("{not json", "not JSON"),
        ("[1, 2]", "expected an object"),
    ],
)
def test_a_wrong_row_is_named_with_file_and_line(tmp_path, row, message):
    write(tmp_path, row)
    with pytest.raises(BenchmarkError, match=message) as caught:
        load_questions(tmp_path, "hellaswag", "fineweb")
    assert "validation.jsonl:2" in str(caught.value)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(BenchmarkError, match=r"no hellaswag/validation\.jsonl"):
        load_questions(tmp_path, "hellaswag", "fineweb")


def test_a_truncated_gzip_is_an_error_and_no_crash(tmp_path):
    (tmp_path / "hellaswag").mkdir()
    data = gzip.compress(json.dumps(HELLASWAG).encode() * 50)
    (tmp_path / "hellaswag" / "validation.jsonl.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BenchmarkError, match="cannot be read"):
        load_questions(tmp_path, "hellaswag", "fineweb")


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(BenchmarkError, match="known tasks: hellaswag"):
        benchmarks.task_named("hellaswags")


def test_a_limit_draws_the_same_questions_whatever_the_prompts():
    one = load_questions(BUNDLED, "hellaswag", "fineweb", limit=5, seed=3)
    other = load_questions(BUNDLED, "hellaswag", "harness", limit=5, seed=3)
    assert [q.key for q in one] == [q.key for q in other]
    assert len(one) == 5


def with_nulls(value):
    """Every form of a JSON value with one null in it: (the value, what stood there)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (({**value, key: other}) for other in [None, *with_nulls(inner)])
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from (
                [*value[:at], other, *value[at + 1 :]] for other in [None, *with_nulls(inner)]
            )


@pytest.mark.parametrize("task", [t.name for t in TASKS if t.folder != GENERATED])
@pytest.mark.parametrize("prompts", ["fineweb", "harness"])
def test_a_null_is_refused_with_its_line_or_changes_no_question(task, prompts, tmp_path):
    asks = benchmarks.task_named(task)
    source = benchmarks._find_file(BUNDLED, asks)
    _, row = next(benchmarks._rows(source))
    (question,) = load_questions(BUNDLED, task, prompts)[:1]
    folder = tmp_path / asks.folder
    folder.mkdir()
    refused = 0
    for other in with_nulls(dict(row)):
        (folder / f"{asks.split}.jsonl").write_text(f"\n{json.dumps(other)}\n")
        try:
            (found,) = load_questions(tmp_path, task, prompts)
        except BenchmarkError as error:
            assert f"{asks.split}.jsonl:2: {task}: wrong kind of value" in str(error)
            assert "is null" in str(error)
            refused += 1
        else:
            said = " ".join((*found.contexts, *found.continuations))
            assert "None" not in said
            assert found.continuations == question.continuations
    assert refused >= 3


def test_generated_questions_are_the_same_for_a_seed_and_others_for_another():
    once, again, other = (
        load_questions("no folder", "generated_endings", "fineweb", 20, seed) for seed in (1, 1, 2)
    )
    assert once == again and len(once) == 20
    assert not {q.contexts for q in once} & {q.contexts for q in other}


def test_a_generated_order_has_the_same_words_right_and_wrong():
    for question in load_questions("no folder", "generated_order", "fineweb", 10):
        right, wrong = (sorted(text.split()) for text in question.continuations)
        assert right == wrong
