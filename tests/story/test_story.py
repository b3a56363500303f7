"""One evening at the paper: thirty records go in, and each has the end that the table says.

The table is the pipeline's promise in one place: what is skipped, what every stage drops and by
which rule, what is a copy, what is kept, and what FineWeb's oddities (`wart`) let through.
"""

import gzip
import json
from dataclasses import dataclass
from random import Random

import pyarrow.parquet as pq
import pytest

from decant.pipeline.command import RunRequest, execute_run
from decant.pipeline.sample.crawl import jaccard, rewritten
from decant.pipeline.sample.english import Writer
from decant.pipeline.sample.languages import TONGUES
from tests import small_tokenizer
from tests.story.records import PATH, Warc, chunked, page, record_id, response

KEPT, SKIPPED = "kept", "skipped"
SITE = "https://paper.example.org/"


def article(topic: str, seed: int = 0) -> list[str]:
    return Writer(Random(f"{topic} {seed}"), topic).article(7)


GARDENS, HARBOURS, KITCHENS = article("gardens"), article("harbours"), article("kitchens")
NEAR = [text for _, text in rewritten([("p", text) for text in GARDENS], 0.04, Random(3))]
GERMAN = [TONGUES[0].paragraph(Random(seed), 5) for seed in range(4)]
GREEK = page(*(TONGUES[7].paragraph(Random(seed), 5) for seed in range(4))).encode()


@dataclass(frozen=True)
class Line:
    """A line of the table: what comes in, how it ends, and what is noted with it."""

    label: str
    record: Warc
    fate: str
    detail: str | None = None


def html(
    label: str, paragraphs: list[str], fate: str, detail: str | None = None, url: str | None = None
) -> Line:
    """A plain page in UTF-8 at an address of its own."""
    body = response(page(*paragraphs).encode())
    address = url or SITE + label.replace(" ", "-")
    return Line(label, Warc("response", body, address), fate, detail)


def raw(label: str, body: bytes, fate: str, detail: str | None = None, **fields) -> Line:
    kind = fields.pop("kind", "response")
    address = SITE + label.replace(" ", "-")
    return Line(label, Warc(kind, body, address, **fields), fate, detail)


def with_line(paragraphs: list[str], line: str) -> list[str]:
    return [*paragraphs[:2], line, *paragraphs[2:]]


XHTML = "application/xhtml+xml"
ACCENTS = "The café serves crème, soufflé and pâté; the décor, à la mode, is très chic."
SPAM = "Buy good shoes here, buy good shoes now, buy good shoes at once and cheap. "
LOREM = "Lorem ipsum dolor sit amet."
BRACKET = "The loop starts with while (tide > 0) { row(); } and ends at noon."
SCRIPT = f"JavaScript: {BRACKET}"
CONTACT = "Write to Ann.Lee@post.example or ask 8.8.8.8 about it."
STORY = [
    raw("what the file is", b"isPartOf: CC-MAIN-2024-10\r\n", SKIPPED, kind="warcinfo"),
    raw("what was asked", b"GET / HTTP/1.1\r\n\r\n", SKIPPED, kind="request"),
    html("the first article", GARDENS, KEPT),
    raw("what was measured", b"fetchTimeMs: 80\r\n", SKIPPED, kind="metadata"),
    # What counts as a page, and as its text.
    raw("latin-1", response(page(*KITCHENS, ACCENTS).encode("latin-1")), KEPT),
    raw("xhtml", response(page(*article("bees")).encode()), KEPT, payload_type=XHTML),
    raw("no type, html", response(page(*article("music")).encode()), KEPT, payload_type=None),
    raw("no type, pdf", response(b"%PDF-1.4\n\0\1\2"), "not_html", payload_type=None),
    raw("an image", response(b"\x89PNG\r\n"), "not_html", "image/png", payload_type="image/png"),
    raw(
        "chunked and zipped",
        response(
            chunked(gzip.compress(page(*article("weather")).encode())),
            Transfer_Encoding="chunked", Content_Encoding="gzip",
        ),
        KEPT,
    ),
    raw("wart: a 404 page is a page", response(page(*HARBOURS).encode(), "404 Not Found"), KEPT),
    raw("no body", response(b""), "empty_payload"),
    raw("broken greek", response(GREEK[:400] + GREEK[401:]), "undecodable_charset"),
    raw("plain text", "\n".join(article("libraries")).encode(), KEPT, kind="conversion",
        payload_type="text/plain"),
    raw("cut off", response(page(*article("museums")).encode()), "error", cut=True),
    # Addresses.
    html("listed", GARDENS, "url_domain", "pornhub.com", "https://www.pornhub.com/a"),
    html("banned word", GARDENS, "url_banned_word", "bdsm", SITE + "bdsm/a"),
    html("two soft words", GARDENS, "url_soft_banned_words", "sexy webcam", SITE + "sexy/webcam"),
    html("wart: in capitals it passes", article("railways"), KEPT, None, SITE + "BDSM/a"),
    # Texts, in the order in which the rules stand.
    html("german", GERMAN, "language_score", "de"),
    raw("a shell", response(b"<html><body><script>go()</script></html>"), "extraction_empty"),
    html("short", [" ".join(GARDENS)[:270]], "gopher_word_count_floor"),
    html("spam", [SPAM * 9], "gopher_top_2_gram_char_fraction"),
    html("lorem", with_line(article("museums", 1), LOREM), "c4_lorem_ipsum_lines"),
    html("code", with_line(article("museums", 2), BRACKET), "c4_curly_bracket_lines"),
    html("wart: code after javascript", with_line(article("museums", 3), SCRIPT), KEPT),
    # Copies.
    html("the same again", GARDENS, "minhash_duplicate"),
    html("nearly the same", NEAR, "minhash_duplicate"),
    html("same topic, other words", article("gardens", 9), KEPT),
    html("addresses", [*article("bicycles"), CONTACT], KEPT),
]  # fmt: skip


@dataclass(frozen=True)
class Told:
    """The finished run: its ledger, its dropped rows and its documents by record id."""

    code: int
    ledger: dict
    dropped: dict[str, dict]
    documents: dict[str, dict]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Told:
    folder = tmp_path_factory.mktemp("story")
    path = folder / "in" / PATH
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(line.record.to_bytes(at) for at, line in enumerate(STORY)))
    run = folder / "run"
    vocabulary = small_tokenizer.write(folder / "bpe")
    request = RunRequest(
        config="configs/quickstart.yaml",
        output=str(run),
        inputs=(str(folder / "in"),),
        workers=0,
        settings=(f"tokens.path={vocabulary}",),
    )
    code = execute_run(request)
    return Told(
        code=code,
        ledger=json.loads((run / "ledger.json").read_text()),
        dropped=rows_of(run, "[123]-*/dropped/*.parquet"),
        documents=rows_of(run, "4-shards/data/*/*.parquet"),
    )


def rows_of(run, pattern) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    for path in sorted(run.glob(pattern)):
        for row in pq.read_table(path).to_pylist():
            assert row["id"] not in rows, "a record has one end only"
            rows[row["id"]] = row
    return rows


def test_the_story_has_thirty_records_and_ends_well(told):
    assert len(STORY) == 30
    assert told.code == 3  # one record is damaged: its bytes are named


@pytest.mark.parametrize(("at", "line"), list(enumerate(STORY)), ids=[line.label for line in STORY])
def test_a_record_ends_as_the_table_says(told, at, line):
    identity = record_id(at)
    ends = []
    if identity in told.documents:
        ends.append(KEPT)
    if identity in told.dropped:
        ends.append(told.dropped[identity]["rule"])
    assert (ends or [SKIPPED]) == [line.fate]
    if line.detail is not None:
        assert told.dropped[identity]["detail"] == line.detail
    if identity in told.dropped:
        assert told.dropped[identity]["url"] == line.record.url


def test_every_stage_takes_in_what_it_keeps_drops_or_fails_on(told):
    taken = sum(line.fate != SKIPPED for line in STORY)
    for stage in ("extract", "filter", "deduplicate", "shard"):
        entry = told.ledger["stages"][stage]
        assert entry["in"] == taken
        assert entry["in"] == entry["kept"] + sum(entry["dropped"].values()) + entry["errors"]
        taken = entry["kept"]
    assert taken == sum(line.fate == KEPT for line in STORY) == len(told.documents)
    skipped = told.ledger["stages"]["extract"]["skipped"]
    assert skipped == {"metadata": 1, "request": 1, "warcinfo": 1}


def document(told, label):
    return told.documents[
        record_id(next(at for at, line in enumerate(STORY) if line.label == label))
    ]


def dropped(told, label):
    return told.dropped[record_id(next(at for at, line in enumerate(STORY) if line.label == label))]


def test_a_dropped_row_carries_the_value_and_the_bound_it_failed(told):
    short = dropped(told, "short")
    assert short["value"] < short["bound"] == 50
    spam = dropped(told, "spam")
    assert spam["value"] > spam["bound"] == 0.2
    german = dropped(told, "german")
    assert german["value"] <= german["bound"] == 0.65
    assert dropped(told, "banned word")["value"] is None


def test_copies_name_the_document_they_are_copies_of(told):
    first = document(told, "the first article")
    for label in ("the same again", "nearly the same"):
        assert dropped(told, label)["duplicate_of"] == first["id"]
        assert dropped(told, label)["cluster_size"] == 3
    assert first["minhash_cluster_size"] == 3
    assert document(told, "same topic, other words")["minhash_cluster_size"] == 1
    planted = jaccard([("p", text) for text in GARDENS], [("p", text) for text in NEAR])
    assert dropped(told, "the same again")["jaccard"] == 1.0
    # Estimated from 112 permutations: standard error sqrt(0.9 * 0.1 / 112) = 0.03.
    assert dropped(told, "nearly the same")["jaccard"] == pytest.approx(planted, abs=0.09)


def test_the_text_of_a_kept_page_is_its_paragraphs(told):
    assert document(told, "the first article")["text"].split("\n") == GARDENS
    assert ACCENTS in document(told, "latin-1")["text"]
    assert document(told, "plain text")["text"].split("\n") == article("libraries")


def test_edits_and_replacements_show_in_the_published_text(told):
    assert "JavaScript" not in document(told, "wart: code after javascript")["text"]
    text = document(told, "addresses")["text"]
    assert text.endswith("Write to email@example.com or ask 22.214.171.124 about it.")


def test_a_published_row_has_fineweb_columns(told):
    row = document(told, "the first article")
    assert row["url"] == SITE + "the-first-article"
    assert row["dump"] == "CC-MAIN-2024-10"
    assert row["file_path"] == PATH
    assert row["date"] == "2024-02-20T21:11:17Z"
    assert row["language"] == "en"
    assert 0.65 < row["language_score"] <= 1.0001
    assert row["token_count"] > len(row["text"].split())
