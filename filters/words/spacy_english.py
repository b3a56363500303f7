"""spaCy's English word tokenizer as linear code: the same tokens, without spaCy's quadratic cases.

spaCy splits a text at white space and each chunk on its own: affixes are peeled off both ends, what
is left is looked up, taken whole where it is a URL, else cut at infixes; last, token sequences that
spell a special case (`:-)`) are joined again. Patterns and special cases are spaCy's own objects,
read from `spacy.blank("en")`; only the walk is ours. spaCy runs each pattern over the whole rest of
the chunk for every affix (4,000 `=` take 4.7 s); here a pattern sees a window at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Longest affix of spaCy 3.8's English patterns is 5 characters, its look-behind 2; a run of full
# stops is the one affix without a limit and is counted by hand.
LONGEST_AFFIX = 5
AFFIX_WINDOW = 8
PLAIN_SUFFIXES = frozenset(",;:!?)(][}{><_#*&\"'")
GENITIVES = frozenset(("'s", "'S", "’s", "’S"))
DIGIT = re.compile(r"[0-9]")
# spaCy's URL pattern tries every split of `user:password@`; past this length we try each `@` once.
URL_PATTERN_CHARS = 1000


@dataclass(frozen=True, slots=True)
class SplitRules:
    """spaCy's patterns and special cases: what `ChunkTokenizer` walks with."""

    specials: dict[str, tuple[str, ...]]
    joined: dict[tuple[str, ...], str]  # affix tokens of a special case -> the special case
    prefix: re.Pattern[str]
    suffix: re.Pattern[str]
    infix: re.Pattern[str]
    url: re.Pattern[str]
    host: re.Pattern[str]


def english_rules() -> SplitRules:
    """The rules of `spacy.blank("en")`. Importing spaCy takes about a second."""
    import spacy
    from spacy.symbols import ORTH

    tokenizer = spacy.blank("en").tokenizer
    specials = {
        text: tuple(token[ORTH] for token in tokens) for text, tokens in tokenizer.rules.items()
    }
    url = tokenizer.url_match.__self__
    rules = SplitRules(
        specials=specials,
        joined={},
        prefix=tokenizer.prefix_search.__self__,
        suffix=tokenizer.suffix_search.__self__,
        infix=tokenizer.infix_finditer.__self__,
        url=url,
        host=host_pattern(url),
    )
    rules.joined.update(joined_specials(rules))
    return rules


def host_pattern(url: re.Pattern[str]) -> re.Pattern[str]:
    """The part of spaCy's URL pattern after scheme and user: host, port and path, to the end."""
    user = r"(?:\S+(?::\S*)?@)?"
    _, separator, rest = url.pattern.partition(user)
    if not separator:
        raise ValueError("spaCy's URL pattern has no optional user part; this release is not known")
    return re.compile(rest, url.flags)


def joined_specials(rules: SplitRules) -> Iterable[tuple[tuple[str, ...], str]]:
    """Special cases that affix splitting takes apart, each with the tokens it falls into.

    spaCy registers a special case for joining only where a prefix, infix or suffix matches in it.
    """
    bare = ChunkTokenizer(SplitRules({}, {}, *_patterns(rules)))
    for text in rules.specials:
        if text.isspace():
            continue
        if rules.prefix.search(text) or rules.infix.search(text) or rules.suffix.search(text):
            tokens = tuple(bare.affix_tokens(text))
            if len(tokens) > 1:
                yield tokens, text


def _patterns(rules: SplitRules) -> tuple[re.Pattern[str], ...]:
    return rules.prefix, rules.suffix, rules.infix, rules.url, rules.host


class ChunkTokenizer:
    """Tokens of one white-space-free chunk of text, or of neighbouring chunks."""

    def __init__(self, rules: SplitRules) -> None:
        self.rules = rules
        self.longest_special = max(map(len, rules.specials), default=0)
        self.longest_join = max(map(len, rules.joined), default=0)
        self.join_pairs = frozenset(tokens[:2] for tokens in rules.joined)

    def tokens(self, chunk: str) -> tuple[list[str], bool]:
        """The tokens of `chunk`, and whether a special case was joined in it."""
        special = self.rules.specials.get(chunk)
        if special is not None:
            return list(special), False
        tokens = self.affix_tokens(chunk)
        if len(tokens) == 1 or not self._spans(tokens):
            return tokens, False
        joined = self.join([tokens])[0]
        return joined, joined != tokens

    def affix_tokens(self, chunk: str) -> list[str]:
        """The tokens of `chunk` before special cases are joined."""
        special = self.rules.specials.get(chunk)
        if special is not None:
            return list(special)
        if chunk.isalpha():
            return [chunk]
        prefixes, suffixes, start, stop = self._peel(chunk)
        middle = self._middle(chunk[start:stop]) if start < stop else []
        return prefixes + middle + suffixes[::-1]

    def _peel(self, text: str) -> tuple[list[str], list[str], int, int]:
        """Prefixes and suffixes in the order found, and the span of what is left between them."""
        prefixes: list[str] = []
        suffixes: list[str] = []
        start, stop, last = 0, len(text), -1
        while start < stop and stop - start != last:
            if self._is_special(text, start, stop):
                break
            last = stop - start
            before = self._prefix_chars(text, start, stop)
            if before and self._is_special(text, start + before, stop):
                prefixes.append(text[start : start + before])
                start += before
                break
            after = self._suffix_chars(text, start + before, stop)
            if after and self._is_special(text, start, stop - after):
                suffixes.append(text[stop - after : stop])
                stop -= after
                break
            if before:
                prefixes.append(text[start : start + before])
            if after and (not before or before + after <= last):
                suffixes.append(text[stop - after : stop])
                stop -= after
            start += before
        return prefixes, suffixes, start, stop

    def _is_special(self, text: str, start: int, stop: int) -> bool:
        return 0 < stop - start <= self.longest_special and text[start:stop] in self.rules.specials

    def _prefix_chars(self, text: str, start: int, stop: int) -> int:
        first = text[start]
        if first == ".":
            run = _dots_from(text, start, stop)
            return run if run > 1 else 0
        if first.isalnum() and "$" not in text[start : start + 3]:
            return 0  # US$, C$ and A$ are the prefixes that begin with a letter
        match = self.rules.prefix.search(text[start : min(stop, start + AFFIX_WINDOW)])
        return match.end() if match else 0

    def _suffix_chars(self, text: str, start: int, stop: int) -> int:
        if start >= stop:
            return 0
        last = text[stop - 1]
        if last == ".":
            run = _dots_before(text, start, stop)
            if run > 1:
                return run
        elif last in PLAIN_SUFFIXES:
            return 1
        elif last.isascii() and last.isalnum() and not self._may_end_suffix(text, start, stop):
            return 0
        window = text[max(start, stop - AFFIX_WINDOW) : stop]
        match = self.rules.suffix.search(window)
        return len(window) - match.start() if match else 0

    def _may_end_suffix(self, text: str, start: int, stop: int) -> bool:
        """Whether letters or digits at the end may be a unit behind a digit, or a genitive 's."""
        tail = text[max(start, stop - LONGEST_AFFIX - 1) : stop]
        return DIGIT.search(tail) is not None or tail[-2:] in GENITIVES

    def _middle(self, text: str) -> list[str]:
        special = self.rules.specials.get(text)
        if special is not None:
            return list(special)
        if text.isascii() and text.isalnum():
            return [text]
        if "." in text and self._is_url(text):
            return [text]
        return self._cut_at_infixes(text)

    def _is_url(self, text: str) -> bool:
        if len(text) <= URL_PATTERN_CHARS:
            return self.rules.url.match(text) is not None
        return is_long_url(text, self.rules.host)

    def _cut_at_infixes(self, text: str) -> list[str]:
        tokens: list[str] = []
        start = 0
        for match in self.rules.infix.finditer(text):
            if match.start() == 0:
                continue
            if match.start() != start:
                tokens.append(text[start : match.start()])
            if match.start() != match.end():
                tokens.append(text[match.start() : match.end()])
            start = match.end()
        if start < len(text):
            tokens.append(text[start:])
        return tokens

    def join(self, chunks: Sequence[list[str]]) -> list[list[str]]:
        """The tokens of neighbouring chunks after special cases are joined, chunk by chunk.

        A token sequence that spells a special case across a space is no special case, yet spaCy
        lets it stand in the way of the shorter ones it overlaps (`x(: -)` keeps `(` and `:` apart).
        """
        tokens = [token for chunk in chunks for token in chunk]
        owner = [number for number, chunk in enumerate(chunks) for _ in chunk]
        out: list[list[str]] = [[] for _ in chunks]
        position = 0
        for start, stop in self._chosen_spans(tokens):
            if owner[start] != owner[stop - 1]:
                continue
            for index in range(position, start):
                out[owner[index]].append(tokens[index])
            text = self.rules.joined[tuple(tokens[start:stop])]
            out[owner[start]].extend(self.rules.specials[text])
            position = stop
        for index in range(position, len(tokens)):
            out[owner[index]].append(tokens[index])
        return out

    def _spans(self, tokens: list[str]) -> list[tuple[int, int]]:
        """Every run of tokens that spells a special case, inside a chunk or across."""
        spans = []
        for start in range(len(tokens) - 1):
            if (tokens[start], tokens[start + 1]) in self.join_pairs:
                longest = min(self.longest_join, len(tokens) - start)
                for length in range(2, longest + 1):
                    if tuple(tokens[start : start + length]) in self.rules.joined:
                        spans.append((start, start + length))
        return spans

    def _chosen_spans(self, tokens: list[str]) -> list[tuple[int, int]]:
        """Longest spans first, then the leftmost; a span that lost still blocks its tokens."""
        chosen: list[tuple[int, int]] = []
        seen: set[int] = set()
        for start, stop in sorted(
            self._spans(tokens), key=lambda span: (span[0] - span[1], span[0])
        ):
            if start not in seen and stop - 1 not in seen:
                chosen.append((start, stop))
            seen.update(range(start, stop))
        return sorted(chosen)


def is_long_url(text: str, host: re.Pattern[str]) -> bool:
    """Whether spaCy's URL pattern matches, in time linear in the `@` signs.

    Its user part is `anything@`, so a URL is a host, port and path at the start, after a scheme, or
    after any `@` that has something before it.
    """
    if host.match(text):
        return True
    scheme = re.match(r"[\w\+\-\.]{2,}://", text)
    if scheme and host.match(text, scheme.end()):
        return True
    at = text.find("@", 1)
    while at != -1:
        if host.match(text, at + 1):
            return True
        at = text.find("@", at + 1)
    return False


def _dots_from(text: str, start: int, stop: int) -> int:
    end = start
    while end < stop and text[end] == ".":
        end += 1
    return end - start


def _dots_before(text: str, start: int, stop: int) -> int:
    begin = stop
    while begin > start and text[begin - 1] == ".":
        begin -= 1
    return stop - begin
