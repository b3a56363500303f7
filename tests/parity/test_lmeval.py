"""Our scorer against lm-evaluation-harness: one exported model, the same strings on both sides."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

torch = pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")
pytest.importorskip("transformers", reason="the oracle needs the lmeval extra")
pytest.importorskip("lm_eval", reason="the oracle needs the lmeval extra")

from decant.ablations.arms.tokens import train_bpe  # noqa: E402
from decant.ablations.rungs.ladder import Rung, Shape  # noqa: E402
from decant.ablations.rungs.stream import documents  # noqa: E402
from decant.ablations.rungs.train import train  # noqa: E402
from decant.ablations.scoring.lmeval import agreement, harness_scores, near_ties  # noqa: E402
from decant.ablations.scoring.questions import Question, load_questions  # noqa: E402
from decant.ablations.scoring.score import encode_questions, score_questions  # noqa: E402
from tests import real_data  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

RUNG = Rung("oracle", Shape(64, 2, 2, 192, 512, 384), 2, 5e-3, 30_000, "nothing")
TASKS = ("hellaswag", "arc_easy", "arc_challenge", "mmlu")


def sentences(count: int) -> list[str]:
    """Small talk of a made-up village, enough for a tokenizer and a few hundred updates."""
    rng = np.random.default_rng(3)
    who = ["The baker", "Her aunt", "A tall sailor", "The mayor's dog", "Old Piet", "Nobody"]
    does = ["carried", "painted", "forgot", "weighed", "borrowed", "sang about", "mended"]
    what = ["the blue door", "seven apples", "a broken clock", "the harbour", "some warm bread"]
    when = ["at noon.", "before the storm.", "without a word!", "on market day.", "again?"]
    return [
        " ".join(str(rng.choice(part)) for part in (who, does, what, when)) for _ in range(count)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tokenizer, its file, and a small model trained on the village's sentences."""
    folder = tmp_path_factory.mktemp("oracle")
    text = sentences(4000)
    bpe = train_bpe(text, 512)
    (folder / "tokenizer.json").write_bytes(bpe.to_bytes())
    data = documents(bpe.encode_batch(text), bpe.eos)
    model = train(RUNG.with_vocab(bpe.vocab_size), data, seed=0, out_dir=folder / "m", eos=bpe.eos)
    return bpe, folder / "tokenizer.json", folder / "m", model


def village_questions(count: int) -> list[Question]:
    """Which sentence goes on so? One option is the sentence's own end, in different lengths."""
    rng, made = np.random.default_rng(5), []
    lines = sentences(4 * count)
    for number in range(count):
        four = [line.split() for line in lines[4 * number : 4 * number + 4]]
        gold = int(rng.integers(4))
        context = "Question: how does it end? " + " ".join(four[gold][:3])
        options = tuple(" " + " ".join(words[3:] or ["…"]) for words in four)
        made.append(Question("village", str(number), "", (context,) * 4, options, gold))
    # Long enough to be cut on the left on both sides, and one with letters outside ASCII.
    made.append(Question("village", "long", "", ("na " * 500 + "so",) * 2, (" ja", " nein"), 0))
    made.append(Question("village", "ü", "", ("Größe: 日本",) * 2, (" 語だ", " café ☕"), 1))
    return made


def compared(trained, questions: list[Question], folder: Path):
    bpe, tokenizer_file, model_dir, model = trained
    encoded = encode_questions(bpe, questions)
    ours = score_questions(model, encoded)
    theirs = harness_scores(model_dir, tokenizer_file, questions, folder)
    return agreement(encoded, ours, theirs)


def assert_agrees(found) -> None:
    assert found.largest_difference < 1e-3
    slack = len(found.near_ties) / found.questions  # at most the near-ties may be ranked otherwise
    assert abs(found.acc[0] - found.acc[1]) <= slack
    assert abs(found.acc_norm[0] - found.acc_norm[1]) <= slack


def test_likelihoods_and_accuracies_equal_the_harness_on_made_up_questions(trained, tmp_path):
    found = compared(trained, village_questions(30), tmp_path)
    assert_agrees(found)
    assert found.acc[0] > 0.3  # better than chance, else equal accuracies would say little


@pytest.mark.parametrize("task", TASKS)
def test_likelihoods_and_accuracies_equal_the_harness_on_real_questions(task, trained, tmp_path):
    questions = load_questions(real_data.folder("benchmarks"), task, "harness", limit=8)
    assert_agrees(compared(trained, questions, tmp_path))


def test_a_near_tie_is_found_by_likelihood_and_per_character(trained):
    options = (" abcd", " ab", " abc")
    encoded = encode_questions(trained[0], [Question("t", "0", "", ("so",) * 3, options, 0)])
    assert near_ties(encoded, np.array([-4.0, -4.001, -9.0])) == (0,)
    assert near_ties(encoded, np.array([-4.0, -2.0005, -9.0])) == (0,)
    assert near_ties(encoded, np.array([-4.0, -3.0, -9.0])) == ()
