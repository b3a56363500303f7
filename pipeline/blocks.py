"""datatrove's blocks as steps of a recipe, and a recipe as a block of datatrove.

In a file of rules (`--rules-from`):

    from datatrove.pipeline.filters import FastTextClassifierFilter, GopherQualityFilter
    from decant import at_least, block_rules

    RULES = block_rules("their_gopher", GopherQualityFilter(min_doc_words=20))

A block that sees one document at a time can be a step: filters, formatters, counters. Readers,
writers, extractors, deduplication and statistics see more, or other things, and are refused by
name. A decision must not depend on the documents before: a block known to keep state (its cycle of
replacements) starts anew with each document, which deviates from datatrove; `SamplerFilter`, which
is nothing but state, is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters.base import BaseFormatter

from decant.filters.doc import Doc
from decant.filters.recipe import Recipe
from decant.filters.rule import Batched, Bounds, Edit, Rule, at_least
from decant.pipeline.config import load

COUNTERS = {"TokensCounter", "LengthCounter"}
RESTARTED = {"PIIFormatter"}
REFUSED = {"SamplerFilter"}
RECORD = ("id", "url", "language", "language_score", "date", "dump")


def block_rules(
    name: str, block: PipelineStep, metadata: Mapping[str, Bounds] | None = None
) -> list[Rule]:
    """A rule that keeps what a block lets pass, and one for each number that it adds as metadata.

    The first measures 1 for a document that passes, else 0. `metadata` maps keys that the block
    writes into a document's metadata to the values that are kept; their columns are NAME_KEY. The
    block sees id, url, date, dump and language of the document in its metadata.
    """
    _check(block, name)
    source = f"datatrove, {type(block).__name__}"
    keys = dict(metadata or {})

    def measure(docs: Sequence[Doc], _: Any) -> list[dict[str, Any]]:
        rows = []
        for doc in docs:
            document = _document(doc)
            passed = _passes(block, document)
            rows.append({"passes": passed, **{key: document.metadata.get(key) for key in keys}})
        return rows

    batch = Batched(measure)
    first = Rule(name, batch["passes"], at_least(1), "1 passes, 0 not", source, reads=RECORD)
    return [first] + [
        Rule(f"{name}_{key}", batch[key], keep, "number", source, reads=RECORD)
        for key, keep in keys.items()
    ]


def block_edit(name: str, block: BaseFormatter) -> Edit:
    """An edit that is a formatter of datatrove."""
    _check(block, name)
    if not isinstance(block, BaseFormatter):
        raise ValueError(f"{name}: {type(block).__name__} is no formatter; use block_rules")

    def apply(doc: Doc) -> Doc:
        text = _fresh(block).format(doc.text)
        return doc if text == doc.text else Doc(text, doc.lexicon, notes=doc.notes)

    return Edit(name, apply, f"datatrove, {type(block).__name__}")


def _check(block: Any, name: str) -> None:
    kind = type(block).__name__
    if not isinstance(block, PipelineStep):
        raise ValueError(f"{name}: {kind} is no block of datatrove")
    alone = isinstance(block, BaseFilter | BaseFormatter) or kind in COUNTERS
    if not alone or kind in REFUSED:
        raise ValueError(
            f"{name}: datatrove's {kind} does not decide on one document alone, so it cannot be a "
            "step of a recipe"
        )


def _fresh(block: Any) -> Any:
    return copy.deepcopy(block) if type(block).__name__ in RESTARTED else block


def _document(doc: Doc) -> Document:
    record = {key: value for key, value in doc.record.items() if value is not None}
    return Document(text=doc.text, id=str(record.pop("id", "")), metadata=record)


def _passes(block: Any, document: Document) -> float:
    """1.0 where the block hands the document on."""
    return float(any(True for _ in _fresh(block).run(iter([document]))))


class RecipeBlock(BaseFilter):
    """A recipe as a filter of datatrove: edits the text, and drops with the rule as the reason.

    The rule's `value` and `bound` go into the metadata of a dropped document. Only names are
    pickled, so the block goes to datatrove's workers as any other.
    """

    name = "decant recipe"

    def __init__(
        self,
        recipe: str = "fineweb",
        settings: Sequence[str] = (),
        rules_from: Sequence[str] = (),
        exclusion_writer: Any = None,
    ) -> None:
        super().__init__(exclusion_writer)
        self.recipe, self.settings, self.rules_from = recipe, tuple(settings), tuple(rules_from)
        self._recipe: Recipe | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recipe": None}

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Whether the recipe keeps the document, whose text becomes the edited one."""
        if self._recipe is None:
            self._recipe = load(self.recipe, self.settings, self.rules_from).measuring_recipe()
        verdict = self._recipe.judge(doc.text, record={**doc.metadata, "id": doc.id})
        doc.text = verdict.text
        if verdict.dropped_by is None:
            return True
        doc.metadata |= {"value": verdict.value, "bound": verdict.bound}
        return False, verdict.dropped_by
