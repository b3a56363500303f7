"""The currency between stages: one named Arrow schema per table of a run directory.

Every table is sorted by its row key, (file, offset): the number of the input file in
`inputs.parquet` and the byte offset of the record in it, CommonCrawl's own address. Measured
values are float64 throughout: at the bound, float32 flips verdicts.
"""

from collections.abc import Sequence

import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.stage_keys import stage_digest


def only_dump(store: Store, number: int) -> str | None:
    """The dump of all documents of a partition; None where there are several."""
    dumps: set[str] = set()
    for batch in store.iter_batches(paths.extracted(number), ["dump"], batch_rows=50_000):
        dumps |= set(batch.column("dump").unique().to_pylist())
        if len(dumps) > 1:
            return None
    return min(dumps, default="") if None not in dumps else None


METADATA_KEY = b"minhash"


def signature_parameters(config: RunConfig) -> dict:
    """What two signatures must have in common to be compared."""
    dedup = config.dedup
    return {
        "hash": dedup.hash,
        "ngram": dedup.ngram,
        "permutations": dedup.bands * dedup.rows,
        "seed": dedup.seed,
    }


def made_with(config: RunConfig) -> dict:
    """What a signature file says of its making; one of other texts or rules is another run's."""
    stages = {f"{name}_keys": stage_digest(config, name)[:16] for name in ("extract", "filter")}
    return signature_parameters(config) | stages


def partition_numbers(store: Store) -> list[int]:
    """The partitions of a run, ascending, as its frozen input list gives them."""
    column = store.read_table("inputs.parquet", ["partition"]).column("partition")
    return sorted(set(column.to_pylist()))


KEY = (pa.field("file", pa.int32(), nullable=False), pa.field("offset", pa.int64(), nullable=False))

# Text columns are large_string: a partition of a dump can pass 2 GiB of text, where the 32-bit
# offsets of `string` end. Parquet stores both the same.
TEXT = pa.large_string()

EXTRACTED = pa.schema(
    [
        *KEY,
        ("id", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("file_path", pa.string()),
        ("dump", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("payload_digest", pa.binary(16)),  # xxh3_128 of the decoded payload
        ("text", TEXT),
    ]
)

# Of `extractor: union`: a letter for each line of the text, which is from trafilatura (t),
# resiliparse (r) or both (b).
LINEAGE = pa.field("lineage", pa.string())

DROPPED = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        *KEY,
        ("stage", pa.string()),
        ("rule", pa.string()),
        ("value", pa.float64()),  # null where the rule has no number
        ("bound", pa.float64()),
        ("detail", pa.string()),  # the matched word, the language, the error
    ]
)

# Of `1-extracted/losses`: byte ranges that no record could be read from (`pipeline/warc/losses.py`
# says in which bytes), the largest 1,000 of a partition; no file where a partition has none.
LOSSES = pa.schema([*KEY, ("bytes", pa.int64()), ("reason", pa.string())])

FILTERED = pa.schema([*KEY, ("text", TEXT)])  # text: null where no edit changed it

SIGNATURE_PERMUTATIONS = 112  # FineWeb: 14 bands x 8 rows


def signatures_schema(permutations: int = SIGNATURE_PERMUTATIONS) -> pa.Schema:
    """The schema of `2-filtered/signatures`, for a signature of this many permutations."""
    return pa.schema(
        [
            *KEY,
            ("kept", pa.bool_()),
            # uint64 little-endian, one after the other; null: under one shingle of words. As a list
            # of numbers, parquet needs two levels for each, and reading takes twice as long.
            ("signature", pa.binary(8 * permutations)),
            ("shingles", pa.int32()),
            ("text_hash", pa.binary(16)),  # xxh3_128 of the UTF-8 text after edits
            ("chars", pa.int64()),
        ]
    )


SIGNATURES = signatures_schema()
# Hashes hardly compress: with zstd these files are 9 % smaller and three times as dear to read.
# They are never published either, so no chunks that follow their content.
SIGNATURE_OPTIONS = {
    "compression": "none",
    "compression_level": None,
    "use_content_defined_chunking": False,
}

DUPLICATES = pa.schema(
    [
        *DROPPED,
        ("duplicate_of", pa.string()),
        ("jaccard", pa.float64()),
        ("cluster_size", pa.int64()),
    ]
)

CLUSTERS = pa.schema([*KEY, ("cluster_size", pa.int64())])

# The lines, counted from 0, that a document's filtered text loses under `dedup.lines`.
REMOVED_LINES = pa.schema([*KEY, ("removed", pa.list_(pa.int32()))])

# The columns of the FineWeb release, plus the size of the duplicate cluster as FineWeb2 gives it.
PUBLISHED = pa.schema(
    [
        ("text", TEXT),
        ("id", pa.string()),
        ("dump", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("file_path", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("token_count", pa.int64()),
        ("minhash_cluster_size", pa.int64()),
    ]
)


def with_measures(schema: pa.Schema, rule_names: Sequence[str]) -> pa.Schema:
    """`schema` followed by one float64 column per rule and the list of rules that failed."""
    fields = [pa.field(name, pa.float64()) for name in rule_names]
    return pa.schema([*schema, *fields, pa.field("failed_rules", pa.list_(pa.string()))])
