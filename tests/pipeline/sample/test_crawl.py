"""A generated crawl is the same for the same seed, reads as WARC, and knows what is in it."""

import gzip
import io
import json
from collections import Counter
from random import Random

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from decant.pipeline.page.charset import fineweb_text
from decant.pipeline.sample.crawl import (
    ANCHOR_EVERY,
    TRUTH,
    anchor_blocks,
    generate,
    jaccard,
    make_page,
    rewritten,
)
from decant.pipeline.sample.kinds import KINDS
from decant.pipeline.sample.languages import TONGUES


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crawl")
    generate(folder, pages=300, seed=1, files=2)
    return folder


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def truth_of(folder):
    lines = (folder / TRUTH).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(crawl, tmp_path):
    generate(tmp_path / "again", pages=300, seed=1, files=2)
    generate(tmp_path / "other", pages=300, seed=2, files=2)
    assert files_of(tmp_path / "again") == files_of(crawl)
    assert files_of(tmp_path / "other") != files_of(crawl)


def test_a_page_depends_on_its_number_and_not_on_how_many_there_are(crawl, tmp_path):
    generate(tmp_path, pages=40, seed=1, files=1)
    urls = [line["url"] for line in truth_of(tmp_path)]
    assert urls == [line["url"] for line in truth_of(crawl)][:40]


def test_every_record_is_a_gzip_member_in_the_order_commoncrawl_writes(crawl):
    path = next(path for path in sorted(crawl.rglob("*.warc.gz")))
    assert path.relative_to(crawl).as_posix().startswith("crawl-data/CC-MAIN-2024-10/segments/")
    data = path.read_bytes()
    kinds = []
    for record in ArchiveIterator(io.BytesIO(data), parse_http=False):
        assert data[record.stream_pos : record.stream_pos + 2] == b"\x1f\x8b"
        kinds.append(record.record_type)
        if len(kinds) == 10:
            break
    page = [WarcRecordType.request, WarcRecordType.response, WarcRecordType.metadata]
    assert kinds == [WarcRecordType.warcinfo, *page, *page, *page]


def test_the_truth_names_every_response_that_can_be_read_by_its_record_id(crawl):
    truth = truth_of(crawl)
    ids = {line["id"]: line for line in truth}
    assert len(ids) == len(truth) == 300
    seen = 0
    for path in sorted(crawl.rglob("*.warc.gz")):
        blocks = path.read_bytes().split(b"\x1f\x8b\x08")
        for block in blocks[1:]:
            try:
                text = gzip.decompress(b"\x1f\x8b\x08" + block)
            except (OSError, EOFError):
                continue  # damaged on purpose, or the marker within compressed bytes
            if b"WARC-Type: response" in text[:200]:
                name = text.split(b"WARC-Record-ID: ")[1].split(b"\r\n")[0].decode()
                assert ids[name]["file_path"].endswith(path.name)
                seen += 1
    damaged = sum(line["fate"] == "error" for line in truth)
    assert 270 < seen <= 300 - damaged


def test_every_kind_of_page_and_every_language_comes_up():
    drafts = [make_page(4, number) for number in range(2_000)]
    assert {draft.kind.name for draft in drafts} == {kind.name for kind in KINDS}
    charsets = {(draft.kind.tongue.code, draft.charset) for draft in drafts}
    for tongue in TONGUES:
        assert {charset for code, charset in charsets if code == tongue.code} == {*tongue.charsets}


def test_pages_in_legacy_charsets_decode_to_what_was_written():
    texts = Counter()
    for number in range(400):
        draft = make_page(9, number)
        if draft.kind.payload == "page" and draft.kind.tongue in TONGUES:
            expected = draft.fetched.payload.decode(draft.charset)
            texts[draft.charset, fineweb_text(draft.fetched.payload) == expected] += 1
    right = sum(count for (_, same), count in texts.items() if same)
    assert right > 0.9 * texts.total()  # a short page can be taken for a neighbouring charset


def test_a_copy_says_how_similar_it_is_to_its_anchor():
    for number in range(ANCHOR_EVERY - 1, 400, ANCHOR_EVERY):
        draft = make_page(1, number)
        assert draft.cluster is not None and draft.cluster < number
        assert draft.jaccard is not None
        assert (draft.fate == "minhash_duplicate") is (draft.jaccard >= 0.9)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.33])
def test_rewriting_a_share_f_of_the_sentences_leaves_a_jaccard_of_about_1_minus_f_by_1_plus_f(
    share,
):
    found = []
    for seed in range(20):
        model = anchor_blocks(seed, 0)
        found.append(jaccard(model, rewritten(model, share, Random(seed))))
    assert sum(found) / len(found) == pytest.approx((1 - share) / (1 + share), abs=0.06)


def test_a_file_can_be_asked_for_by_its_size(tmp_path):
    generate(tmp_path, pages=None, files=2, file_bytes=1_000_000, level=0)
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.warc.gz")]
    assert len(sizes) == 2
    assert all(900_000 < size < 1_200_000 for size in sizes)  # level 0 stores, does not compress
