"""A study's arms as files for a trainer of one's own: tokens in reading order, and their parts.

DIR/tokens/RUN.npy      token ids in the order to be read, each document's end after it: uint16, or
                        uint32 for vocabularies over 65,536; a one-dimensional .npy
DIR/arms.csv            which run plays which part: what `decant judge` needs
DIR/about.json          vocabulary, end-of-text id, tokens and epochs of each run
DIR/tokenizer.json      for scoring
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from decant.ablations.arms.pool import Pool
from decant.ablations.arms.pool_files import TOKENIZER
from decant.ablations.elsewhere.parts import ArmPart, write_parts
from decant.ablations.measuring.plans import Training, plan
from decant.ablations.measuring.trainings import training_key
from decant.ablations.study import Study


def export_arms(study: Study, folder: Path) -> tuple[int, int]:
    """(token files, tokens in all) after writing the arms of every judged contrast to `folder`.

    A run that plays in several contrasts is one file. Its name is that of what it reads.
    """
    terms = study.neural_terms("elsewhere")
    parts, about = [], {}
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    for contrast in study.contrasts:
        if not contrast.judged:
            continue
        for training in plan(study.pool, contrast, terms.design, terms.budget).trainings:
            run = training_key(training)
            if run not in about:
                about[run] = {
                    "tokens": write_tokens(study.pool, training, folder / "tokens" / f"{run}.npy"),
                    "epochs": training.reads.epochs,
                }
            parts.append(_part(run, f"{contrast.name} ({contrast.design})", training))
    write_parts(folder / "arms.csv", parts)
    known = {"vocab_size": study.pool.vocab_size, "eos": study.pool.eos, "runs": about}
    (folder / "about.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_bytes(study.store.read_bytes(TOKENIZER))
    return len(about), sum(one["tokens"] for one in about.values())


def _part(run: str, rule: str, training: Training) -> ArmPart:
    return ArmPart(
        run, rule, training.role, training.kind, training.number, training.seed, training.repeat,
        training.reads.tokens,
    )  # fmt: skip


def write_tokens(pool: Pool, training: Training, path: Path) -> int:
    """How many ids were written: the documents in order, the pool's `eos` after each."""
    documents = training.reads.documents
    total = training.reads.tokens + len(documents)
    kind = np.uint16 if pool.vocab_size <= 2**16 else np.uint32
    ids = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=(total,))
    at = 0
    for document in documents:
        start, end = pool.first[document], pool.first[document + 1]
        ids[at : at + end - start] = pool.tokens[start:end]
        ids[at + end - start] = pool.eos
        at += int(end - start) + 1
    ids.flush()
    return total
