"""The input files of a run: found once, numbered, cut into partitions and frozen in the run.

`inputs.parquet` has one row per partition. A run that is continued must find the same files; a
changed list is refused, with the difference named.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.documents.formats import DIVISIBLE
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.rundir import document_inputs
from decant.pipeline.rundir.listing import InputError, InputFile, Listing, find, look

PATH = "inputs.parquet"
UNREADABLE_KEY = b"decant.unreadable"  # in its metadata: what looked like data, and why not

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("file", pa.int32()),
        ("url", pa.string()),
        ("file_path", pa.string()),
        ("dump", pa.string()),
        ("size", pa.int64()),
        ("etag", pa.string()),
        ("mtime", pa.string()),
        ("container", pa.string()),
        # member: of the compressed member; stream: decompressed; row: the number of a document
        ("offset_kind", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Partition:
    """A file or a byte range of one: what a task reads. `end` is None at the file's end."""

    number: int
    file: int
    start: int
    end: int | None
    source: InputFile


def freeze(store: Store, config: RunConfig) -> list[Partition]:
    """The partitions of a run: those frozen in it, else found now and frozen.

    Raises InputError where nothing is found, or where what is found now differs from what the run
    began with.
    """
    frozen = load(store) if store.exists(PATH) else None
    if not config.input.paths:
        if frozen is None:
            raise InputError("no input: name files with --input, or under input.paths")
        return frozen
    listing = find(config)
    if frozen is not None:
        _refuse_change(store, [one.source for one in frozen], listing.files)
        _refuse_other_cut(store, frozen, config.input.split_bytes)
        return frozen
    _say_beside(listing)
    files, fields = look(listing.files, config)
    partitions = partition(files, config.input.split_bytes)
    schema = document_inputs.with_fields(SCHEMA, fields)
    names = json.dumps(listing.unreadable).encode()
    schema = schema.with_metadata({**(schema.metadata or {}), UNREADABLE_KEY: names})
    with store.table_writer(PATH, schema) as writer:
        writer.write_rows([_row(one) for one in partitions])
    return partitions


def load(store: Store) -> list[Partition]:
    """The partitions that a run began with."""
    return [_partition(row) for row in store.read_table(PATH).to_pylist()]


def unreadable(store: Store) -> list[str]:
    """What was found beside the run's inputs, looks like data and cannot be read: "name: why"."""
    with store.parquet(PATH) as file:
        metadata = file.schema_arrow.metadata or {}
    try:
        return [str(name) for name in json.loads(metadata.get(UNREADABLE_KEY, b"[]"))]
    except ValueError as error:
        raise StorageError(f"{store.url}/{PATH} is damaged: {error}") from error


def _say_beside(listing: Listing) -> None:
    count = len(listing.beside)
    if count:
        names = ", ".join(listing.beside[:3]) + (", …" if count > 3 else "")
        files = (
            "1 file beside the input is" if count == 1 else f"{count} files beside the input are"
        )
        print(f"decant: {files} left alone: {names}", file=sys.stderr)


def partition(files: Iterable[InputFile], split_bytes: int) -> list[Partition]:
    """Files cut into byte ranges of about equal size, none above `split_bytes`.

    A file whose offsets lie in the decompressed stream is one partition: its records cannot be
    found from the middle.
    """
    partitions: list[Partition] = []
    for number, one in enumerate(files):
        divisible = one.container in ("plain", *DIVISIBLE) or one.offset_kind == "member"
        parts = max(1, -(-one.size // split_bytes)) if divisible else 1
        edges: list[int | None] = [one.size * part // parts for part in range(parts)]
        for start, end in zip(edges, [*edges[1:], None], strict=True):
            partitions.append(Partition(len(partitions), number, start or 0, end, one))
    return partitions


def _row(one: Partition) -> dict:
    source = asdict(one.source)
    return {"partition": one.number, "file": one.file, "start": one.start, "end": one.end, **source}


def _partition(row: dict) -> Partition:
    source = {key: row[key] for key in InputFile.__dataclass_fields__}
    return Partition(row["partition"], row["file"], row["start"], row["end"], InputFile(**source))


def _refuse_other_cut(store: Store, frozen: Sequence[Partition], split_bytes: int) -> None:
    sources = {one.file: one.source for one in frozen}
    if partition(sources.values(), split_bytes) != list(frozen):
        raise InputError(
            f"{store.url} was cut into {len(frozen)} partitions with another input.split_bytes "
            f"than {split_bytes}; use another --output, or the value in its config.yaml"
        )


def _refuse_change(store: Store, frozen: Sequence[InputFile], files: Sequence[InputFile]) -> None:
    before = {one.url: one for one in frozen}
    now = {one.url: one for one in files}
    changes = [f"{url} is gone" for url in before if url not in now]
    changes += [f"{url} is new" for url in now if url not in before]
    for url in before.keys() & now.keys():
        then, today = before[url], now[url]
        if (then.size, then.etag) != (today.size, today.etag):
            changes.append(f"{url} had {then.size} bytes, now {today.size} (etag {today.etag!r})")
        elif then.mtime != today.mtime:
            print(
                f"decant: {url} was touched since the run began; its size is the same",
                file=sys.stderr,
            )
    if changes:
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        raise InputError(
            f"{store.url} began with other input: {sorted(changes)[0]}{more}; "
            "use another --output for other input"
        )
