"""A run directory on any file system: atomic files, deterministic parquet.

A file appears under its name only when it is complete: locally it is written under a temporary
name that carries its writer's identity and then renamed; remotely it is one PUT. Writing the same
content twice is harmless, so a late task of a dead driver cannot do damage.
"""

import contextlib
import os
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from fsspec.core import url_to_fs

from decant.pipeline.engine import interrupts
from decant.pipeline.engine.damage import DamagedFile, StorageError
from decant.pipeline.engine.seal import Damage
from decant.pipeline.engine.tables import ROW_GROUP_ROWS, TableWriter, open_table


@dataclass(frozen=True)
class Written:
    """One file that a task put under its name: what a manifest remembers of it."""

    path: str
    bytes: int
    checksum: str  # xxh3_128, hex


class Store:
    """A run directory at `url` (a local path or any fsspec URL); paths are relative to it.

    `written` lists the files put here through this object, for the manifest of a task.
    """

    def __init__(self, url: str):
        self.url = url.rstrip("/") or url
        self.written: list[Written] = []
        self._fs, self._root = url_to_fs(self.url)
        self.is_local = isinstance(self._fs, fsspec.get_filesystem_class("file"))

    def __reduce__(self):
        return (Store, (self.url,))

    def path(self, relative: str) -> str:
        """The file system's own name of a file in the run; refuses to leave the run directory."""
        if relative.startswith("/") or ".." in relative.split("/"):
            raise StorageError(f"{relative!r} would lie outside the run directory {self.url}")
        return f"{self._root}/{relative}" if relative else self._root

    def exists(self, relative: str) -> bool:
        return self._fs.exists(self.path(relative))

    def size(self, relative: str) -> int:
        return int(self._fs.size(self.path(relative)) or 0)

    def list(self, prefix: str) -> list[str]:
        """All files below `prefix`, relative to the run, sorted; temporary ones left out."""
        self._fs.invalidate_cache()
        places = self._fs.find(self.path(prefix))
        start = len(self._root) + 1
        names = (name[start:] for name in places)
        return sorted(name for name in names if not _is_temporary(name))

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of every file below `prefix`, by relative path, from one listing."""
        self._fs.invalidate_cache()
        details = self._fs.find(self.path(prefix), detail=True)
        start = len(self._root) + 1
        return {name[start:]: int(info["size"]) for name, info in details.items()}

    def open(self, relative: str) -> BinaryIO:
        return self._fs.open(self.path(relative), "rb")  # type: ignore[return-value]

    def read_bytes(self, relative: str) -> bytes:
        return self._fs.cat_file(self.path(relative))

    def write_bytes(self, relative: str, data: bytes) -> None:
        """Put `data` under its name at once: readers see the old file or the new one, whole."""
        if not self.is_local:
            self._fs.pipe_file(self.path(relative), data)
            self.written.append(Written(relative, len(data), xxhash.xxh3_128_hexdigest(data)))
            return
        with self.local_draft(relative) as draft, open(draft, "wb") as handle:
            handle.write(data)

    def remove(self, relative: str) -> None:
        """Delete a file or a directory; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self.path(relative), recursive=True)

    def remove_drafts(self, prefix: str) -> None:
        """Delete what writers that died left half-written below `prefix`."""
        for name in self._fs.find(self.path(prefix)):
            if _is_temporary(name):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm(name)

    @contextlib.contextmanager
    def local_draft(
        self, relative: str, checksum: Callable[[], str] | None = None
    ) -> Iterator[str]:
        """A local path to write to, which becomes `relative` on clean exit, else vanishes.

        `checksum`, called then, is for writers that know the file's xxh3_128 without reading it.
        """
        target = self.path(relative)
        mark = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        if self.is_local:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            draft = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.{mark}.tmp")
        else:
            draft = os.path.join(tempfile.gettempdir(), f"decant-{mark}.tmp")
        try:
            yield draft
            digest = checksum() if checksum else file_checksum(draft)
            self.written.append(Written(relative, os.path.getsize(draft), digest))
            if self.is_local:
                os.replace(draft, target)
            else:
                self._fs.put_file(draft, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(draft)

    @contextlib.contextmanager
    def table_writer(
        self,
        relative: str,
        schema: pa.Schema,
        row_group_rows: int = ROW_GROUP_ROWS,
        options: Mapping[str, Any] | None = None,
        sealed: bool = True,
    ) -> Iterator[TableWriter]:
        """A writer of one parquet file, which appears on clean exit only.

        `options` replace those of PARQUET_OPTIONS that do not suit a table; a table that is
        published has no checksums `sealed` into its footer.
        """
        with self.local_draft(relative) as draft:
            writer = TableWriter(draft, schema, row_group_rows, options, sealed)
            try:
                yield writer
            except BaseException:
                writer.abandon()
                raise
            writer.close()

    def parquet(self, relative: str) -> pq.ParquetFile:
        """The opened parquet file, checked as it is read; errors name a missing or damaged one."""
        with self.named_damage(relative):
            return open_table(self.open_checked(relative), self.damage(relative))

    def open_checked(self, relative: str) -> BinaryIO:
        """A file at whose end a reader looks first; a missing one is named in a StorageError."""
        try:
            if self.is_local:
                return open(self.path(relative), "rb", buffering=0)  # type: ignore[return-value]
            return self.open(relative)
        except FileNotFoundError as error:
            raise StorageError(f"{self.url}/{relative} is missing; run its stage again") from error

    def column_names(self, relative: str) -> Sequence[str]:
        """The columns of a parquet file."""
        with self.parquet(relative) as file:
            return file.schema_arrow.names

    def damage(self, relative: str) -> Damage:
        """What makes the error for a damaged file out of what is wrong with it."""
        return partial(DamagedFile, self.url, relative)

    def read_table(self, relative: str, columns: Sequence[str] | None = None) -> pa.Table:
        with self.parquet(relative) as file, self.named_damage(relative):
            names = list(columns) if columns is not None else None
            return _large(file.read(columns=names, use_threads=False))

    def iter_batches(
        self, relative: str, columns: Sequence[str] | None = None, batch_rows: int = 2_000
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a parquet file in order, `batch_rows` at a time, in bounded memory."""
        with self.parquet(relative) as file:
            names = list(columns) if columns is not None else None
            # One row group at a time: a batch that spans several would hold them all.
            for group in range(file.num_row_groups):
                batches = file.iter_batches(
                    batch_rows, row_groups=[group], columns=names, use_threads=False
                )
                while True:
                    with self.named_damage(relative):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    interrupts.check()
                    yield batch

    @contextlib.contextmanager
    def named_damage(self, relative: str) -> Iterator[None]:
        """Turns what Arrow says of damaged bytes into a DamagedFile."""
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowMemoryError, OSError) as error:
            # A damaged length asks for more memory than there is. A system or network error has a
            # number or a class of its own, and may pass.
            if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
                raise
            raise DamagedFile(self.url, relative, str(error)) from error


def file_checksum(path: str | os.PathLike[str]) -> str:
    """xxh3_128 (hex) of a local file."""
    digest = xxhash.xxh3_128()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _large(table: pa.Table) -> pa.Table:
    """The table with its text column as large_string, so that no take or concat overflows 2 GiB."""
    if "text" not in table.schema.names:
        return table
    index = table.schema.get_field_index("text")
    return table.set_column(index, "text", table.column(index).cast(pa.large_string()))


def _is_temporary(name: str) -> bool:
    base = name.rsplit("/", 1)[-1]
    return base.startswith(".") and base.endswith(".tmp")
