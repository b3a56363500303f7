"""What a rule of one's own costs beside the same function built in.

`python -m tests.bench.own_rule`: one function as a rule of the catalogue and as that of a file,
each the last rule of fineweb.yaml over the same texts, in turns; CPU time of one process, the best
of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from decant.filters.catalogue import CATALOGUE
from decant.filters.recipe import Recipe
from decant.filters.rule import at_most, text_rule
from decant.filters.steps import build
from decant.pipeline.config import load
from decant.pipeline.engine.light_spacy import import_spacy
from tests.filters import made_texts

FILE = """
from decant import at_most, text_rule
RULES = [text_rule("exclamation_marks", lambda text: text.count("!"), at_most(1000))]
"""


def recipes() -> tuple[Recipe, Recipe]:
    """fineweb.yaml with the rule built in, and with it from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "my_rules.py"
        path.write_text(FILE)
        config = load("fineweb", rules_from=[str(path)])
        from_file = config.measuring_recipe()
    rule = text_rule("exclamation_marks", lambda text: text.count("!"), at_most(1000))
    return build(config.filter.rules, CATALOGUE.extended([rule], [])), from_file


def seconds(recipe: Recipe, texts: list[str]) -> float:
    """CPU time of judging the texts with every measure."""
    began = time.process_time()
    recipe.judge_all(texts, all_measures=True)
    return time.process_time() - began


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    import_spacy()
    texts = list(made_texts.texts(options.documents, seed=1))
    built_in, from_file = recipes()
    times: dict[str, list[float]] = {"built in": [], "from a file": []}
    for _ in range(options.rounds + 1):
        times["built in"].append(seconds(built_in, texts))
        times["from a file"].append(seconds(from_file, texts))
    best = {name: min(each[1:]) for name, each in times.items()}  # the first compiles
    for name, value in best.items():
        print(f"{name}: {value / len(texts) * 1e6:.1f} µs a document")
    print(f"ratio: {best['from a file'] / best['built in']:.3f}")


if __name__ == "__main__":
    main()
