"""A text in a wanted language is a page, any other is dropped: the last test of extraction."""

from functools import lru_cache

from decant.filters.language import LANGUAGE_RULES, LanguageId, LanguageRule
from decant.pipeline.config import LanguageConfig
from decant.pipeline.page.language_model import model_path
from decant.pipeline.page.outcomes import Dropped, Page


class TextLanguage:
    """Identifies the language of texts, or believes what it is given where that is switched off."""

    def __init__(self, config: LanguageConfig) -> None:
        self._model = language_id(config.model, config.newline) if config.enabled else None
        self._rule = LanguageRule(config.keep, config.threshold)

    def outcome(
        self,
        text: str,
        digest: bytes,
        lineage: str | None = None,
        given: tuple[str, float | None] = ("", None),
    ) -> Page | Dropped:
        """The page, or the drop by the language rule; `given`: language and score of the input."""
        if self._model is None:
            return Page(text, *given, digest, lineage)
        language = self._model.identify(text, self._rule.keep)
        if not self._rule.keeps(language):
            bound = self._rule.threshold
            return Dropped(LANGUAGE_RULES[0].name, language.language, language.wanted_score, bound)
        return Page(text, language.language, language.score, digest, lineage)


@lru_cache(maxsize=1)
def language_id(model: str, newline: str) -> LanguageId:
    """The language model, loaded once per process."""
    return LanguageId(str(model_path(model)), newline)  # type: ignore[arg-type]
