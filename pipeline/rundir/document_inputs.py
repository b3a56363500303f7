"""A run's document files: which there are, what they are, which columns they bring."""

from collections.abc import Iterable, Sequence
from typing import BinaryIO

import pyarrow as pa

from decant.pipeline.config import RunConfig
from decant.pipeline.documents import reader
from decant.pipeline.documents.columns import ColumnNames, folder_values, path_of, short_name
from decant.pipeline.documents.formats import (
    CONTAINERS,
    HEAD_BYTES,
    SUFFIXES,
    container,
    has_document_name,
)
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.engine.strict_yaml import ConfigError
from decant.pipeline.rundir.records import EXTRACTED, LINEAGE, PUBLISHED
from decant.pipeline.rundir.score_table import score_columns

ROW = "row"  # the kind of a document's offset: its number in the file
FIELDS_KEY = b"decant.columns"  # in the metadata of inputs.parquet: the schema of carried columns
TAKEN = {*EXTRACTED.names, *PUBLISHED.names, LINEAGE.name, "order"}


def is_container(name: str) -> bool:
    """Whether a file of this container holds documents, not records."""
    return name in CONTAINERS


def chosen(names: Sequence[str], form: str, archive_suffixes: tuple[str, ...]) -> list[str]:
    """The input files among those of a folder; `auto`: archives where there are any."""
    archives = [name for name in names if name.endswith(archive_suffixes)]
    documents = [name for name in names if has_document_name(name)]
    return {"archives": archives, "documents": documents, "auto": archives or documents}[form]


def described(form: str, archive_suffixes: tuple[str, ...]) -> str:
    """What is looked for in a folder, for the message that it is not there."""
    archives = f"WARC files ({', '.join(archive_suffixes)})"
    documents = f"documents ({', '.join(SUFFIXES)})"
    return {"archives": archives, "documents": documents, "auto": f"{archives} or {documents}"}[
        form
    ]


def holds_documents(url: str, form: str) -> bool:
    """Whether the file at `url` is read as documents."""
    return form == "documents" or (form == "auto" and has_document_name(url))


def column_names(config: RunConfig, url: str, fields: pa.Schema | None = None) -> ColumnNames:
    """The columns that a run reads of the file at `url`; `fields`: those it has settled on."""
    given = config.input.columns.model_dump()
    if fields is not None:
        return ColumnNames(given, [path_of(one) for one in fields], (), folder_values(url))
    compared, read = rule_columns(config)
    kept = (*config.input.keep_columns, *read)
    return ColumnNames(given, kept, compared, folder_values(url))


def rule_columns(config: RunConfig) -> tuple[list[str], list[str]]:
    """(columns that `column` rules compare, columns that other rules read) of documents."""
    known = {*EXTRACTED.names, *score_columns(config)}
    compared, read = [], []
    for rule in config.recipe().rules:
        path = rule.options.get("column")
        if path is None:
            read += [name for name in rule.reads if name not in known]
        elif short_name(path) not in known:
            compared.append(path)
    return compared, read


def look(file: BinaryIO, url: str, config: RunConfig) -> tuple[str, list[pa.Field]]:
    """(container, fields of the columns to carry along) of a document file.

    Raises DocumentsError where it holds no texts, or not what the configuration names.
    """
    kind = container(url, file.read(HEAD_BYTES))
    file.seek(0)
    return kind, reader.look(file, kind, column_names(config, url))


def refuse_taken_names(config: RunConfig) -> None:
    """Raise ConfigError where a column to carry along has a name that the run itself uses."""
    names = [short_name(path) for path in config.input.keep_columns]
    for name in names:
        if name in TAKEN:
            raise ConfigError(
                f"input.keep_columns: {name!r} is a column that every run has (input.columns says "
                "which column of the input it is read from); leave it out"
            )
        if names.count(name) > 1:
            raise ConfigError(f"input.keep_columns: two columns are called {name!r}")


def with_fields(schema: pa.Schema, fields: Iterable[pa.Field]) -> pa.Schema:
    """The schema of `inputs.parquet`, which also says which columns its documents bring."""
    extra = pa.schema(list(fields))
    return schema.with_metadata({FIELDS_KEY: extra.serialize().to_pybytes()}) if extra else schema


def published_schema(store: Store, config: RunConfig) -> pa.Schema:
    """The columns of the published files: the release's, then `input.keep_columns`."""
    if not config.input.keep_columns:
        return PUBLISHED
    kept = {short_name(path) for path in config.input.keep_columns}
    extra = [one for one in extra_schema(store) if one.name in kept]
    return pa.schema([*PUBLISHED, *(one.remove_metadata() for one in extra)])


def extra_schema(store: Store, path: str = "inputs.parquet") -> pa.Schema:
    """The columns that the run's documents bring beside those of every run."""
    with store.parquet(path) as file:
        metadata = file.schema_arrow.metadata or {}
    data = metadata.get(FIELDS_KEY)
    if data is None:
        return pa.schema([])
    try:
        return pa.ipc.read_schema(pa.py_buffer(data))
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{store.url}/{path} is damaged: {error}") from error
