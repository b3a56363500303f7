import pytest

from decant.pipeline.config import load
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.run import run_stages
from decant.pipeline.rundir import inputs
from decant.pipeline.sample.crawl import generate
from decant.pipeline.shard import published_files

RETAIN = {
    "everything": (),
    "no texts": ("retain.extracted=false",),
    "no dropped texts": ("retain.dropped_text=false",),
    "no signatures": ("retain.signatures=false",),
}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crawl")
    generate(folder, pages=60, seed=5, files=1)
    return folder


def finish(crawl, folder, settings) -> Store:
    """A finished run, asked for twice: the second time must do nothing."""
    overrides = [f"input.paths=[{crawl}]", "tokens.when_missing=null", *settings]
    config = load("configs/quickstart.yaml", overrides)
    folder.mkdir()
    store = Store(str(folder))
    for _ in range(2):
        inputs.freeze(store, config)
        with Engine(store, config) as engine:
            run_stages(engine, store, config)
    return store


def test_what_is_not_retained_goes_and_the_corpus_stays_the_same(crawl, tmp_path):
    stores = {
        name: finish(crawl, tmp_path / name.replace(" ", "-"), settings)
        for name, settings in RETAIN.items()
    }
    corpora = {
        name: [store.read_bytes(path) for path in published_files(store)]
        for name, store in stores.items()
    }
    assert all(corpus == corpora["everything"] for corpus in corpora.values())
    whole = stores["everything"]
    assert whole.exists("1-extracted/00000.parquet")
    assert whole.exists("2-filtered/signatures/00000.parquet")
    assert not stores["no texts"].exists("1-extracted/00000.parquet")
    assert stores["no texts"].exists("1-extracted/dropped/00000.parquet")
    assert not stores["no signatures"].exists("2-filtered/signatures")
    kept = whole.read_table("2-filtered/kept/00000.parquet").num_rows
    texts = "1-extracted/00000.parquet"
    assert stores["no dropped texts"].read_table(texts).num_rows == kept
    assert whole.read_table(texts).num_rows > kept
