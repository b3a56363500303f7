"""Drops a page by a cheap look at its bytes, before its main text is extracted.

Extraction takes most of a run's time, and most pages fail a later rule. Each gate guesses what
such a rule would say: from CommonCrawl's own language detection, or from all text of the page
instead of its main text. A wrong guess costs a document, so all gates are off in `fineweb.yaml`;
what each loses stands in pipeline/README.md, "What the gates lose".
"""

import json
import re
from collections.abc import Collection
from itertools import islice

from decant.filters.language import LanguageId
from decant.filters.rule import RecordRule
from decant.pipeline.config import GatesConfig
from decant.pipeline.page.outcomes import DETAIL_CHARS, Dropped
from decant.pipeline.page.page_text import page_text

SOURCE = "decant; extract.gates, off in the exact recipe"
CLD2 = RecordRule(
    "gate_cld2_fraction",
    "at least extract.gates.min_cld2_fraction, where CommonCrawl detected languages",
    SOURCE,
    None,
    "fraction of the text",
)
WORDS = RecordRule(
    "gate_page_words", "at least extract.gates.min_words", SOURCE, None, "words on the whole page"
)
LANGUAGE = RecordRule(
    "gate_page_language_score",
    "above extract.gates.min_language_score",
    SOURCE,
    None,
    "probability of the best wanted language of all text",
)
SENTENCES = RecordRule(
    "gate_page_sentence_ends",
    "at least extract.gates.min_sentence_ends",
    SOURCE,
    None,
    "sentence ends on the whole page",
)
# A mark with nothing of a word, number or address behind it; E2 80 begins ’ and ”.
_SENTENCE_END = re.compile(rb"[.!?](?=[\"')\]\s]|\xe2\x80|$)|" + "|".join("。！？؟۔।").encode())
# The model is linear in the text: 0.5 ms for all of a page's, 0.05 for this much of its middle.
# A bound of 0.1 on either finds 95 % of the 2,853 real pages whose main text is not English, and
# errs on one or none of the 1,738 that end in the corpus.
SAMPLE_BYTES = 1_000

GATE_RULES = (CLD2, WORDS, LANGUAGE, SENTENCES)


class Gates:
    """The gates of a run; one without a bound is open."""

    def __init__(self, config: GatesConfig, language: LanguageId, keep: Collection[str] | None):
        self._config = config
        self._language = language
        self._keep = keep

    def by_metadata(self, languages: str | None) -> Dropped | None:
        """The gate that CommonCrawl's finding about a page's language closes."""
        bound = self._config.min_cld2_fraction
        if bound is not None and languages and self._keep is not None:
            covered = cld2_fraction(languages, self._keep)
            if covered is not None and covered < bound:
                return Dropped(CLD2.name, languages[:DETAIL_CHARS], covered, bound)
        return None

    def by_text(self, page: bytes) -> Dropped | None:
        """The gate that all text of a page of UTF-8 bytes closes.

        A page without any word has shown nothing: there a script writes it, and main text decides.
        """
        bounds = self._config
        if (bounds.min_words, bounds.min_language_score, bounds.min_sentence_ends) == (None,) * 3:
            return None
        text = page_text(page)
        if not text:
            return None
        return self._by_words(text) or self._by_language(text) or self._by_sentences(text)

    def _by_words(self, text: bytes) -> Dropped | None:
        least = self._config.min_words
        if least is not None:
            words = len(text.split(None, least)[:least])
            if words < least:
                return Dropped(WORDS.name, None, words, least)
        return None

    def _by_language(self, text: bytes) -> Dropped | None:
        bound = self._config.min_language_score
        if bound is not None:
            language = self._language.identify(middle(text), self._keep)
            if language.wanted_score <= bound:
                return Dropped(LANGUAGE.name, language.language, language.wanted_score, bound)
        return None

    def _by_sentences(self, text: bytes) -> Dropped | None:
        least = self._config.min_sentence_ends
        if least is not None:
            ends = sum(1 for _ in islice(_SENTENCE_END.finditer(text), least))
            if ends < least:
                return Dropped(SENTENCES.name, None, ends, least)
        return None


def middle(text: bytes) -> str:
    """The middle of a text, where menus and footers are not."""
    start = max(0, len(text) - SAMPLE_BYTES) // 2
    return text[start : start + SAMPLE_BYTES].decode("utf-8", "ignore")


def cld2_fraction(languages: str, keep: Collection[str]) -> float | None:
    """The fraction of a page's text in the wanted languages by CLD2; None where it is not sure.

    >>> cld2_fraction('{"reliable":true,"languages":[{"code":"en","text-covered":0.9}]}', ("en",))
    0.9
    """
    try:
        cld2 = json.loads(languages)
        if not cld2["reliable"]:
            return None
        return float(sum(one["text-covered"] for one in cld2["languages"] if one["code"] in keep))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
