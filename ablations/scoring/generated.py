"""Questions about the sample crawl, in the layouts of three benchmarks, as many as are asked for.

No published benchmark resembles generated prose: a model of the sample crawl gets worse at all of
them as it reads on. These come from the crawl's own grammar and from seeds that no crawl uses, so
that a model of a few hundred thousand parameters can learn to answer them. They tell nothing about
knowledge of the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from decant.pipeline.sample.english import TOPICS, Writer

GENERATED = "generated"  # in place of a folder of benchmark files
QUESTIONS = 200  # of a task, where a study sets no limit


def endings(writer: Writer, others: list[Writer], random: Random) -> dict[str, Any]:
    """HellaSwag's layout: the next sentence of a paragraph, or one about another topic."""
    options = [writer.sentence(), *(other.sentence() for other in others)]
    order = random.sample(range(4), 4)
    return {
        "activity_label": writer.topic.capitalize(),
        "ctx": writer.paragraph(2),
        "endings": [options[k] for k in order],
        "label": order.index(0),
    }


def words(writer: Writer, others: list[Writer], random: Random) -> dict[str, Any]:
    """OpenBookQA's layout: which word a sentence goes on with, of four kinds of words."""
    place, thing = random.choice(writer.words("P")), random.choice(writer.words("T"))
    options = [thing, *(random.choice(writer.words(slot)) for slot in ("C", "R", "#"))]
    order = random.sample(range(4), 4)
    return {
        "question_stem": f"{writer.paragraph(2)} Nobody in {place} remembers the "
        f"{random.choice(writer.words('Q'))}",
        "choices": {"text": [options[k] for k in order], "label": list("ABCD")},
        "answerKey": "ABCD"[order.index(0)],
        "topic": writer.topic,
    }


def order(writer: Writer, others: list[Writer], random: Random) -> dict[str, Any]:
    """PIQA's layout: a sentence as it was written, or its words in another order."""
    goal, right = writer.sentence(), writer.sentence()
    shuffled = right.split()
    random.shuffle(shuffled)
    label = random.randrange(2)
    solutions = [right, " ".join(shuffled)]
    return {
        "goal": goal, "sol1": solutions[label], "sol2": solutions[1 - label], "label": label,
        "topic": writer.topic,
    }  # fmt: skip


MAKERS: dict[str, Callable[[Writer, list[Writer], Random], dict[str, Any]]] = {
    "generated_endings": endings,
    "generated_words": words,
    "generated_order": order,
}


def rows(task: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """`count` rows of a generated task, the same for the same seed; topics take turns."""
    topics = sorted(TOPICS)
    for number in range(count):
        random = Random(f"question {seed} {task} {number}")
        topic = topics[number % len(topics)]
        others = random.sample([name for name in topics if name != topic], 3)
        writers = [Writer(random, name) for name in (topic, *others)]
        yield MAKERS[task](writers[0], writers[1:], random)
