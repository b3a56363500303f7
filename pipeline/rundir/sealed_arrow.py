"""Arrow files with the checksums of their blocks behind them, checked before Arrow sees a byte.

A damaged Arrow file can end the process that opens it. Behind the file stand a line of JSON with
its blocks (seal.py) and a checksum of its own, the length of that line in 8 bytes, and MAGIC. A
file that ends with Arrow's own magic is one of an earlier version.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pyarrow as pa

from decant.pipeline.engine import checked_json
from decant.pipeline.engine.seal import Blocks, BlockWriter, CheckedFile, read_tail
from decant.pipeline.engine.storage import Store

MAGIC = b"DECSEAL2"
ARROW_MAGIC = b"ARROW1"
FIXED_BYTES = 8 + len(MAGIC)


@contextmanager
def new_arrow(
    store: Store, path: str, schema: pa.Schema, options: pa.ipc.IpcWriteOptions | None = None
) -> Iterator[pa.RecordBatchFileWriter]:
    """A writer of one Arrow file, which appears sealed on clean exit only."""
    with store.local_draft(path) as draft, closing(BlockWriter(draft)) as file:
        with pa.ipc.new_file(pa.PythonFile(file, "w"), schema, options=options) as writer:
            yield writer
        trailer = trailer_of(file.end_of_data())
        file.close_with(lambda _: trailer)


def trailer_of(blocks: Blocks) -> bytes:
    """What stands behind an Arrow file with these blocks."""
    line = checked_json.encode({"blocks": blocks.encode()})
    return line + len(line).to_bytes(8, "little") + MAGIC


def open_arrow(store: Store, path: str) -> tuple[pa.NativeFile, bool]:
    """(the Arrow file within a sealed one, True), or an earlier version's whole file and False.

    Raises DamagedFile where it is neither.
    """
    file, damage = store.open_checked(path), store.damage(path)
    tail, size = read_tail(file)
    if tail.endswith(ARROW_MAGIC):
        file.seek(0)
        return pa.PythonFile(file, "r"), False
    if not tail.endswith(MAGIC) or len(tail) < FIXED_BYTES:
        raise damage("it does not end as a piece does")
    length = int.from_bytes(tail[-FIXED_BYTES : -len(MAGIC)], "little") + FIXED_BYTES
    if length > size:
        raise damage(f"its list of checksums is longer ({length} bytes) than the file")
    if length > len(tail):
        tail, _ = read_tail(file, length)
    content = checked_json.decode(tail[-length:-FIXED_BYTES], store.url, path)
    try:
        blocks = Blocks.decode(content["blocks"])
    except (KeyError, ValueError, AttributeError) as error:
        raise damage(f"its list of checksums is none ({error})") from None
    if blocks.size != size - length:
        raise damage(f"its checksums are of {blocks.size} bytes, but it has {size - length}")
    return pa.PythonFile(CheckedFile(file, blocks, b"", damage), "r"), True
