"""The tokenizer a run counts with, frozen into the run directory.

The driver looks for it once, before anything is read; the workers load the frozen copy. So a
network that comes and goes cannot leave a column half null, and a cluster's nodes need no copy of
their own.
"""

from functools import lru_cache

from tokenizers import Tokenizer

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.tokens import (
    Counter,
    NullCounter,
    TokenCounter,
    find_tokenizer,
    load_tokenizer,
)

FROZEN = "tokenizer.json"


def freeze(store: Store, config: RunConfig) -> bool:
    """Put the configured tokenizer into the run; False where it is missing and nulls will do.

    Raises TokenizerMissing where the configuration says that it must be there.
    """
    tokens = config.tokens
    found = find_tokenizer(tokens.tokenizer, tokens.path, tokens.when_missing)
    if found is None:
        store.remove(FROZEN)
        return False
    data = load_tokenizer(found).to_str().encode()
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
