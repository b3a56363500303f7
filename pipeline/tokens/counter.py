"""Token counts of documents, as datatrove's TokensCounter: GPT-2's byte-level BPE, no end token.

The tokenizer comes from a folder with `encoder.json` and `vocab.bpe` (OpenAI's names) or
`vocab.json` and `merges.txt` (the hub's), from a `tokenizer.json`, or from the hub. Where it cannot
be had, `when_missing` says whether that ends the run or gives a column of nulls.

The tokenizer a run counts with, frozen into the run directory.

The driver looks for it once, before anything is read; the workers load the frozen copy. So a
network that comes and goes cannot leave a column half null, and a cluster's nodes need no copy of
their own.
"""

import re
import urllib.request
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

from tokenizers import Tokenizer, models, pre_tokenizers

from decant.filters.words.unicode import without_surrogates
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.tokens.bpe import merges_of_tokenizer
from decant.pipeline.tokens.memo import WordMemo

# Encoding a text costs about 130 bytes of memory a character: 10 MB at once took 1.2 GB.
PART_CHARS = 200_000
# Without white space there is no safe place to cut; a longer run is cut where it stands, which can
# change the count by a token or two per million characters.
UNBROKEN_CHARS = 500_000
# Most words of a text have been counted before: 300,000 of them take about 30 MB.
MEMO_WORDS = 300_000
PROBE_TIMEOUT_S = 5
REMEDY = (
    "set tokens.path to a folder with encoder.json and vocab.bpe, or tokens.when_missing: null for "
    "a column of nulls"
)
END_OF_TEXT = "<|endoftext|>"
VOCABULARY_FILES = (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt"))

# Unicode's White_Space, which is what the tokenizer's own pattern calls \s; Python's has four more.
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# A GPT-2 token may have white space at its head, never behind anything visible. So every place
# before white space that follows something visible is a border of tokens, and no pattern looks
# across it: the tokens of a text are those of its words, each with the white space before it.
_SAFE_CUT = re.compile(rf"(?<=[^{_SPACE}])[{_SPACE}]")


class TokenizerMissing(Exception):
    """The tokenizer cannot be had; the message says how to get it."""


class Counter(Protocol):
    """Anything that counts the tokens of a batch of texts."""

    def count(self, texts: Sequence[str]) -> list[int | None]: ...


class NullCounter:
    """Counts nothing: each text has an unknown number of tokens."""

    def count(self, texts: Sequence[str]) -> list[int | None]:
        return [None] * len(texts)


class TokenCounter:
    """Counts with a loaded tokenizer, in this thread, with a bounded memory of words."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._added = [added.content for added in tokenizer.get_added_tokens_decoder().values()]
        self._memo = None
        if _is_gpt2_like(tokenizer):
            # `encode`, not `encode_batch`: the latter starts a thread per core in every worker.
            merges = merges_of_tokenizer(tokenizer)
            self._memo = WordMemo(merges, lambda word: len(tokenizer.encode(word)), MEMO_WORDS)

    def count(self, texts: Sequence[str]) -> list[int | None]:
        return [self.count_one(text) for text in texts]

    def count_one(self, text: str) -> int:
        """The number of tokens of `text`; a lone surrogate counts as U+FFFD."""
        text, _ = without_surrogates(text)
        if self._memo is None:
            return len(self._tokenizer.encode(text))
        plain = not any(added in text for added in self._added)
        return sum(self._memo.total(part, plain) for part in parts(text))


def token_counter(
    tokenizer: str = "gpt2",
    path: str | Path | None = None,
    when_missing: Literal["error", "null"] | None = "error",
) -> Counter:
    """The counter of a run: from `path` if given, else from the hub by the tokenizer's name."""
    place = find_tokenizer(tokenizer, path, when_missing)
    return NullCounter() if place is None else TokenCounter(load_tokenizer(place))


def find_tokenizer(
    tokenizer: str = "gpt2",
    path: str | Path | None = None,
    when_missing: Literal["error", "null"] | None = "error",
) -> Path | None:
    """The file or folder to load, or None where it cannot be had and nulls will do.

    A run asks once and hands the answer to its workers, so that a network that comes and goes gives
    no column that is half null. A `path` that holds no tokenizer is always an error: someone meant
    it to be there.
    """
    if path is not None:
        load_tokenizer(Path(path))
        return Path(path)
    try:
        return _hub_file(tokenizer)
    except TokenizerMissing:
        if when_missing == "error":
            raise
        return None


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, or of a folder with one or with the two GPT-2 files."""
    if path.is_file():
        return _from_json(path)
    if (path / "tokenizer.json").is_file():
        return _from_json(path / "tokenizer.json")
    for vocabulary, merges in VOCABULARY_FILES:
        if (path / vocabulary).is_file() and (path / merges).is_file():
            return _gpt2(path / vocabulary, path / merges)
    raise TokenizerMissing(
        f"tokens.path {str(path)!r} holds no tokenizer: expected a tokenizer.json, or a folder "
        f"with one, or with encoder.json and vocab.bpe"
    )


def parts(text: str) -> Iterator[str]:
    """`text` in parts of bounded size whose GPT-2 token counts add up to that of the whole."""
    at = 0
    while len(text) - at > PART_CHARS:
        limit = at + UNBROKEN_CHARS
        cut = _SAFE_CUT.search(text, at + PART_CHARS, limit)
        end = cut.start() if cut else min(limit, len(text))
        yield text[at:end]
        at = end
    yield text[at:]


def _gpt2(vocabulary: Path, merges: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
    except Exception as error:  # the Rust side raises bare Exception
        raise TokenizerMissing(f"{vocabulary.parent}: no GPT-2 vocabulary: {error}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def _from_json(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise TokenizerMissing(f"{path}: not a tokenizer.json: {error}") from error


def _hub_file(name: str) -> Path:
    """The hub's `tokenizer.json`, from its cache on this machine where it is there."""
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise TokenizerMissing(
            f"tokenizer {name!r} lies on the hub, and huggingface_hub is not installed; {REMEDY}"
        ) from error
    try:
        cached = hub.try_to_load_from_cache(name, "tokenizer.json")
        if isinstance(cached, str):
            return Path(cached)
        # One quick look before the hub's client, which retries for 23 s where there is no network.
        urllib.request.urlopen(hub.constants.ENDPOINT, timeout=PROBE_TIMEOUT_S).close()
        return Path(hub.hf_hub_download(name, "tokenizer.json"))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise TokenizerMissing(
            f"tokenizer {name!r} cannot be fetched from {hub.constants.ENDPOINT} ({reason[0]}); "
            f"{REMEDY}"
        ) from error


def _is_gpt2_like(tokenizer: Tokenizer) -> bool:
    """Whether words may be counted one by one: GPT-2's splitting, nothing added or changed."""
    splitting = tokenizer.pre_tokenizer
    return (
        isinstance(splitting, pre_tokenizers.ByteLevel)
        and splitting.use_regex
        and not splitting.add_prefix_space
        and tokenizer.normalizer is None
        and tokenizer.num_special_tokens_to_add(False) == 0
    )


FROZEN = "tokenizer.json"


def freeze(store: Store, config: RunConfig) -> bool:
    """Put the configured tokenizer into the run; False where it is missing and nulls will do.

    Raises TokenizerMissing where the configuration says that it must be there.
    """
    tokens = config.tokens
    place = find_tokenizer(tokens.tokenizer, tokens.path, tokens.when_missing)
    if place is None:
        store.remove(FROZEN)
        return False
    data = load_tokenizer(place).to_str().encode()
    if not (store.exists(FROZEN) and store.read_bytes(FROZEN) == data):
        store.write_bytes(FROZEN, data)
    return True


@lru_cache(maxsize=1)
def counter(store_url: str) -> Counter:
    """The counter of a run's frozen tokenizer; one that knows no counts where there is none."""
    store = Store(store_url)
    if not store.exists(FROZEN):
        return NullCounter()
    return _loaded(store.read_bytes(FROZEN).decode())


@lru_cache(maxsize=1)
def _loaded(tokenizer: str) -> Counter:
    """Built in 0.6 s: the next run of a process, with the same tokenizer, keeps it."""
    return TokenCounter(Tokenizer.from_str(tokenizer))
