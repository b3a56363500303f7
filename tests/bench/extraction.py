"""Prints the speed of the fast path and of trafilatura itself, page by page in one run.

    python -m tests.bench.extraction [--every N] [--made N]

Real pages where $DECANT_REAL_DATA has them, and made ones. Both sides take each page in turn, each
with an empty memory of earlier pages, cleared outside the timer; the time is CPU time, and a page
that the fast path hands back is timed with the library's run included. Start-up (imports, rules,
stop words) is paid before and printed apart. Ends with status 1 if any text differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import trafilatura
from trafilatura import deduplication

from decant.pipeline.text.engines import EXACT_FOR
from decant.pipeline.text.replica import justext, page
from tests import real_data
from tests.html_pages import pages
from tests.real_pages import real_pages

STARTS = {
    "trafilatura": "from trafilatura.external import jt_stoplist_init; jt_stoplist_init()",
    "fast path": "from decant.pipeline.text.replica import justext, page; justext.stop_words()",
}


@dataclass
class Totals:
    """Seconds of both sides over some pages, and what became of the pages."""

    pages: int = 0
    chars: int = 0
    library_s: list[float] = field(default_factory=list)
    fast_s: list[float] = field(default_factory=list)
    unproven: int = 0
    different: int = 0

    def add(self, html: str) -> None:
        """Extracts a page by both."""
        expected, library_s = timed(library, html)
        try:
            text, fast_s = timed(page.text, html)
        except page.Unproven:
            self.unproven += 1
            text, fast_s = timed(fall_back, html)
        self.pages += 1
        self.chars += len(html)
        self.library_s.append(library_s)
        self.fast_s.append(fast_s)
        self.different += text != expected

    def row(self, name: str) -> str:
        """A line of the table."""
        ours, theirs = sum(self.fast_s), sum(self.library_s)
        columns = [name, f"{self.pages:,}", f"{self.chars / self.pages / 1000:.0f}"]
        for seconds in (self.library_s, self.fast_s):
            ordered = sorted(seconds)
            columns.append(f"{sum(seconds) / self.pages * 1000:.1f}")
            columns.append(f"{ordered[int(0.99 * (self.pages - 1))] * 1000:.0f}")
        columns += [f"**{theirs / ours:.2f}**", str(self.different), str(self.unproven)]
        return f"| {' | '.join(columns)} |"


def library(html: str) -> str | None:
    """The reference pipeline's call."""
    return trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=True)


def fall_back(html: str) -> str | None:
    """What a page costs that the fast path gives up on."""
    try:
        return page.text(html)
    except page.Unproven:
        deduplication.LRU_TEST.clear()
        return library(html)


def timed(extract: Callable[[str], str | None], html: str) -> tuple[str | None, float]:
    """The text of a page and the CPU seconds it took."""
    deduplication.LRU_TEST.clear()
    started = time.process_time()
    text = extract(html)
    return text, time.process_time() - started


def start_up_s(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs some code, less those of an idle one."""

    def spent(program: str) -> float:
        clock = f"import time; {program}; print(time.process_time())"
        return float(subprocess.check_output([sys.executable, "-c", clock], text=True))

    return spent(code) - spent("pass")


def measure(some_pages: Iterable[str]) -> Totals:
    """Both sides over the pages, after ten others as a warm-up."""
    for html in pages(10, seed=99):
        Totals().add(html)
    totals = Totals()
    for html in some_pages:
        totals.add(html)
    return totals


def main() -> int:
    """Measures and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=10, help="take every n-th real page")
    parser.add_argument("--made", type=int, default=200, help="number of made pages")
    arguments = parser.parse_args()
    print(f"trafilatura {trafilatura.__version__} (fast path exact for {EXACT_FOR})\n")
    for name, code in STARTS.items():
        print(f"start-up of {name}: {start_up_s(code):.2f} s")
    justext.stop_words()
    sources = {"made": pages(arguments.made, seed=1)}
    if (real_data.FOLDER / "web").is_dir():
        sources = {"real": (html for _, html in real_pages(arguments.every)), **sources}
    print(
        "\n| pages | n | kchars | library ms/page | p99 | fast ms/page | p99 | ratio | different |"
        " unproven |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    different = 0
    for name, some_pages in sources.items():
        totals = measure(some_pages)
        different += totals.different
        print(totals.row(name), flush=True)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
