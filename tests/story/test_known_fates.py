"""A generated crawl goes through all stages, and every page ends as its author meant it to."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.sample.crawl import TRUTH, generate
from decant.pipeline.sample.kinds import CHANCE
from tests import small_tokenizer

PAGES = 400


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> list[tuple[dict, str]]:
    """For each page what was known before, and how it ended."""
    folder = tmp_path_factory.mktemp("fates")
    generate(folder / "crawl", pages=PAGES, seed=6, files=2)
    vocabulary = small_tokenizer.write(folder / "bpe")
    request = RunRequest(
        config="configs/quickstart.yaml",
        output=str(folder / "run"),
        inputs=(str(folder / "crawl"),),
        workers=0,
        settings=(f"tokens.path={vocabulary}",),
    )
    assert execute_run(request) == 3  # some of its records are damaged, as they were meant to be
    ends: dict[str, str] = {}
    for path in sorted((folder / "run").glob("[123]-*/dropped/*.parquet")):
        for row in pq.read_table(path, columns=["id", "rule"]).to_pylist():
            assert ends.setdefault(row["id"], row["rule"]) == row["rule"]
    for path in sorted((folder / "run").glob("4-shards/data/*/*.parquet")):
        for row in pq.read_table(path, columns=["id"]).to_pylist():
            assert ends.setdefault(row["id"], "kept") == "kept"
    lines = (folder / "crawl" / TRUTH).read_text(encoding="utf-8").splitlines()
    return [(page, ends[page["id"]]) for page in map(json.loads, lines)]


def test_every_page_ends_as_it_was_meant_to(ended):
    others = [(page, end) for page, end in ended if end not in page["fate"].split(" or ")]
    assert others == []
    assert len(ended) == PAGES


def test_the_crawl_tries_most_rules(ended):
    fates = Counter(page["fate"] for page, _ in ended)
    assert len(fates) > 20
    assert fates["kept"] > PAGES / 3


def test_of_each_cluster_of_certain_copies_exactly_one_page_is_kept(ended):
    clusters: dict[int, list[str]] = {}
    for page, end in ended:
        if page["cluster"] is not None and page["fate"] != CHANCE:
            clusters.setdefault(page["cluster"], []).append(end)
    copied = {anchor: ends for anchor, ends in clusters.items() if len(ends) > 1}
    assert len(copied) > 5
    for ends in copied.values():
        assert ends.count("kept") == 1
        assert ends.count("minhash_duplicate") == len(ends) - 1


def test_pages_that_are_copies_of_nothing_are_no_duplicates(ended):
    alone = [end for page, end in ended if page["cluster"] is None]
    assert "minhash_duplicate" not in alone
