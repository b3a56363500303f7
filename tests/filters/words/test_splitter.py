"""Words: spaCy's own on every chunk we take short cuts for, and the memo that remembers them."""

import random
import string
import sys

import pytest

from decant.filters.doc import Doc
from decant.filters.words import lexicon
from decant.filters.words.lexicon import Lexicon, Memo
from decant.filters.words.splitter import Splitter
from tests.filters import made_texts

SPLITTER = Splitter()
RULES = SPLITTER.tokenizer.rules


@pytest.fixture(scope="module")
def spacy_words():
    """spaCy's word tokens of a text, white space left out."""
    import spacy

    nlp = spacy.blank("en")

    def words(text: str) -> list[str]:
        with nlp.memory_zone():
            return [token.text for token in nlp.tokenizer(text) if not token.is_space]

    return words


def words_of(text: str, memo: Lexicon | None = None) -> list[str]:
    doc = Doc(text, memo)
    return doc.lexicon.token_strings(doc.words)


def test_every_special_case_alone_and_attached_is_split_as_spacy_does(spacy_words) -> None:
    for special in RULES.specials:
        if not special.isspace():
            for text in (special, f"({special})", f"x{special}", f"{special}x,", f"{special}."):
                assert words_of(text) == spacy_words(text), text


@pytest.mark.parametrize(
    "text", ["x(: -)", "x(: - )", "a (: -) b", "x(:\n-)", "x(:  -)", "8-) :-)"]
)
def test_a_special_case_across_a_space_blocks_shorter_ones(spacy_words, text) -> None:
    assert words_of(text) == spacy_words(text)


def test_letters_and_digits_begin_no_affix_and_hold_no_infix() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if char.isalnum():
            assert RULES.prefix.search(char + "x") is None
            if char.isalpha():
                assert RULES.infix.search(f"a{char}a") is None
                assert RULES.suffix.search(f"a{char}") is None


def test_chunks_up_to_a_thousand_characters_are_split_as_spacy_does(spacy_words) -> None:
    generator = random.Random(5)
    pieces = (
        ".",
        "'s",
        "=",
        "(",
        ")",
        "-",
        ",",
        "a",
        "B",
        "1",
        "km",
        "…",
        ":)",
        "US$",
        "@",
        "/",
        "°",
    )
    for size in (50, 200, 700, 1000):
        for _ in range(6):
            chosen = generator.sample(pieces, 4)
            chunk = "".join(generator.choices(chosen, k=size))[:size]
            assert words_of(chunk) == spacy_words(chunk)


def test_urls_beyond_the_pattern_limit_are_found_as_the_pattern_finds_them() -> None:
    from decant.filters.words.spacy_english import is_long_url

    generator = random.Random(7)
    parts = (
        "http://",
        "user:pass@",
        "a.b",
        "example.com",
        ":80",
        "/p?q",
        "@",
        "..",
        "x",
        "192.0.2.1",
    )
    for _ in range(3_000):
        text = "".join(generator.choices(parts, k=generator.randint(1, 6)))
        assert is_long_url(text, RULES.host) is (RULES.url.match(text) is not None), text


def test_chunks_and_lines_are_those_of_python_for_every_white_space() -> None:
    spaces = [chr(code) for code in range(0x3001) if chr(code).isspace()]
    generator = random.Random(3)
    for _ in range(300):
        pieces = generator.choices([*spaces, "a", "é", "日本", "\U0001f600", "\r\n"], k=30)
        text = "".join(pieces)
        scan = Doc(text).scan
        data = text.encode()
        assert [data[start:stop].decode() for start, stop in scan.spans] == text.split()
        lines = text.splitlines()
        counts = [len(line.split()) for line in lines]
        assert scan.line_chunks.tolist() == [sum(counts[:k]) for k in range(len(lines) + 1)]
        odd = [" ".join(line.split()) != line.strip() for line in lines]
        assert scan.line_odd.tolist() == odd


def test_words_do_not_depend_on_what_the_memo_holds_or_when_it_is_renewed() -> None:
    small, texts = Memo(chunks=300), list(made_texts.texts(60, seed=4))
    lexicons = set()
    for text in [*texts, *texts]:
        current = small.lexicon()
        lexicons.add(id(current))
        assert words_of(text, current) == words_of(text)
    assert len(lexicons) > 5


def test_the_memo_keeps_its_bound() -> None:
    memo = Memo(chunks=1_000)
    generator = random.Random(1)
    for _ in range(200):
        chunks = ["".join(generator.choices(string.ascii_lowercase, k=6)) for _ in range(50)]
        assert len(Doc(" ".join(chunks), memo.lexicon()).chunk_ids) == 50
    assert len(memo.lexicon()) < 1_000 + 50


def test_tables_keep_room_for_every_row_however_they_grow_and_renew() -> None:
    memo, generator = Memo(chunks=9_000), random.Random(2)
    for size in [*generator.choices(range(1, 400), k=250), 7_000, 1, 3_000]:
        chunks = ["".join(generator.choices(string.ascii_letters, k=5)) for _ in range(size)]
        current = memo.lexicon()
        assert words_of(" ".join(chunks), current) == chunks
        assert current.token_strings(Doc(" ".join(chunks), current).words) == chunks
        for table, pools in ((current.chunks, {1, 3, 5}), (current.tokens, {1})):
            rows = [array for place, array in enumerate(table[1:]) if place not in pools]
            assert len({len(array) for array in rows}) == 1
            assert 2 * len(current) <= len(current.chunks.slots)


def test_a_hash_that_always_collides_changes_no_word(monkeypatch) -> None:
    expected = [words_of(text) for text in made_texts.texts(20, seed=6)]
    seeds = lexicon.SEEDS._replace(multiplier=lexicon.np.uint64(0))
    monkeypatch.setattr(lexicon, "SEEDS", seeds)
    crowded = Lexicon(SPLITTER)
    assert [words_of(text, crowded) for text in made_texts.texts(20, seed=6)] == expected
