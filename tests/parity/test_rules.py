"""Our verdicts, kept texts, words and signatures against datatrove 0.10.1, on the same texts."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decant.filters import minhash
from decant.filters.doc import Doc
from decant.filters.minhash import MinHash
from decant.filters.words.marks import PUNCTUATION, SYMBOLS, TERMINAL
from decant.filters.words.splitter import simplify
from decant.pipeline import config
from tests import real_data
from tests.filters import made_texts
from tests.parity import reference_rules as reference
from tests.parity.reference_rules import C4QualityFilter

pytestmark = pytest.mark.parity
FOLDER = Path(__file__).parents[2] / "configs"
FINEWEB = config.load(FOLDER / "fineweb.yaml").recipe()


def difference(text: str) -> tuple[str | None, str | None]:
    """(the reference's reason, what differs: None where nothing does)."""
    reasons = {rule.name: rule.reference for rule in FINEWEB.rules}
    verdict = FINEWEB.judge(text)
    reason, kept_text = reference.judge(text)
    if (reasons[verdict.dropped_by] if verdict.dropped_by else None) != reason:
        return reason, f"{verdict.dropped_by} where the reference says {reason}"
    if reason is not None:
        return reason, None
    if verdict.text != kept_text:
        return reason, "another kept text"
    ours = minhash.signature(minhash.shingles(verdict.doc))
    if (ours.tolist() if ours is not None else None) != reference.signature(kept_text):
        return reason, "another signature"
    return reason, None


def compare(texts: list[str], name: str) -> Counter:
    """Count the reference's reasons over `texts`, failing at any difference."""
    reasons: Counter[str] = Counter()
    differing = []
    for number, text in enumerate(texts):
        reason, differs = difference(text)
        reasons[reason or "kept"] += 1
        if differs:
            differing.append((number, differs, text[:200]))
    print(f"\n{name}: {len(texts)} documents, {len(differing)} differ; {dict(reasons)}")
    assert differing == []
    return reasons


def test_generated_texts_get_the_reference_verdict_text_and_signature() -> None:
    reasons = compare(list(made_texts.texts(700, seed=1)), "generated texts")
    assert len(reasons) >= 12  # the generator reaches many rules
    assert reasons["kept"] >= 20


def test_real_pages_get_the_reference_verdict_text_and_signature() -> None:
    texts = real_data.texts(2_600)[::26]
    reasons = compare(texts, "real pages")
    assert reasons["kept"] >= 5


def words_of(doc: Doc) -> list[str]:
    """The words of a document as strings."""
    return doc.lexicon.token_strings(doc.words)


TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from(" \n\t.,!?'\"-()[]{}:;/@#%$€°²’“”…—abcdefghijkmstABSU0123456789"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=120,
)
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@settings(QUIET, max_examples=400)
@given(TEXT)
def test_any_text_gets_the_reference_verdict(text: str) -> None:
    assert difference(text)[1] is None


@settings(QUIET, max_examples=600)
@given(TEXT)
def test_any_text_has_the_reference_words(text: str) -> None:
    assert words_of(Doc(text)) == reference.words(text)


@settings(QUIET, max_examples=400)
@given(TEXT)
def test_any_text_has_the_reference_signature(text: str) -> None:
    longer = f"{text} one two {text} three"
    for name in ("sha1", "xxhash"):
        method = MinHash(hash=name)
        ours = minhash.signature(minhash.shingles(Doc(longer), method), method)
        expected = reference.signature(longer, name)
        assert (ours.tolist() if ours is not None else None) == expected


@settings(QUIET, max_examples=600)
@given(TEXT)
def test_any_text_is_simplified_as_the_reference_does(text: str) -> None:
    from datatrove.utils.text import simplify_text

    assert simplify(text).split() == simplify_text(text).split()


def test_character_sets_are_the_reference_sets() -> None:
    from datatrove.utils import text as reference_text

    assert set(reference_text.PUNCTUATION) == PUNCTUATION
    assert TERMINAL == reference_text.TERMINAL_PUNCTUATION
    assert SYMBOLS == reference_text.PUNCTUATION_SET


def test_c4_alone_decides_as_the_reference_with_its_defaults() -> None:
    recipe = config.load(FOLDER / "c4.yaml").recipe()
    reasons = {rule.name: rule.reference for rule in recipe.rules}
    filters = [C4QualityFilter()]
    kept = 0
    for text in made_texts.texts(300, seed=9):
        verdict = recipe.judge(text)
        reason, kept_text = reference.judge(text, filters)
        assert (reasons[verdict.dropped_by] if verdict.dropped_by else None) == reason
        if reason is None:
            kept += 1
            assert verdict.text == kept_text
    assert kept >= 10
