"""Records whose page killed its extractor twice: each kept as a small WARC file of its own.

The file replays the record (`decant extract … --input FILE`) and says why it is there. A run that
is continued finds it and does not try again: what was decided once stays decided, byte for byte.
"""

import gzip
import io

from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.warc.reader import Reader, Record

FOLDER = paths.QUARANTINE
REASON = "decant-quarantine"  # a header field of its own in the record


def path_of(partition: int, offset: int) -> str:
    return f"{FOLDER}/{partition_name(partition)}-{offset:012d}.warc.gz"


def reasons(store: Store, partition: int) -> dict[int, str]:
    """The reason for each record of a partition that was given up before, by its offset."""
    by_offset: dict[int, str] = {}
    prefix = f"{FOLDER}/{partition_name(partition)}-"
    for path in store.list(FOLDER):
        if path.startswith(prefix):
            record = next(iter(Reader(io.BytesIO(store.read_bytes(path)))), None)
            offset = int(path[len(prefix) :].removesuffix(".warc.gz"))
            by_offset[offset] = record.headers.get(REASON, "") if record else ""
    return {offset: reason for offset, reason in by_offset.items() if reason}


def write(store: Store, partition: int, record: Record, reason: str) -> None:
    """Keep a record, with the reason among its header fields."""
    fields = {**record.headers, REASON: reason, "content-length": str(len(record.content))}
    fields["warc-type"] = record.type  # ARC documents have none
    lines = "".join(f"{name}: {value}\r\n" for name, value in sorted(fields.items()))
    data = b"WARC/1.0\r\n" + lines.encode() + b"\r\n" + record.content + b"\r\n\r\n"
    store.write_bytes(path_of(partition, record.offset), gzip.compress(data, 6, mtime=0))
