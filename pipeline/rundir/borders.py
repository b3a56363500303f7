"""Where the partitions of a file truly begin, so that how it was cut never changes its records.

A partition that starts in the middle of a file begins at the first member (or header) there that
looks like a record. Bytes can imitate one: a WARC file archived inside a record does. The partition
before it knows better, since it read up to there; where the two disagree, the later one is read
again from the place the earlier one names.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from decant.pipeline.rundir.inputs import Partition
from decant.pipeline.rundir.paths import partition_name


def wrong_starts(
    partitions: Sequence[Partition], results: Mapping[str, Mapping[str, Any]]
) -> dict[int, int]:
    """The true start of each partition that began elsewhere, as far as it is certain already.

    `results` hold a `border` for each partition: the offsets of its first record and of the record
    behind it, None where there is none.
    """
    wrong: dict[int, int] = {}
    for _, group in groupby(partitions, key=lambda one: one.file):
        expected: int | None = 0
        for place, one in enumerate(group):
            first, following = results[partition_name(one.number)]["border"]
            if place and not _agrees(one, first, expected):
                wrong[one.number] = one.source.size if expected is None else expected
                break  # what this partition hands on is not known before it is read again
            if first is not None or not place:
                expected = following
    return wrong


def _agrees(one: Partition, first: int | None, expected: int | None) -> bool:
    """Whether a partition began where the one before it ended."""
    if first is None:
        return expected is None or (one.end is not None and expected >= one.end)
    return first == expected
