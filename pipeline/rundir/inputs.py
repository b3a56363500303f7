"""The input files of a run: found once, numbered, cut into partitions and frozen in the run.

`inputs.parquet` has one row per partition. A run that is continued must find the same files; a
changed list is refused, with the difference named.

Where the partitions of a file truly begin, so that how it was cut never changes its records.

A partition that starts in the middle of a file begins at the first member (or header) there that
looks like a record. Bytes can imitate one: a WARC file archived inside a record does. The partition
before it knows better, since it read up to there; where the two disagree, the later one is read
again from the place the earlier one names.
"""

import glob
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, BinaryIO

import fsspec
import pyarrow as pa
from fsspec.core import url_to_fs

from decant.pipeline.config import InputConfig, RunConfig
from decant.pipeline.documents.formats import DIVISIBLE, DocumentsError
from decant.pipeline.documents.rows import common_fields
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import document_inputs
from decant.pipeline.rundir.document_inputs import ROW
from decant.pipeline.rundir.paths import partition_name
from decant.pipeline.warc.reader import container, first_member

PATH = "inputs.parquet"
KINDS, PACKED = (".warc", ".warc.wet", ".arc"), ("", ".gz", ".zst", ".lz4")
SUFFIXES = tuple(kind + packed for kind in KINDS for packed in PACKED)
DUMP_NAME = re.compile(r"CC-MAIN-\d{4}(?:-\d{2,4})+")
LOOKERS = 16  # files looked into at once: over a network the time is waiting

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


class InputError(Exception):
    """The input is missing, empty or changed; the message names it and what to do."""


@dataclass(frozen=True)
class InputFile:
    """One archive file as it was when the run began."""

    url: str
    file_path: str
    size: int
    etag: str = ""
    mtime: str = ""
    container: str = ""
    offset_kind: str = ""
    dump: str = ""


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
    found = find(config)
    if frozen is not None:
        _refuse_change(store, [one.source for one in frozen], found)
        _refuse_other_cut(store, frozen, config.input.split_bytes)
        return frozen
    files, fields = look(found, config)
    partitions = partition(files, config.input.split_bytes)
    with store.table_writer(PATH, document_inputs.with_fields(SCHEMA, fields)) as writer:
        writer.write_rows([_row(one) for one in partitions])
    return partitions


def load(store: Store) -> list[Partition]:
    """The partitions that a run began with."""
    return [_partition(row) for row in store.read_table(PATH).to_pylist()]


def find(config: RunConfig) -> list[InputFile]:
    """The files that the configuration names, each once, in order of address."""
    found: dict[str, InputFile] = {}
    for path in config.input.paths:
        for one in _resolve(path, config.input):
            found.setdefault(one.url, one)
    files = sorted(found.values(), key=lambda one: one.url)
    return files[: config.input.limit]


def look(files: Sequence[InputFile], config: RunConfig) -> tuple[list[InputFile], pa.Schema]:
    """The files with what their first bytes tell (container, kind of offsets, dump), and the
    columns that documents among them bring."""
    document_inputs.refuse_taken_names(config)
    with ThreadPoolExecutor(LOOKERS) as pool:
        found = list(pool.map(lambda one: _look(one, config), files))
    documents = [(one.url, fields) for one, fields in found if one.offset_kind == ROW]
    try:
        return [one for one, _ in found], common_fields(documents)
    except DocumentsError as error:
        raise InputError(f"--input {error}") from None


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


def open_input(url: str) -> BinaryIO:
    """The file at `url`, seekable, read ahead where it is remote."""
    if "://" not in url:
        return open(url, "rb")
    options = {"cache_type": "readahead", "block_size": 8 << 20}
    return fsspec.open(url, "rb", **options).open()  # type: ignore[return-value]


def file_path_of(url: str) -> str:
    """The name of a file in the corpus: from `crawl-data/` on, else the file's own name.

    >>> file_path_of("s3://commoncrawl/crawl-data/CC-MAIN-2024-10/x.warc.gz")
    'crawl-data/CC-MAIN-2024-10/x.warc.gz'
    """
    at = url.rfind("crawl-data/")
    return url[at:] if at >= 0 else url.rstrip("/").rsplit("/", 1)[-1]


def _resolve(path: str, config: InputConfig) -> list[InputFile]:
    """The files behind one given path: a file, a glob, a directory or a URL."""
    if "://" not in path:
        if path.startswith("crawl-data/") and not os.path.exists(path):
            return _resolve(config.base_url.rstrip("/") + "/" + path, config)
        names = _local_names(path, config.format)
        return [_local(name) for name in names]
    fs, name = url_to_fs(path)
    protocol = path.split("://", 1)[0]
    if protocol in ("http", "https"):
        return [_remote(fs, path, path)]
    if glob.has_magic(name):
        names = document_inputs.chosen(list(map(str, fs.glob(name))), config.format, SUFFIXES)
    elif fs.isdir(name):
        names = document_inputs.chosen(fs.find(name), config.format, SUFFIXES)
    else:
        names = [name]
    if not names:
        raise _nothing_there(path, config.format)
    return [_remote(fs, str(found), f"{protocol}://{found}") for found in names]


def _nothing_there(path: str, form: str) -> InputError:
    return InputError(f"--input {path}: no {document_inputs.described(form, SUFFIXES)} there")


def _local_names(path: str, form: str) -> list[str]:
    if os.path.isdir(path):
        every = [os.path.join(folder, name) for folder, _, files in os.walk(path) for name in files]
        names = document_inputs.chosen(every, form, SUFFIXES)
    elif glob.has_magic(path) and not os.path.exists(path):
        names = [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
    elif os.path.isfile(path):
        names = [path]
    else:
        raise InputError(f"--input {path}: no such file or directory")
    if not names:
        raise _nothing_there(path, form)
    return names


def _local(name: str) -> InputFile:
    name = os.path.abspath(name)
    try:
        found = os.stat(name)
    except OSError as error:
        raise InputError(f"--input {name}: {error.strerror}") from error
    return InputFile(name, file_path_of(name), found.st_size, mtime=str(found.st_mtime_ns))


def _remote(fs: fsspec.AbstractFileSystem, name: str, url: str) -> InputFile:
    try:
        info = fs.info(name)
    except (OSError, ValueError) as error:
        raise InputError(f"--input {url}: {error}") from error
    if info.get("size") is None:
        raise InputError(f"--input {url}: the server does not say its size; download it first")
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    changed = str(info.get("LastModified") or info.get("mtime") or info.get("last_modified") or "")
    return InputFile(url, file_path_of(url), int(info["size"]), etag, changed)


def _look(one: InputFile, config: RunConfig) -> tuple[InputFile, list[pa.Field]]:
    if document_inputs.holds_documents(one.url, config.input.format):
        return _look_at_documents(one, config)
    try:
        with open_input(one.url) as file:
            kind = container(file.read(4))
            by_member, fields = first_member(file, kind)
    except OSError as error:
        raise InputError(f"--input {one.url}: {error}") from error
    named = DUMP_NAME.search(one.url)
    dump = named.group() if named else fields.get("ispartof", "") or "unknown"
    kind_of_offset = "member" if by_member else "stream"
    return replace(one, container=kind, offset_kind=kind_of_offset, dump=dump), []


def _look_at_documents(one: InputFile, config: RunConfig) -> tuple[InputFile, list[pa.Field]]:
    try:
        with open_input(one.url) as file:
            kind, fields = document_inputs.look(file, one.url, config)
    except (OSError, DocumentsError) as error:
        raise InputError(f"--input {one.url}: {error}") from error
    named = DUMP_NAME.search(one.url)
    dump = named.group() if named else "unknown"
    return replace(one, container=kind, offset_kind=ROW, dump=dump), fields


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


def _refuse_change(store: Store, frozen: Sequence[InputFile], found: Sequence[InputFile]) -> None:
    before = {one.url: one for one in frozen}
    now = {one.url: one for one in found}
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
