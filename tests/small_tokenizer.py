"""A byte-level BPE with GPT-2's splitting, a dozen merges deep, in OpenAI's two files."""

import json
from pathlib import Path

from tokenizers import pre_tokenizers

MERGES = [
    *[("Ġ", "w"), ("o", "r"), ("or", "d"), ("Ġw", "ord"), ("a", "b"), ("Ġ", "Ġ"), ("Ċ", "Ċ")],
    *[("'", "s"), (".", "."), ("..", "."), ("ab", "ab"), ("Ġ", "a"), ("t", "h"), ("th", "e")],
]


def write(folder: Path) -> Path:
    """The folder, now with `encoder.json` and `vocab.bpe`."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *("".join(pair) for pair in MERGES), "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "encoder.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in MERGES)]
    (folder / "vocab.bpe").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
