"""What the page guard and its child process say to each other: the frames of a pipe."""

import mmap
import struct
from dataclasses import dataclass

# The protocol. A question: how many pages, then the bytes of each. Shared memory: the number of the
# page that the child is at, and from PAGES_AT on the pages. An answer: the bytes that follow; in
# them for each page one byte of what is answered, eight of length, and the text.
COUNT = struct.Struct("<Q")
HEAD = struct.Struct("<cQ")
TEXT, NOTHING, FAILED, NO_MEMORY = b"t", b"n", b"e", b"m"  # no page follows one without memory
READY = b"r"  # said once, before the first question
PAGES_AT = mmap.PAGESIZE  # the child may write before this place only


@dataclass(frozen=True)
class Extraction:
    """What became of a page: its text, or an error of the extractor, or a death of the child."""

    text: str | None = None
    error: str | None = None
    lost: str | None = None


def extraction(status: bytes, body: bytes) -> Extraction:
    """An answer in words."""
    if status == NO_MEMORY:
        return Extraction(lost="memory")
    said = body.decode("utf-8", "surrogatepass")
    if status == FAILED:
        return Extraction(error=said)
    return Extraction(text=said if status == TEXT else None)
