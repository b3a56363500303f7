"""Where everything lies in a run directory: the only file that spells its folders.

A partition keeps its number through all stages, so that one number names its file in each folder.
"""

EXTRACTED = "1-extracted"
FILTERED = "2-filtered"
DEDUPLICATED = "3-deduplicated"
SHARDS = "4-shards"

LOSSES = "losses.parquet"
QUARANTINE = f"{EXTRACTED}/quarantine"
BORDERS = f"{EXTRACTED}/borders.json"
SCORES_SCRATCH = f"{FILTERED}/_scores"
SIGNATURES = f"{FILTERED}/signatures"
OVERLAP = f"{FILTERED}/overlap.json"
DEDUP_SCRATCH = f"{DEDUPLICATED}/_scratch"
DUPLICATES = f"{DEDUPLICATED}/dropped"
REPEATED_LINES = f"{DEDUPLICATED}/lines"
DEDUP_REPORT = f"{DEDUPLICATED}/report.json"
SHARD_DATA = f"{SHARDS}/data"
SHARD_MANIFEST = f"{SHARDS}/manifest.json"
SHARD_PIECES = f"{SHARDS}/_pieces"
SHARD_GROUPS = f"{SHARDS}/_groups"


def partition_name(number: int) -> str:
    """The number of a partition as every stage's files carry it.

    >>> partition_name(123)
    '00123'
    """
    return f"{number:05d}"


def table(folder: str, number: int) -> str:
    """The parquet file of a partition in a folder.

    >>> table(DUPLICATES, 7)
    '3-deduplicated/dropped/00007.parquet'
    """
    return f"{folder}/{partition_name(number)}.parquet"


def extracted(number: int) -> str:
    """The texts of a partition, as extraction left them."""
    return table(EXTRACTED, number)


def not_extracted(number: int) -> str:
    """The records of a partition that ended at extraction."""
    return table(f"{EXTRACTED}/dropped", number)


def losses(number: int) -> str:
    """The ranges of bytes of a partition in which no record could be read."""
    return table(f"{EXTRACTED}/losses", number)


def kept(number: int) -> str:
    """What the rules kept of a partition, with the texts that an edit changed."""
    return table(f"{FILTERED}/kept", number)


def dropped(number: int) -> str:
    """What the rules dropped of a partition."""
    return table(f"{FILTERED}/dropped", number)


def signatures(number: int) -> str:
    """The signatures of a partition's documents."""
    return table(SIGNATURES, number)


def clusters(number: int) -> str:
    """The cluster sizes of a partition's survivors."""
    return table(f"{DEDUPLICATED}/clusters", number)
