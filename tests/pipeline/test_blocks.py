"""datatrove's blocks in a recipe, and a recipe in datatrove's pipeline."""

import pickle

import pytest
from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.filters import GopherQualityFilter, LambdaFilter, SamplerFilter
from datatrove.pipeline.formatters import PIIFormatter, SymbolLinesFormatter
from datatrove.pipeline.readers import JsonlReader

from decant.filters.catalogue import CATALOGUE
from decant.filters.rule import at_least
from decant.filters.steps import build
from decant.pipeline.blocks import RecipeBlock, block_edit, block_rules
from decant.pipeline.config import load
from tests.filters import made_texts

TEXTS = list(made_texts.texts(120, seed=4))


def with_blocks(steps, rules=(), edits=()):
    return build(steps, CATALOGUE.extended(rules, edits))


def test_a_filter_keeps_what_it_keeps_in_datatrove():
    block = GopherQualityFilter(min_doc_words=20)
    recipe = with_blocks(["their_gopher"], block_rules("their_gopher", block))
    verdicts = recipe.judge_all(TEXTS, all_measures=True)
    for text, verdict in zip(TEXTS, verdicts, strict=True):
        answer = block.filter(Document(text=text, id=""))
        kept = answer[0] if isinstance(answer, tuple) else answer
        assert verdict.kept is bool(kept)
        assert verdict.values == (float(kept),)
    assert len({verdict.kept for verdict in verdicts}) == 2


def note(doc: Document) -> bool:
    doc.metadata["chars"] = len(doc.text)
    doc.metadata["address"] = len(doc.metadata["url"])
    return True


def test_metadata_that_a_block_adds_are_measures_and_the_record_is_at_hand():
    rules = block_rules("noted", LambdaFilter(note), {"chars": at_least(3), "address": at_least(0)})
    recipe = with_blocks([rule.name for rule in rules], rules)
    record = {"url": "https://a.example/", "id": "1", "language": "en"}
    verdict = recipe.judge("ab", all_measures=True, record=record)
    assert verdict.values == (1.0, 2.0, 18.0)
    assert verdict.dropped_by == "noted_chars"


def test_a_formatter_is_an_edit():
    edit = block_edit("symbol_lines", SymbolLinesFormatter(symbols_to_remove=["|"]))
    recipe = with_blocks([{"edit": "symbol_lines"}, "gopher_text_chars"], edits=[edit])
    text = "one line\n|||\nanother"
    assert recipe.judge(text).text == SymbolLinesFormatter(symbols_to_remove=["|"]).format(text)
    assert recipe.judge(text).text != text


def test_a_block_with_a_cycle_starts_anew_with_each_document():
    recipe = with_blocks([{"edit": "pii"}], edits=[block_edit("pii", PIIFormatter())])
    text = "write to someone@mail-of-mine.org today"
    first, second = (recipe.judge(text).text for _ in range(2))
    assert first == second == PIIFormatter().format(text) != text


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: SamplerFilter(0.5), "SamplerFilter"),
        (lambda: JsonlReader("folder"), "JsonlReader"),
        (lambda: MinhashDedupSignature("folder"), "MinhashDedupSignature"),
    ],
)
def test_a_block_that_sees_more_than_a_document_is_refused_by_name(make, kind):
    with pytest.raises(ValueError, match=f"datatrove's {kind} does not decide on one document"):
        block_rules("theirs", make())


def test_a_recipe_is_a_block_that_decides_and_edits_as_the_recipe_does():
    block = pickle.loads(pickle.dumps(RecipeBlock("fineweb")))
    documents = [Document(text=text, id=str(number)) for number, text in enumerate(TEXTS)]
    handed_on = {document.id: document.text for document in block.run(iter(documents))}
    recipe = load("fineweb").recipe()
    verdicts = {str(number): recipe.judge(text) for number, text in enumerate(TEXTS)}
    assert handed_on == {key: one.text for key, one in verdicts.items() if one.kept}
    assert handed_on and len(handed_on) < len(TEXTS)


def test_a_block_in_a_file_of_rules_runs_in_a_run(tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(
        "from datatrove.pipeline.filters import GopherQualityFilter\n"
        "from decant import block_rules\n"
        "RULES = block_rules('their_gopher', GopherQualityFilter(min_doc_words=20))\n"
    )
    monkeypatch.chdir(tmp_path)
    config = load("c4", rules_from=["theirs.py"])
    record = dict.fromkeys(("id", "url", "language", "language_score", "date", "dump"))
    verdict = config.measuring_recipe().judge("Two words. " * 40, True, record)
    assert verdict.values is not None
    assert verdict.values[-1] in (0.0, 1.0)
