"""How fast address, language, PII and token rules are, ours and the reference's, in one process.

    python -m tests.bench.page_rules [--pages 1000]

Addresses and texts of real pages where they are (tests/real_data.py), else of the sample crawl.
Each side is timed alone, three times in turn, best of three; CPU times of the process. The
reference's language block cannot run on this fastText build: its formula on the raw model stands
in. Start-up is measured in a process of its own, with the resident memory it leaves.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from decant.filters.language import LanguageId
from decant.filters.pii import PiiFormatter
from decant.filters.url import UrlRules
from decant.pipeline.page.blocklist import load_blocklist, load_words
from decant.pipeline.page.language_model import model_path
from decant.pipeline.sample.crawl import anchor_blocks, make_page
from decant.pipeline.tokens.counter import token_counter
from tests import real_data

Work = Callable[[str], object]

START_UP = {
    "ours": "from decant.pipeline.page.blocklist import *; "
    "from decant.filters.url import UrlRules; "
    "judge = UrlRules(load_blocklist(), load_words()).judge",
    "reference": "from datatrove.pipeline.filters.url_filter import URLFilter; "
    "block = URLFilter(); block.download_data()",
}
MEASURED = """
import time
began = time.process_time()
{work}
spent = time.process_time() - began
resident = [line for line in open("/proc/self/status") if line.startswith("VmRSS")][0].split()[1]
print(spent, int(resident) / 1000)
"""


def cpu_seconds(work: Work, items: Sequence[str]) -> float:
    began = time.process_time()
    for item in items:
        work(item)
    return time.process_time() - began


def best_rates(sides: dict[str, Work], items: Sequence[str], rounds: int = 3) -> dict[str, float]:
    """Items per CPU second of each side."""
    seconds = {
        name: min(cpu_seconds(work, items) for _ in range(rounds)) for name, work in sides.items()
    }
    return {name: len(items) / spent for name, spent in seconds.items()}


def url_sides() -> dict[str, Work]:
    from datatrove.data import Document
    from datatrove.pipeline.filters.url_filter import URLFilter
    from tldextract import TLDExtract

    block = URLFilter()
    block.download_data()
    block.tldextractor = TLDExtract(suffix_list_urls=(), cache_dir=None)
    return {
        "ours": UrlRules(load_blocklist(), load_words()).judge,
        "reference": lambda url: block.filter(Document(text="", id="", metadata={"url": url})),
    }


def language_sides() -> dict[str, Work]:
    from fasttext.FastText import _FastText

    model = _FastText(str(model_path()))

    def formula(text: str) -> object:
        labels, scores = model.predict(text.replace("\n", " "), k=-1)
        pairs = {name.split("__")[2]: score for name, score in zip(labels, scores, strict=True)}
        return max(pairs.items(), key=lambda pair: pair[1])

    ours = LanguageId(model_path())
    return {"ours": lambda text: ours.identify(text, ("en",)), "reference": formula}


def pii_sides() -> dict[str, Work]:
    from datatrove.pipeline.formatters.pii import PIIFormatter

    return {"ours": PiiFormatter(), "reference": PIIFormatter().format}


def token_sides(folder: os.PathLike[str]) -> dict[str, Work]:
    from decant.pipeline.tokens.counter import load_tokenizer

    tokenizer, counter = load_tokenizer(folder), token_counter(path=folder)
    return {
        "ours": lambda text: counter.count([text]),
        "reference": lambda text: len(tokenizer.encode_batch([text])[0].ids),
    }


def material(pages: int) -> tuple[list[str], list[str], os.PathLike[str] | None]:
    """(addresses, texts, GPT-2 folder or None)."""
    if real_data.FOLDER.exists():
        texts = real_data.texts(pages)
        return real_data.urls(pages), texts, real_data.folder("tokenizers", "gpt2")
    urls = [make_page(1, number).fetched.url for number in range(pages)]
    texts = ["\n".join(text for _, text in anchor_blocks(1, number)) for number in range(pages)]
    return urls, texts, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1000)
    pages = parser.parse_args().pages
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    load_blocklist()  # built once per machine: not part of a start
    for side, work in START_UP.items():
        program = MEASURED.format(work=work)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        spent, resident = map(float, done.stdout.split()[-2:])
        print(f"url start-up, {side:<10} {spent:6.2f} s CPU {resident:8.0f} MB resident")
    urls, texts, gpt2 = material(pages)
    chars = sum(map(len, texts)) / len(texts)
    print(f"{len(urls)} addresses, {len(texts)} texts of {chars:,.0f} characters; per CPU second:")
    print(f"{'':<10}{'ours':>10}{'reference':>11}{'ratio':>8}")
    tasks = [("url", url_sides(), urls), ("language", language_sides(), texts)]
    tasks.append(("pii", pii_sides(), texts))
    if gpt2:
        tasks.append(("tokens", token_sides(gpt2), texts))
    for name, sides, items in tasks:
        rates = best_rates(sides, items)
        ours, reference = rates["ours"], rates["reference"]
        print(f"{name:<10}{ours:>10,.0f}{reference:>11,.0f}{ours / reference:>8.1f}")


if __name__ == "__main__":
    main()
