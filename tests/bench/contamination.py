"""Words a second and core of the contamination search, beside a search word by word in Python.

    python -m tests.bench.contamination [--rounds 5]

The documents are the web texts of `text/` under DECANT_REAL_DATA, the scored texts are the gold
answers of ten benchmarks there. CPU time of one process, best round; both sides are one thread.
"""

from __future__ import annotations

import argparse
import re
import sys
import time

from decant.ablations.scoring.contamination import find_hits, scored_ngrams
from decant.ablations.scoring.questions import DEFAULT_TASKS, load_questions
from tests.bench.calibration_real import gzipped_rows
from tests.real_data import FOLDER


def plain_search(texts: list[tuple[str, str]], documents: list[str]) -> int:
    """How many n-grams of documents are one of a scored text, a set and tuples of words."""
    grams: dict[int, set[tuple[str, ...]]] = {}
    for _, text in texts:
        words = re.findall(r"\w+", text.lower())
        size = min(13, len(words))
        if size >= 8:
            for k in range(len(words) - size + 1):
                grams.setdefault(size, set()).add(tuple(words[k : k + size]))
    count = 0
    for document in documents:
        words = re.findall(r"\w+", document.lower())
        for size, known in grams.items():
            count += sum(
                tuple(words[k : k + size]) in known for k in range(len(words) - size + 1)
            )  # fmt: skip
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not FOLDER.exists():
        sys.exit(f"no real data at {FOLDER}: set DECANT_REAL_DATA")
    rows = [*gzipped_rows("c4"), *gzipped_rows("stackexchange")]
    documents = [row["text"] for row in rows]
    texts = [
        (f"{q.task}/{q.key}", f"{q.contexts[q.gold]} {q.continuations[q.gold]}")
        for task in DEFAULT_TASKS
        for q in load_questions(FOLDER / "benchmarks", task, "fineweb", 1000)
    ]
    words = sum(len(re.findall(r"\w+", text.lower())) for text in documents)
    began = time.process_time()
    scored = scored_ngrams(texts)
    print(
        f"{len(texts):,} texts, {len(scored.hashes):,} n-grams: {time.process_time() - began:.2f} s"
    )
    ids = [str(k) for k in range(len(documents))]
    best = float("inf")
    for _ in range(options.rounds):
        began = time.process_time()
        hits = find_hits(scored, ids, documents)
        best = min(best, time.process_time() - began)
    print(f"kernel: {words:,} words, {len(hits)} texts hit, {words / best / 1e6:.1f} M words/s")
    began = time.process_time()
    part = documents[: len(documents) // 10]
    plain_search(texts, part)
    taken = time.process_time() - began
    read = sum(len(re.findall(r"\w+", text.lower())) for text in part)
    print(f"word by word: {read / taken / 1e6:.2f} M words/s")


if __name__ == "__main__":
    main()
