"""What the extract stage costs beside its extractor, and what its options gain.

    python -m tests.bench.extract_stage reader|guard|limits|charset|gates [--pages N] [--data DIR]

All times are CPU time of the process and its child, so that a busy machine changes little.

- reader: our WARC reader beside FastWARC, on one file
- guard: pages in the guarded child beside the same pages in this process; counting their work
- limits: the slowest page under the limits that we know how to build, beside the guard's CPU time
- charset: pages that `extract.charset: declared` saves or reads differently
- gates: documents of the exact recipe that each gate loses: English, other languages, short ones
"""

import argparse
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import yaml

from decant.filters.language import LanguageId
from decant.pipeline.config import RunConfig
from decant.pipeline.page.charset import declared_text, fineweb_text
from decant.pipeline.page.gates import Gates
from decant.pipeline.page.judge import response_of
from decant.pipeline.page.language_model import model_path
from decant.pipeline.page.limits import Limits, excess
from decant.pipeline.page.payload import decoded_body
from decant.pipeline.text.guard import CPU_S, PageGuard
from decant.pipeline.text.worker import Unguarded
from decant.pipeline.warc.reader import Reader

REAL = "../shared/data/web"
SHORT_WORDS = 100  # of a kept main text
BATCH = 16  # pages, as a run sends where half of its records are settled before extraction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=list(BENCHES))
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--data", default=REAL, help="a folder of WARC files")
    arguments = parser.parse_args()
    BENCHES[arguments.what](Path(arguments.data), arguments.pages)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process over some work."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def child_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def payloads(folder: Path, count: int) -> Iterator[tuple[bytes, str]]:
    """(payload, Content-Type) of the first pages of a folder, spread over its files."""
    files = sorted(folder.glob("*.warc.gz"))
    if not files:
        raise SystemExit(f"no *.warc.gz in {folder}: name a folder of them with --data")
    for path in files:
        taken = 0
        with path.open("rb") as file:
            for record in Reader(file):
                if record.type == "response" and taken < -(-count // len(files)):
                    response = response_of(record)
                    taken += 1
                    yield decoded_body(response, 1 << 27), response.headers.get("content-type", "")


def texts(folder: Path, count: int) -> list[str]:
    found = (fineweb_text(payload) for payload, _ in payloads(folder, count))
    return [text for text in found if text]


def bench_reader(folder: Path, _: int) -> None:
    from fastwarc.warc import ArchiveIterator

    path = min(folder.glob("*.warc.gz"))
    records = 0

    def ours() -> None:
        nonlocal records
        with path.open("rb") as file:
            records = sum(1 for _ in Reader(file))

    def theirs() -> None:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, parse_http=False):
                record.reader.read()

    for name, work in (("decant", ours), ("fastwarc", theirs)):
        best = min(cpu(work) for _ in range(3))
        size_mb = path.stat().st_size / 1e6
        print(f"{name}: {best * 1e3 / records:.3f} ms/record, {size_mb / best:.0f} MB/s compressed")


def bench_guard(folder: Path, count: int) -> None:
    """The cost of isolation, by an engine fast enough to show it."""
    pages = [text.encode("utf-8", "surrogatepass") for text in texts(folder, count)]
    direct, limits = Unguarded("resiliparse"), Limits()
    in_batches = {size: partial(_guarded, pages, size) for size in (1, BATCH)}
    spent: dict[object, list[float]] = {"here": [], "counting": [], **{at: [] for at in in_batches}}
    for _ in range(5):
        spent["here"].append(cpu(lambda: direct.extract_all(pages)))
        for size, guarded in in_batches.items():
            spent[size].append(guarded())
        spent["counting"].append(cpu(lambda: [excess(page, limits) for page in pages]))
    best = {what: min(seconds) * 1e3 / len(pages) for what, seconds in spent.items()}
    size_kb = statistics.mean(map(len, pages)) / 1e3
    print(f"{len(pages)} pages of {size_kb:.0f} KB on average, ms of CPU per page (best of 5):")
    print(f"  here {best['here']:.3f}")
    for size in in_batches:
        print(f"  guarded, {size} at a time: {best[size]:.3f}: {best[size] - best['here']:+.3f}")
    print(f"  counting its work {best['counting']:.3f}")


def _guarded(pages: list[bytes], size: int) -> float:
    """CPU seconds for pages in a child, `size` at a time, its start left out."""
    before = child_cpu()
    _end(_started())
    start = child_cpu() - before
    guard = _started()
    before = child_cpu()
    batches = [pages[at : at + size] for at in range(0, len(pages), size)]
    used = cpu(lambda: [guard.extract_all(batch) for batch in batches])
    _end(guard)
    return used + child_cpu() - before - start


def _started() -> PageGuard:
    guard = PageGuard("resiliparse")
    guard.extract(b"<p>hello</p>")
    return guard


def _end(guard: PageGuard) -> None:
    child = guard._child
    assert child is not None and child.stdin is not None
    child.stdin.close()
    child.wait()


def bench_limits(_: Path, __: int) -> None:
    limits = Limits()
    slowest = 0.0
    for name, page in slow_pages(limits):
        assert excess(page, limits) is None, name
        for engine in ("trafilatura", "resiliparse"):
            extractor = Unguarded(engine)
            taken = cpu(lambda page=page, extractor=extractor: extractor.extract(page))
            slowest = max(slowest, taken)
            print(f"{taken:7.2f} s  {engine:12} {name} ({len(page):,} bytes)", flush=True)
    ratio = CPU_S / slowest
    print(f"slowest {slowest:.2f} s; the guard's {CPU_S} s are {ratio:.0f} times that")


def slow_pages(limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Pages at the limits, each of one thing that costs a parser or an extractor much."""
    count = limits.elements - 100
    fill = (limits.bytes - 1_000) // count
    yield "links", b"<p>" + b'<a href="/a">link text</a> ' * count
    yield "paragraphs", b"".join(b"<p>" + b"word " * ((fill - 5) // 5) for _ in range(count))
    yield (
        "different paragraphs",
        b"".join(b"<p>" + b"%d word " % at * ((fill - 5) // 16) for at in range(count)),
    )
    yield "lists", b"<ul>" + b"<li>some words<ul><li>more</ul>" * (count // 3)
    yield "table", b"<table>" + b"<tr><td>some words<td>more" * (count // 3)
    yield "divisions", b"<div class='comment-1' id=a>some words here</div>" * count
    yield "headings", b"<h2>some words</h2>" * count
    deep = limits.depth - 10
    levels = b"<div>" * deep + b"<p>some words" + b"</div>" * deep
    yield "nested", levels * (count // (deep + 1))
    names = b" ".join(b"a%d=1" % at for at in range(limits.attributes - 10))
    tag = b"<p %s>" % names
    yield "attributes", tag * (limits.bytes // len(tag) - 1) + b"some words"
    yield (
        "a long attribute",
        b"<div class='" + b"word " * (limits.bytes // 5 - 99) + b"'>some words",
    )


def bench_charset(folder: Path, count: int) -> None:
    pages = saved = changed = 0
    spent = {"fineweb": 0.0, "declared": 0.0}
    for payload, content_type in payloads(folder, count):
        pages += 1
        begin = time.process_time()
        by_rule = fineweb_text(payload)
        middle = time.process_time()
        declared = declared_text(payload, content_type)
        spent["fineweb"] += middle - begin
        spent["declared"] += time.process_time() - middle
        saved += by_rule is None and declared is not None
        changed += by_rule is not None and declared != by_rule
    print(
        f"{pages} pages: declared saves {saved} that FineWeb's rule drops, "
        f"and reads {changed} otherwise"
    )
    for name, seconds in spent.items():
        print(f"  {name}: {seconds * 1e3 / pages:.3f} ms/page")


def bench_gates(folder: Path, count: int) -> None:
    """Each gate of configs/fineweb-fast.yaml beside the exact outcome of the same pages.

    A page in another language is asked as if that one were wanted, and counts as kept where the
    language rule keeps it: the other rules are written for English.
    """
    exact, fast = (
        RunConfig.model_validate(yaml.safe_load(Path(f"configs/{name}.yaml").read_text()))
        for name in ("fineweb", "fineweb-fast")
    )
    recipe, main = exact.recipe(), Unguarded(exact.extractor)
    language = LanguageId(str(model_path(exact.language.model)))
    spent = {"main text": 0.0, "gates": 0.0}
    kept: Counter[str] = Counter()
    closed: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    for text in texts(folder, count):
        page = text.encode("utf-8", "surrogatepass")
        begin = time.process_time()
        found = main.extract(page).text or ""
        spent["main text"] += time.process_time() - begin
        named = language.identify(found)
        known = bool(found) and named.score > exact.language.threshold
        english = not known or named.language == "en"
        group = "English or none" if english else "other languages"
        stays = known and (not english or recipe.judge(found, False).kept)
        groups = [group, "short"] if stays and len(found.split()) < SHORT_WORDS else [group]
        gates = Gates(fast.extract.gates, language, ("en",) if english else (named.language,))
        begin = time.process_time()
        gate = gates.by_text(page)
        spent["gates"] += time.process_time() - begin
        for group in groups:
            kept[group] += stays
            closed[group, gate.rule if gate else "open"] += 1
            lost[group, gate.rule if gate else "open"] += stays
    pages = sum(n for (group, _), n in closed.items() if group != "short")
    print(f"{pages} pages; CPU ms/page:", {k: round(v * 1e3 / pages, 2) for k, v in spent.items()})
    for (group, gate), n in sorted(closed.items()):
        if gate != "open":
            print(f"{group}, {gate}: closes for {n}, loses {lost[group, gate]} of {kept[group]}")


BENCHES: dict[str, Callable[[Path, int], None]] = {
    "reader": bench_reader,
    "guard": bench_guard,
    "limits": bench_limits,
    "charset": bench_charset,
    "gates": bench_gates,
}

if __name__ == "__main__":
    main()
