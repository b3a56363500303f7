"""What verifying deduplication's own files costs: the stage with its checksums, and without.

    python -m tests.bench.checksums --documents 100000 --pairs 9

Runs the whole stage (comparisons, ids, tables and report included) in alternating pairs in one
process, and prints the median processor seconds of either side and of the difference of a pair.
Without: the hash of a block is 0 whatever its bytes, and limits of numbers are not looked at.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from unittest import mock

from decant.pipeline.dedup import spill_file
from decant.pipeline.dedup.spill_file import SpillFile
from tests.bench.dedup import planted_signatures, whole_stage, write_parquet


def seconds(store, verified: bool) -> float:
    """Processor seconds of the stage, made from nothing."""
    store.remove("3-deduplicated")
    store.remove("manifests")
    if verified:
        return whole_stage(store)["cpu_s"]
    with (
        mock.patch.object(spill_file.xxhash, "xxh3_64_intdigest", lambda *_, **__: 0),
        mock.patch.object(SpillFile, "check", lambda *_: None),
    ):
        return whole_stage(store)["cpu_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--duplicates", type=float, default=0.4)
    parser.add_argument("--pairs", type=int, default=9)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="decant-checksums-"))
    try:
        store = write_parquet(folder, planted_signatures(args.documents, args.duplicates))
        seconds(store, True)  # compiles or loads the kernels
        pairs = []
        for number in range(args.pairs):
            order = (True, False) if number % 2 else (False, True)
            both = {verified: seconds(store, verified) for verified in order}
            pairs.append((both[True], both[False]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with_checks, without = (statistics.median(side) for side in zip(*pairs, strict=True))
    least = [min(side) for side in zip(*pairs, strict=True)]
    cost = statistics.median(one - other for one, other in pairs)
    print(f"with {with_checks:.3f} s, without {without:.3f} s, difference {cost:+.3f} s")
    print(f"least of either side: {least[0]:.3f} s and {least[1]:.3f} s")
    print(f"{cost / without:+.1%} of the stage's processor time at {args.documents:,} documents")


if __name__ == "__main__":
    main()
