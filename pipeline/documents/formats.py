"""What a file of documents is: told by its first bytes, found by the end of its name."""

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
MAGIC = {
    b"PAR1": "parquet",
    b"ARRO": "arrow",  # ARROW1: the file format, feather version 2
    b"\xff\xff\xff\xff": "arrow_stream",  # as Hugging Face datasets keeps its cache
    ZSTD: "jsonl_zstd",
}
KINDS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
PACKED = ("", ".gz", ".zst")
SUFFIXES = (
    *(end for end, kind in KINDS.items() if kind != "jsonl"),
    *(end + packed for end, kind in KINDS.items() if kind == "jsonl" for packed in PACKED),
)
CONTAINERS = ("parquet", "arrow", "arrow_stream", "jsonl", "jsonl_gzip", "jsonl_zstd")
DIVISIBLE = ("parquet", "jsonl")  # the rest is read from its beginning
HEAD_BYTES = 4


class DocumentsError(Exception):
    """A file of documents is not what the configuration says; the message tells what it holds."""


def has_document_name(name: str) -> bool:
    """Whether a file's name ends like one of documents.

    >>> has_document_name("c4-train.00000-of-01024.json.gz"), has_document_name("a.warc.gz")
    (True, False)
    """
    return name.lower().endswith(SUFFIXES)


def container(name: str, head: bytes) -> str:
    """The kind of a file from its first four bytes; its name has a say where these have none."""
    kind = MAGIC.get(head)
    if kind is None:
        kind = "jsonl_gzip" if head.startswith(GZIP) else "jsonl"
        if name.lower().endswith(".zst"):
            kind = "jsonl_zstd"  # a skippable frame may stand before the first of data
    named = next((one for end, one in KINDS.items() if name.lower().endswith(end)), kind)
    if named.split("_")[0] != kind.split("_")[0] and head:
        raise DocumentsError(f"named like {named}, but it begins with the bytes {head!r}")
    return kind
