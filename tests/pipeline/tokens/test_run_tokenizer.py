"""Each run counts with its own tokenizer, and no tokenizer is built twice in a row."""

from decant.pipeline.config import InputConfig, RunConfig, TokensConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.tokens import counter as counting
from decant.pipeline.tokens.counter import NullCounter
from tests import small_tokenizer


def store_of(tmp_path, name: str, tokenizer) -> Store:
    store = Store(str(tmp_path / name))
    config = RunConfig(input=InputConfig(paths=("x",)), tokens=TokensConfig(path=str(tokenizer)))
    assert counting.freeze(store, config) is True
    return store


def test_runs_of_one_process_share_a_tokenizer_only_where_it_is_the_same(tmp_path, monkeypatch):
    merges = small_tokenizer.write(tmp_path / "merges")
    first = store_of(tmp_path, "first", merges)
    again = store_of(tmp_path, "again", merges)
    monkeypatch.setattr(small_tokenizer, "MERGES", [("a", "b")])
    other = store_of(tmp_path, "other", small_tokenizer.write(tmp_path / "fewer"))

    counter = counting.counter(first.url)
    assert counting.counter(again.url) is counter
    assert counter.count(["the word word"]) == [3]
    assert counting.counter(other.url).count(["the word word"]) == [len("the word word")]
    none = Store(str(tmp_path / "none"))
    assert isinstance(counting.counter(none.url), NullCounter)
