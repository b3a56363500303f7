"""A study of FineWeb's rules on a run of real pages, with real benchmarks and held-out texts.

    python -m tests.bench.real_study --run RUN --output DIR [--config real-pages-neural]

RUN is a finished `decant run configs/fineweb.yaml --set filter.all_measures=true` on real pages.
The four genres of held-out text are taken from `text/` under DECANT_REAL_DATA (default
../shared/data), the questions from its `benchmarks/`. The tables of ablations/README.md are the
`verdict.md` that this leaves in DIR. A killed study goes on with the same call.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from decant.ablations.ablate import ablate
from tests.bench.calibration_real import articles, gzipped_rows, gzipped_text
from tests.real_data import FOLDER

CONFIGS = Path(__file__).parents[2] / "configs" / "ablations"


def write_references(folder: Path) -> Path:
    """The folder, with a file of held-out documents for each of four genres."""
    folder.mkdir(parents=True, exist_ok=True)
    judged = gzipped_rows("human_quality")
    genres = {
        "novels": [gzipped_text(p) for p in sorted((FOLDER / "text" / "novels").glob("*.txt.gz"))],
        "stackexchange": [row["text"] for row in gzipped_rows("stackexchange")],
        "web_judged_good": [row["text"] for row in judged if row["label"] == 1],
        "wikipedia": articles(),
    }
    for name, texts in genres.items():
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(lines)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--config", default="real-pages", help="real-pages or real-pages-neural")
    options = parser.parse_args()
    references = write_references(options.output / "references")
    overrides = (
        f"run={options.run}",
        f"benchmarks.root={FOLDER / 'benchmarks'}",
        f"heldout.root={references}",
    )
    config = CONFIGS / f"{options.config}.yaml"
    sys.exit(ablate(str(config), str(options.output / "study"), overrides=overrides))


if __name__ == "__main__":
    main()
