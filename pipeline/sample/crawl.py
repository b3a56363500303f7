"""A generated crawl: WARC files of self-written pages, and beside them the fate of every page.

Page number i depends on the seed and on i alone, so that pages stream out one at a time whatever
their number. Every tenth page is a plain article, an anchor; every tenth after a first few is a
copy of an earlier anchor, exact or with some of its sentences rewritten, so that the similarity of
the two is known. `truth.jsonl` has one line a page: the rule that should end it under FineWeb's
recipe, or `kept`, or `duplicate`; its kind; its cluster and the Jaccard similarity to the anchor.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TextIO

from decant.pipeline.sample.english import PLACES, Writer
from decant.pipeline.sample.html import page as html_page
from decant.pipeline.sample.html import shell
from decant.pipeline.sample.kinds import CHANCE, DUPLICATE, KEPT, KINDS, Block, Kind, article
from decant.pipeline.sample.languages import ENGLISH
from decant.pipeline.sample.warc import Fetched, WarcWriter, warc_path

TRUTH = "truth.jsonl"
ANCHOR_EVERY = 10
SHINGLE_WORDS = 5
# Shares of an anchor's sentences that a copy rewrites, f: 5-gram Jaccard is near (1-f)/(1+f).
REWRITTEN = (0.0, 0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.33)
# 14 bands x 8 rows find a pair of Jaccard 0.9 with probability 0.9996, one of 0.3 with 0.001.
CERTAIN_JACCARD, UNLIKELY_JACCARD = 0.9, 0.3

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Truth:
    """What is known about a page before any pipeline has seen it."""

    page: int
    file_path: str
    id: str
    url: str
    kind: str
    fate: str
    language: str
    charset: str
    cluster: int | None = None  # the page number of its anchor
    jaccard: float | None = None  # of the 5-word shingles of its main part and the anchor's


@dataclass(frozen=True)
class Draft:
    """A page before it is put into a record."""

    fetched: Fetched
    kind: Kind
    fate: str
    charset: str
    cluster: int | None = None
    jaccard: float | None = None


def generate(
    out: Path | str,
    pages: int | None = 1_000,
    seed: int = 1,
    files: int = 2,
    file_bytes: int | None = None,
    level: int = 6,
) -> str:
    """Fill the folder `out` with a crawl and its truth; returns one sentence about it.

    With `file_bytes` each file goes on until it holds that much (uncompressed), and `pages` is
    only an upper bound.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    written = raw_bytes = 0
    with (folder / TRUTH).open("w", encoding="utf-8", newline="\n") as truth:
        for number in range(files):
            end = None if pages is None else pages * (number + 1) // files
            count, size = _write_file(
                folder, number, (written, end), seed, file_bytes, level, truth
            )
            written += count
            raw_bytes += size
    return f"{written:,} pages in {files} WARC files ({raw_bytes / 1e6:,.1f} MB raw) in {folder}"


def _write_file(
    folder: Path,
    number: int,
    span: tuple[int, int | None],
    seed: int,
    file_bytes: int | None,
    level: int,
    truth: TextIO,
) -> tuple[int, int]:
    """(pages written, raw bytes) of WARC file `number`, which holds the pages of `span`."""
    path = warc_path(number)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    first, end = span
    at = first
    with target.open("wb") as file:
        random = Random(f"{seed} file {number}")
        warc = WarcWriter(file, target.name, random, level)
        while (end is None or at < end) and (file_bytes is None or warc.raw_bytes < file_bytes):
            draft = make_page(seed, at)
            damaged = draft.kind.payload == "damaged"
            identity = warc.write_page(draft.fetched, random, damaged)
            line = Truth(
                at, path, identity, draft.fetched.url, draft.kind.name, draft.fate,
                draft.fetched.tongue.code, draft.charset, draft.cluster, draft.jaccard,
            )  # fmt: skip
            truth.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
            at += 1
        return at - first, warc.raw_bytes


def make_page(seed: int, number: int) -> Draft:
    """Page `number` of the crawl of this seed."""
    random = Random(f"{seed} page {number}")
    if number % ANCHOR_EVERY == 0:
        return _anchor(seed, number, random)
    if number % ANCHOR_EVERY == ANCHOR_EVERY - 1:
        return _copy(seed, number, random)
    kind = random.choices(KINDS, [kind.share for kind in KINDS])[0]
    return _draft(kind, kind.blocks(random), number, random, kind.fate)


def _anchor(seed: int, number: int, random: Random) -> Draft:
    return _draft(KINDS[0], anchor_blocks(seed, number), number, random, KEPT, number)


def anchor_blocks(seed: int, number: int) -> list[Block]:
    """The main part of an anchor, from its own number alone."""
    return article(Random(f"{seed} anchor {number}"))


def _copy(seed: int, number: int, random: Random) -> Draft:
    """A copy of an earlier anchor; low anchors come up most, which gives some large clusters."""
    anchors = number // ANCHOR_EVERY + 1
    anchor = ANCHOR_EVERY * int(random.random() ** 2 * anchors)
    model = anchor_blocks(seed, anchor)
    blocks = rewritten(model, random.choice(REWRITTEN), random)
    similarity = jaccard(model, blocks)
    fate = DUPLICATE if similarity >= CERTAIN_JACCARD else CHANCE
    if similarity < UNLIKELY_JACCARD:
        fate = KEPT
    return _draft(KINDS[0], blocks, number, random, fate, anchor, round(similarity, 4))


def rewritten(blocks: list[Block], share: float, random: Random) -> list[Block]:
    """The blocks with a run of sentences, `share` of them all, replaced by new ones."""
    sentences = [
        (block, sentence) for block, (_, text) in enumerate(blocks) for sentence in text.split(". ")
    ]
    count = round(share * len(sentences))
    start = random.randrange(len(sentences) - count + 1)
    writer = Writer(random)
    parts: list[list[str]] = [[] for _ in blocks]
    for at, (block, sentence) in enumerate(sentences):
        new = start <= at < start + count
        parts[block].append(writer.sentence("") if new else sentence.removesuffix("."))
    return [(name, ". ".join(part) + ".") for (name, _), part in zip(blocks, parts, strict=True)]


def jaccard(one: list[Block], other: list[Block]) -> float:
    """The Jaccard similarity of the 5-word shingles of two main parts."""
    first, second = _shingles(one), _shingles(other)
    return len(first & second) / len(first | second)


def _shingles(blocks: list[Block]) -> set[tuple[str, ...]]:
    words = _WORD.findall(" ".join(text for _, text in blocks).lower())
    return set(zip(*(words[at:] for at in range(SHINGLE_WORDS)), strict=False))


def _draft(
    kind: Kind,
    blocks: list[Block],
    number: int,
    random: Random,
    fate: str,
    cluster: int | None = None,
    similarity: float | None = None,
) -> Draft:
    tongue = kind.tongue
    charset = random.choice(tongue.charsets)
    url = _url(kind, number, random)
    host = url.split("/")[2]
    title = Writer(random).title() if tongue is ENGLISH else blocks[0][1][:40]
    html = shell(host) if kind.payload == "shell" else ""
    html = html or html_page(host, title, blocks, tongue.code, charset)
    payload = _payload(kind, html.encode(charset, "xmlcharrefreplace"), random)
    is_pdf = kind.payload == "pdf"
    date = f"2024-02-20T{21 + number // 3600 % 3}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    fetched = Fetched(
        url=url,
        payload=payload,
        payload_type="application/pdf" if is_pdf else "text/html",
        content_type="application/pdf" if is_pdf else f"text/html; charset={charset}",
        date=date,
        tongue=tongue,
    )
    return Draft(fetched, kind, fate, charset, cluster, similarity)


def _url(kind: Kind, number: int, random: Random) -> str:
    host = f"www.{random.choice(PLACES).lower()}-{random.randrange(40)}.example.org"
    place = (kind.url or "{host}").format(host=host)
    slug = random.choice(PLACES).lower()
    return f"https://{place}/2024/02/{slug}-{number}.html"


def _payload(kind: Kind, page: bytes, random: Random) -> bytes:
    if kind.payload == "pdf":
        return b"%PDF-1.4\n" + random.randbytes(2_000)
    if kind.payload == "noise":
        return random.randbytes(3_000)
    return b"" if kind.payload == "nothing" else page
