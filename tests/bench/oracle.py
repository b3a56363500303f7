"""Our scorer beside lm-evaluation-harness on real benchmark files, a table per task.

    python -m tests.bench.oracle [--questions 500] [--tokens 400000] [--rung cpu-s]
    python -m tests.bench.oracle --all --tasks hellaswag mmlu
    python -m tests.bench.oracle --model RUN/DIR --tokenizer tokenizer.json

Trains the rung on web text first where no model is given. Data: `benchmarks` and `text/c4`
under DECANT_REAL_DATA (default ../shared/data). Needs the lmeval extra.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import numpy as np

from decant.ablations.arms.tokens import read_tokenizer, train_bpe
from decant.ablations.rungs.devices import pick_device
from decant.ablations.rungs.ladder import rung
from decant.ablations.rungs.scorer import NeuralModel
from decant.ablations.rungs.stream import documents
from decant.ablations.rungs.train import train
from decant.ablations.rungs.weights import load
from decant.ablations.scoring.lmeval import agreement, harness_scores
from decant.ablations.scoring.questions import load_questions
from decant.ablations.scoring.score import encode_questions, score_questions
from tests.real_data import FOLDER

TASKS = ("hellaswag", "arc_easy", "arc_challenge", "mmlu")


def trained(name: str, tokens: float, folder: Path) -> tuple[Path, Path]:
    """The directory of a freshly trained model of a rung, and its tokenizer's file."""
    web: list[str] = []
    for path in sorted((FOLDER / "text" / "c4").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            web += [json.loads(line)["text"] for line in lines]
    bpe = train_bpe(web, 4096)
    (folder / "tokenizer.json").write_bytes(bpe.to_bytes())
    data = documents(bpe.encode_batch(web), bpe.eos)
    step = rung(name).with_vocab(bpe.vocab_size)
    train(step, data, seed=0, out_dir=folder / "model", tokens=tokens, eos=bpe.eos)
    return folder / "model", folder / "tokenizer.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="our scorer beside lm-evaluation-harness")
    parser.add_argument("--questions", type=int, default=500, help="per task")
    parser.add_argument("--all", action="store_true", help="every question of each task")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--rung", default="cpu-s")
    parser.add_argument("--tokens", type=float, default=400_000, help="to train on")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_dir, tokenizer_file = options.model, options.tokenizer
        if model_dir is None:
            model_dir, tokenizer_file = trained(options.rung, options.tokens, folder)
        tokenizer = read_tokenizer(tokenizer_file)
        model = NeuralModel(load(model_dir), tokenizer.eos, pick_device())
        most = None if options.all else options.questions
        print(
            "task           questions  acc ours / theirs  acc_norm ours / theirs  max |Δ ll|  CPU s"
        )
        for task in options.tasks:
            questions = load_questions(FOLDER / "benchmarks", task, "harness", most)
            encoded = encode_questions(tokenizer, questions)
            began = time.process_time()
            ours = score_questions(model, encoded)
            middle = time.process_time()
            theirs = harness_scores(model_dir, tokenizer_file, questions, folder / task)
            found = agreement(encoded, ours, theirs)
            print(
                f"{task:14} {found.questions:9}  {found.acc[0]:.4f} / {found.acc[1]:.4f}"
                f"    {found.acc_norm[0]:.4f} / {found.acc_norm[1]:.4f}"
                f"      {found.largest_difference:.2e}"
                f"        {middle - began:.0f} / {time.process_time() - middle:.0f}"
            )
            apart = np.array(found.near_ties, dtype=int)
            print(f"  near ties: {[questions[i].key for i in apart] or 'none'}")


if __name__ == "__main__":
    main()
