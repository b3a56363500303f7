"""How fast rules, C4's edits and signatures are, ours and datatrove's, both in one process.

    python -m tests.bench.rules [--documents 2000] [--reference 200]

English pages of the real sample (tests/real_data.py), extracted first, untimed. Both sides stop at
the first failing rule, as configs/fineweb.yaml says, and sign what is kept. Times are CPU times of
the process. datatrove runs on evenly spaced pages of the same list; its cost per page does not
depend on what it has seen. "first pass" starts with an empty memo, "steady state" is the second.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType

from decant.filters import minhash
from decant.filters.recipe import Recipe
from decant.filters.words.lexicon import MEMO
from decant.pipeline import config
from decant.pipeline.engine.light_spacy import import_spacy
from tests import real_data

FINEWEB = Path(__file__).parents[2] / "configs" / "fineweb.yaml"
WARM_UP = 20  # pages, enough that every kernel is compiled or read from its file
SHORT_BYTES = 2_200  # the signature alone is also timed on pages cut to this size


def english_pages(count: int) -> list[str]:
    """Main texts of real English pages, the same `count` each time."""
    from decant.filters.language import LanguageId
    from decant.pipeline.page.language_model import model_path
    from decant.pipeline.text.engines import extractor

    language, extract = LanguageId(model_path("lid.176.ftz")), extractor("trafilatura")
    found: list[str] = []
    for html in raw_pages():
        text = extract(html)
        if text and language.identify(text, ["en"]).wanted_score > 0.65:
            found.append(text)
            if len(found) == count:
                break
    return found


def raw_pages() -> Iterator[str]:
    """The pages of the real sample that are UTF-8."""
    for path in sorted(real_data.folder("web").glob("*.warc.gz")):
        with path.open("rb") as file:
            types = WarcRecordType.response
            for record in ArchiveIterator(file, record_types=types, parse_http=True):
                try:
                    yield record.reader.read().decode()
                except UnicodeDecodeError:
                    continue


def cpu_seconds(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """CPU seconds of `work` over all texts."""
    start = time.process_time()
    for text in texts:
        work(text)
    return time.process_time() - start


def filter_and_sign(recipe: Recipe) -> Callable[[str], object]:
    """Our filter stage without its files."""

    def work(text: str) -> object:
        verdict = recipe.judge(text)
        return minhash.signature(minhash.shingles(verdict.doc)) if verdict.kept else None

    return work


def reference_filter_and_sign(text: str) -> object:
    """datatrove's filters and signature."""
    from tests.parity import reference_rules

    reason, kept_text = reference_rules.judge(text)
    return reference_rules.signature(kept_text) if reason is None else None


def sign(text: str) -> object:
    """Our signature, from text."""
    from decant.filters.doc import Doc

    return minhash.signature(minhash.shingles(Doc(text)))


def measure(texts: list[str], reference_count: int) -> list[tuple[str, float, float]]:
    """(what, seconds per document, bytes per document) of both sides."""
    import_spacy()
    recipe = config.load(FINEWEB).recipe()
    work = filter_and_sign(recipe)
    for text in ["Compile, load. " * 40, *texts[:WARM_UP]]:
        work(text), sign(text), reference_filter_and_sign(text)
    MEMO.clear()
    size = mean_bytes(texts)
    sample = texts[:: max(1, len(texts) // reference_count)]
    short = [text.encode()[:SHORT_BYTES].decode(errors="ignore") for text in texts]
    rows = [("first pass", cpu_seconds(work, texts) / len(texts), size)]
    rows.append(("steady state", cpu_seconds(work, texts) / len(texts), size))
    cpu_seconds(sign, texts + short)  # the memo learns what filtered pages hold, and cut words
    for name, signed in (("signature from text", texts), ("the same, cut to 2.2 kB", short)):
        rows.append((name, cpu_seconds(sign, signed) / len(signed), mean_bytes(signed)))
    seconds = cpu_seconds(reference_filter_and_sign, sample) / len(sample)
    rows.append((f"datatrove 0.10.1, {len(sample)} of the pages", seconds, mean_bytes(sample)))
    return rows


def mean_bytes(texts: Sequence[str]) -> float:
    """Mean size of the texts in UTF-8."""
    return sum(len(text.encode()) for text in texts) / len(texts)


def table(rows: list[tuple[str, float, float]], tokens: float, documents: int) -> str:
    """The measurements as a Markdown table, datatrove last and as the unit of the last column."""
    reference = rows[-1][1]
    lines = [
        f"{documents:,} English pages, {tokens:,.0f} words a page in the mean; one core.",
        "",
        "| rules, C4 edits and signature | ms a page | pages/s | MB/s | times datatrove |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, seconds, size in rows:
        is_whole = not name.startswith(("signature", "the same"))
        ratio = f"{reference / seconds:,.0f}" if is_whole else ""
        rate = f"{1 / seconds:,.0f} | {size / seconds / 1e6:.1f}"
        lines.append(f"| {name} | {seconds * 1e3:.2f} | {rate} | {ratio} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print; with --to also write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--reference", type=int, default=200)
    parser.add_argument("--texts", type=Path, help="JSON lines with `text`, instead of extracting")
    parser.add_argument("--to", type=Path)
    options = parser.parse_args()
    if options.texts:
        texts = [json.loads(line)["text"] for line in options.texts.open(encoding="utf-8")]
        texts = texts[: options.documents]
    else:
        texts = english_pages(options.documents)
    random.Random(1).shuffle(texts)
    rows = measure(texts, options.reference)
    from decant.filters.doc import Doc

    words = sum(len(Doc(text).words) for text in texts) / len(texts)
    report = table(rows, words, len(texts))
    print(report)
    if options.to:
        options.to.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
