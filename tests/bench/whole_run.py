"""WARC to published corpus, one worker each: decant's recipes against datatrove's FineWeb example.

    python tests/bench/whole_run.py --input DIR --tokenizer tokenizer.json --files 8

Both sides run in this process, one after the other, on the same files. Each first runs on a few
pages, which loads models, kernels and lists; that time is given apart as start-up. Then pages per
second over all files, and how far the surviving documents agree. Seconds are CPU seconds, of this
process and of the children that both sides extract in, so that a busy machine does not decide.
"""

import argparse
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from decant.pipeline import config as configuration
from decant.pipeline.engine.execute import Engine
from decant.pipeline.engine.storage import Store
from decant.pipeline.run import run_stages
from decant.pipeline.rundir import inputs
from decant.pipeline.shard import published_files

WARM_UP_PAGES = 20
CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True)
class Side:
    """One measured pipeline."""

    name: str
    start_up_s: float
    seconds: float
    pages: int
    texts: dict[str, str]

    @property
    def rate(self) -> float:
        return self.pages / self.seconds


def decant_side(name: str, folder: Path, tokenizer: Path, scratch: Path, *changes: str) -> Side:
    """A recipe of ours, in process."""
    overrides = [f"input.paths=[{folder}]", f"tokens.path={tokenizer}", *changes]
    began = cpu_seconds()
    warm = [*overrides, "input.limit=1", f"input.limit_records={WARM_UP_PAGES}"]
    _decant(name, warm, scratch / "warm")
    start_up_s = cpu_seconds() - began
    began = cpu_seconds()
    pages, store = _decant(name, overrides, scratch / "run")
    seconds = cpu_seconds() - began
    texts = {
        row["id"]: row["text"]
        for path in published_files(store)
        for row in store.read_table(path, ["id", "text"]).to_pylist()
    }
    return Side(" ".join([name, *changes]), start_up_s, seconds, pages, texts)


def _decant(name: str, overrides: list[str], output: Path) -> tuple[int, Store]:
    config = configuration.load(CONFIGS / name, overrides)
    output.mkdir(parents=True)
    store = Store(str(output))
    inputs.freeze(store, config)
    with Engine(store, config, workers=0) as engine:
        outcome = run_stages(engine, store, config)
    return outcome.stages["extract"]["in"], store


def cpu_seconds() -> float:
    """CPU time so far of this process and of its children, ended or alive (Linux)."""
    ticks = os.sysconf("SC_CLK_TCK")
    alive = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended just now
        if int(fields[1]) == os.getpid():
            alive += int(fields[11]) + int(fields[12])
    return sum(os.times()[:4]) + alive / ticks


def reference_side(folder: Path, tokenizer: Path, scratch: Path) -> Side:
    """datatrove's FineWeb example."""
    from tests.bench.reference_fineweb import FineWebReference

    began = cpu_seconds()
    reference = FineWebReference(tokenizer)
    reference.run(folder, scratch / "warm", limit=WARM_UP_PAGES)
    start_up_s = cpu_seconds() - began
    began = cpu_seconds()
    documents = reference.run(folder, scratch / "run")
    seconds = cpu_seconds() - began
    reader = reference.filtering[0]
    pages = reader.stats["total"].total - WARM_UP_PAGES
    texts = {str(document.id): document.text for document in documents}
    return Side("datatrove FineWeb example", start_up_s, seconds, int(pages), texts)


def table(sides: list[Side]) -> str:
    """The sides as a table; ratios (of seconds) and agreement are against the first."""
    base = sides[0]
    lines = [
        f"{'pipeline':<44}{'start-up s':>11}{'pages':>7}{'pages/s':>9}{'ratio':>7}"
        f"{'documents':>11}{'same':>8}{'same text':>11}"
    ]
    for side in sides:
        shared = side.texts.keys() & base.texts.keys()
        equal = sum(side.texts[key] == base.texts[key] for key in shared)
        whole = max(1, len(base.texts))
        lines.append(
            f"{side.name:<44}{side.start_up_s:>11.1f}{side.pages:>7,}{side.rate:>9.1f}"
            f"{base.seconds / side.seconds:>7.1f}{len(side.texts):>11,}"
            f"{len(shared) / whole:>8.1%}{equal / whole:>11.1%}"
        )
    return "\n".join(lines)


def tokenizer_file(path: Path, scratch: Path) -> Path:
    """One tokenizer.json that both sides read."""
    from decant.pipeline.tokens.counter import load_tokenizer

    target = scratch / "tokenizer.json"
    target.write_text(load_tokenizer(path).to_str())
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, default=Path("../shared/data/web"))
    parser.add_argument("--tokenizer", type=Path, default=Path("../shared/data/tokenizers/gpt2"))
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--no-reference", action="store_true", help="decant's recipes only")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="decant-whole-run-"))
    folder = scratch / "input"
    folder.mkdir()
    for file in sorted(options.input.glob("*.warc.gz"))[: options.files]:
        (folder / file.name).symlink_to(file.resolve())
    tokenizer = tokenizer_file(options.tokenizer, scratch)
    sides = []
    if not options.no_reference:
        sides.append(reference_side(folder, tokenizer, scratch / "reference"))
    for number, (name, *changes) in enumerate(RECIPES):
        sides.append(decant_side(name, folder, tokenizer, scratch / str(number), *changes))
    print(table(sides))
    shutil.rmtree(scratch)


RECIPES: tuple[tuple[str, ...], ...] = (
    ("fineweb.yaml",),
    ("fineweb-fast.yaml",),
    ("fineweb.yaml", "extractor=resiliparse"),
    ("fineweb-fast.yaml", "extractor=resiliparse"),
)

if __name__ == "__main__":
    main()
