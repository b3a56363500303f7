"""Prints extraction quality by set and engine against reference main texts.

    python -m tests.bench.extraction_quality [--every N] [--engines trafilatura,resiliparse,union]

Token precision, recall and F1 are means over pages (multisets of runs of letters and digits,
lower-cased; scripts without spaces count by character), against `web/gold.jsonl.gz`.
ms/page is CPU time of the extraction alone. The references follow three conventions: CleanEval
keeps headings and lists, news article bodies leave them out, DAnIEL is news in five languages.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import regex

from decant.pipeline.text.engines import extractor, plain_trafilatura_text
from tests import real_data
from tests.real_pages import real_pages

# Scripts that write words without spaces are counted character by character.
_ONE_BY_ONE = regex.compile(
    r"([\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}])"
)
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")

ENGINES: dict[str, Callable[[str], str | None]] = {
    "trafilatura": extractor("trafilatura"),
    "trafilatura, library": plain_trafilatura_text,
    "resiliparse": extractor("resiliparse"),
    "union": extractor("union"),
}


@dataclass(frozen=True)
class Score:
    """How much of a text is in the reference (precision) and of the reference in it (recall)."""

    precision: float
    recall: float
    f1: float


def tokens(text: str) -> Counter[str]:
    """The words of a text with their counts.

    >>> sorted(tokens("The cat, the 猫犬.").items())
    [('cat', 1), ('the', 2), ('犬', 1), ('猫', 1)]
    """
    return Counter(_WORD.findall(_ONE_BY_ONE.sub(r" \1 ", text.lower())))


def score(text: str, reference: str) -> Score:
    """Multiset overlap of the words of two texts; 1 where both have none, 0 where one has none.

    >>> score("a b c d", "a b x")
    Score(precision=0.5, recall=0.6666666666666666, f1=0.5714285714285714)
    """
    found, wanted = tokens(text), tokens(reference)
    if not found or not wanted:
        same = float(not found and not wanted)
        return Score(same, same, same)
    common = (found & wanted).total()
    precision, recall = common / found.total(), common / wanted.total()
    return Score(precision, recall, 2 * common / (found.total() + wanted.total()))


def main() -> None:
    """Runs every engine over the pages that have a reference and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="take every n-th page")
    parser.add_argument("--engines", default=",".join(ENGINES).replace("trafilatura, library,", ""))
    arguments = parser.parse_args()
    names = [name.strip() for name in arguments.engines.split(",")]
    gold = {row["id"]: row for row in real_data.rows(10**9, "web", "gold.jsonl.gz")}
    scores: dict[tuple[str, str], list[Score]] = defaultdict(list)
    spent: dict[tuple[str, str], float] = defaultdict(float)
    for identity, html in real_pages(arguments.every):
        if identity not in gold:
            continue
        for name in names:
            started = time.process_time()
            text = ENGINES[name](html) or ""
            elapsed = time.process_time() - started
            judged = score(text, gold[identity]["text"])
            for group in (gold[identity]["set"], "all"):
                scores[group, name].append(judged)
                spent[group, name] += elapsed
    print("| set | pages | engine | F1 | precision | recall | ms/page |")
    print("|---|---|---|---|---|---|---|")
    for (group, name), judged in sorted(scores.items()):
        n = len(judged)
        means = [
            sum(getattr(one, key) for one in judged) / n for key in ("f1", "precision", "recall")
        ]
        columns = " | ".join(f"{mean:.3f}" for mean in means)
        print(f"| {group} | {n} | {name} | {columns} | {spent[group, name] / n * 1000:.1f} |")


if __name__ == "__main__":
    main()
