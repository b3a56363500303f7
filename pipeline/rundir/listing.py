"""The files behind the addresses that a run is given, and what the first bytes of each tell.

A folder holds more than data: what is beside it is left alone, and said in a line; what looks like
data and cannot be read is named, and costs no other file. A file that is given must be there.
Addresses lose their secrets here: everything a run writes has them without.
"""

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import fsspec
import pyarrow as pa
from fsspec.core import url_to_fs

from decant.pipeline.config import InputConfig, RunConfig
from decant.pipeline.documents.formats import DocumentsError
from decant.pipeline.documents.rows import common_fields
from decant.pipeline.engine.secrets import public_text, with_secrets
from decant.pipeline.rundir import document_inputs
from decant.pipeline.rundir.document_inputs import ROW
from decant.pipeline.warc.reader import container, first_member

KINDS, PACKED = (".warc", ".warc.wet", ".arc"), ("", ".gz", ".zst", ".lz4")
SUFFIXES = tuple(kind + packed for kind in KINDS for packed in PACKED)
# A name that means data, in a packing that decant does not open.
LIKE_DATA = re.compile(
    r"\.(?:warc|arc|wet|parquet|jsonl|ndjson|arrow|feather)(?:\.\w{1,5})?$", re.I
)
DUMP_NAME = re.compile(r"CC-MAIN-\d{4}(?:-\d{2,4})+")
LOOKERS = 16  # files looked into at once: over a network the time is waiting


class InputError(Exception):
    """The input is missing, empty or changed; the message names it and what to do."""


@dataclass(frozen=True)
class InputFile:
    """One input file as it was when the run began; `url` holds no secret."""

    url: str
    file_path: str
    size: int
    etag: str = ""
    mtime: str = ""
    container: str = ""
    offset_kind: str = ""
    dump: str = ""


@dataclass
class Listing:
    """The files of a run, what looked like one and cannot be read, and what was left alone."""

    files: list[InputFile] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # "name: why", each found in a folder
    beside: list[str] = field(default_factory=list)  # names of files that are no data


def find(config: RunConfig) -> Listing:
    """The files that the configuration names, each once, in order of address."""
    listing = Listing()
    by_url: dict[str, tuple[InputFile, str]] = {}
    for path in config.input.paths:
        for one, opened in _resolve(path, config.input, listing):
            known = by_url.setdefault(one.url, (one, opened))
            if known[1] != opened:
                raise InputError(
                    f"--input {one.url}: two inputs differ only in their secrets; name it once"
                )
    files = sorted((one for one, _ in by_url.values()), key=lambda one: one.url)
    listing.files = files[: config.input.limit]
    return _without_empty(listing, config.input)


def _without_empty(listing: Listing, config: InputConfig) -> Listing:
    """The listing less documents' files without a byte, which no writer leaves; they are named."""
    empty = {
        one.url
        for one in listing.files
        if not one.size and document_inputs.holds_documents(one.url, config.format)
    }
    if empty and len(empty) == len(listing.files):
        raise InputError(f"--input {min(empty)}: it has no bytes")
    listing.unreadable += [f"{url}: it has no bytes" for url in sorted(empty)]
    listing.files = [one for one in listing.files if one.url not in empty]
    return listing


def look(files: Sequence[InputFile], config: RunConfig) -> tuple[list[InputFile], pa.Schema]:
    """The files with what their first bytes tell (container, kind of offsets, dump), and the
    columns that documents among them bring."""
    document_inputs.refuse_taken_names(config)
    with ThreadPoolExecutor(LOOKERS) as pool:
        seen = list(pool.map(lambda one: _look(one, config), files))
    documents = [(one.url, fields) for one, fields in seen if one.offset_kind == ROW]
    try:
        return [one for one, _ in seen], common_fields(documents)
    except DocumentsError as error:
        raise InputError(f"--input {error}") from None


def open_input(url: str, config: RunConfig) -> BinaryIO:
    """The file at `url`, seekable, read ahead where it is remote."""
    if "://" not in url:
        return open(url, "rb")
    options = {"cache_type": "readahead", "block_size": 8 << 20}
    return fsspec.open(_opened(url, config), "rb", **options).open()  # type: ignore[return-value]


@contextmanager
def steady_input(url: str, size: int, etag: str, config: RunConfig) -> Iterator[BinaryIO]:
    """The file at `url`; InputError where it is not, or no longer at the end, the one listed.

    A file that shrinks while it is read ends like a whole one: its last records would be lost
    without a word.
    """
    with open_input(url, config) as file:
        opened = file.size if hasattr(file, "size") else os.fstat(file.fileno()).st_size
        if opened != size:
            raise InputError(f"{url} had {size:,} bytes when the run began and has {opened:,} now")
        before = os.fstat(file.fileno()).st_mtime_ns if "://" not in url else None
        yield file
    now = identity(url, config)
    if now[0] != size or (etag and now[1] != etag) or before not in (None, int(now[2] or 0)):
        raise InputError(
            f"{url} changed while it was read: it had {size:,} bytes, now {now[0]:,}; once it is "
            "whole, use another --output"
        )


def identity(url: str, config: RunConfig) -> tuple[int, str, str]:
    """(size, ETag, time of the last change) of an input as it is now."""
    one = _local(url) if "://" not in url else _remote_at(_opened(url, config))
    return one.size, one.etag, one.mtime


def file_path_of(url: str) -> str:
    """The name of a file in the corpus: from `crawl-data/` on, else the file's own name.

    >>> file_path_of("s3://commoncrawl/crawl-data/CC-MAIN-2024-10/x.warc.gz")
    'crawl-data/CC-MAIN-2024-10/x.warc.gz'
    """
    at = url.rfind("crawl-data/")
    return url[at:] if at >= 0 else url.rstrip("/").rsplit("/", 1)[-1]


def _opened(url: str, config: RunConfig) -> str:
    base = config.input.base_url.rstrip("/") + "/"
    named = [path for path in config.input.paths if "://" not in path]
    return with_secrets(url, [*config.input.paths, *(base + path for path in named), base])


def _resolve(path: str, config: InputConfig, listing: Listing) -> Iterator[tuple[InputFile, str]]:
    """(file, address as given) of what lies behind one path: a file, glob, directory or URL."""
    if "://" not in path:
        if path.startswith("crawl-data/") and not os.path.exists(path):
            yield from _resolve(config.base_url.rstrip("/") + "/" + path, config, listing)
            return
        for name in _local_names(path, config.format, listing):
            yield _local(name), name
        return
    fs, name = url_to_fs(path)
    protocol = path.split("://", 1)[0]
    if protocol in ("http", "https"):
        yield _remote(fs, path, path), path
        return
    if glob.has_magic(name):
        names = _chosen(list(map(str, fs.glob(name))), config.format, listing)
    elif fs.isdir(name):
        names = _chosen(fs.find(name), config.format, listing)
    else:
        names = [name]
    if not names:
        raise _nothing_there(path, config.format)
    for match in names:
        yield _remote(fs, str(match), f"{protocol}://{match}"), f"{protocol}://{match}"


def _nothing_there(path: str, form: str) -> InputError:
    described = document_inputs.described(form, SUFFIXES)
    return InputError(f"--input {public_text(path)}: no {described} there")


def _chosen(names: list[str], form: str, listing: Listing) -> list[str]:
    """The input files among those of a folder; the others are noted."""
    chosen = document_inputs.chosen(names, form, SUFFIXES)
    for name in sorted(set(names) - set(chosen)):
        known = name.endswith(SUFFIXES) or document_inputs.has_document_name(name)
        if not known and LIKE_DATA.search(name):
            listing.unreadable.append(f"{public_text(name)}: packed in a way decant does not open")
        else:
            listing.beside.append(name)
    return chosen


def _local_names(path: str, form: str, listing: Listing) -> list[str]:
    if os.path.isdir(path):
        names = [name for name in _chosen(_walked(path), form, listing) if _is_file(name, listing)]
    elif glob.has_magic(path) and not os.path.exists(path):
        matches = [one for one in glob.glob(path, recursive=True) if not os.path.isdir(one)]
        names = [name for name in matches if _is_file(name, listing)]
    elif os.path.isfile(path):
        names = [path]
    elif os.path.lexists(path):
        raise InputError(f"--input {path}: neither a file nor a folder that can be read")
    else:
        raise InputError(f"--input {path}: no such file or directory")
    if not names:
        raise _nothing_there(path, form)
    return names


def _walked(path: str) -> list[str]:
    """Every name below a folder, through links to folders, each folder once."""
    seen: set[str] = set()
    names: list[str] = []
    for folder, below, files in os.walk(path, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            below.clear()  # a link back to where we come from
            continue
        seen.add(place)
        below.sort()
        names += [os.path.join(folder, name) for name in files]
    return names


def _is_file(name: str, listing: Listing) -> bool:
    """Whether a name found in a folder can be read; noted where it cannot."""
    why = _why_not(name)
    if why:
        shown = name.encode("utf-8", "backslashreplace").decode()
        listing.unreadable.append(f"{shown}: {why}")
    return why is None


def _why_not(name: str) -> str | None:
    try:
        name.encode("utf-8")
        mode = os.stat(name).st_mode
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        return f"{error.strerror} (a link to nothing?)" if os.path.islink(name) else error.strerror
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return None if os.access(name, os.R_OK) else "no permission to read it"


def _local(name: str) -> InputFile:
    name = os.path.abspath(name)
    try:
        status = os.stat(name)
    except OSError as error:
        raise InputError(f"--input {name}: {error.strerror}") from error
    return InputFile(name, file_path_of(name), status.st_size, mtime=str(status.st_mtime_ns))


def _remote_at(address: str) -> InputFile:
    fs, name = url_to_fs(address)
    is_web = address.split("://", 1)[0] in ("http", "https")
    return _remote(fs, address if is_web else name, address)


def _remote(fs: fsspec.AbstractFileSystem, name: str, address: str) -> InputFile:
    url = public_text(address)
    try:
        info = fs.info(name)
    except (OSError, ValueError) as error:
        why = public_text(str(error))
        if why in ("", url):  # all that fsspec says of most refusals; the cause says more
            cause = public_text(str(error.__cause__ or ""))
            why = cause or "it is not there, or the server lets nobody see it without a key"
        raise InputError(f"--input {url}: {why}") from None
    if info.get("size") is None:
        raise InputError(f"--input {url}: the server does not say its size; download it first")
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    changed = str(info.get("LastModified") or info.get("mtime") or info.get("last_modified") or "")
    return InputFile(url, file_path_of(url), int(info["size"]), etag, changed)


def _look(one: InputFile, config: RunConfig) -> tuple[InputFile, list[pa.Field]]:
    if document_inputs.holds_documents(one.url, config.input.format):
        return _look_at_documents(one, config)
    try:
        with open_input(one.url, config) as file:
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
        with open_input(one.url, config) as file:
            kind, fields = document_inputs.look(file, one.url, config)
    except (OSError, DocumentsError) as error:
        raise InputError(f"--input {one.url}: {error}") from error
    named = DUMP_NAME.search(one.url)
    dump = named.group() if named else "unknown"
    return replace(one, container=kind, offset_kind=ROW, dump=dump), fields
