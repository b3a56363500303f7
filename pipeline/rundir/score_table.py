"""The table of `input.scores`: parquet files with an id and numbers for each document."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from fsspec.core import url_to_fs

from decant.pipeline.config import RunConfig
from decant.pipeline.documents.columns import column_at, is_label, is_number, short_name
from decant.pipeline.documents.formats import DocumentsError
from decant.pipeline.documents.rows import as_type, labels
from decant.pipeline.documents.tables import DAMAGE, ParquetTable
from decant.pipeline.engine.storage import StorageError
from decant.pipeline.engine.strict_yaml import ConfigError

READ_ROWS = 65_536


@dataclass(frozen=True)
class ScoreFile:
    """One file of the table as it was when the stage began."""

    url: str
    size: int
    etag: str
    group_rows: tuple[int, ...]  # of each row group

    @property
    def rows(self) -> int:
        return sum(self.group_rows)


def score_files(config: RunConfig) -> list[ScoreFile]:
    """The files of the table, in order of address; none where there is no table."""
    path = config.input.scores
    if path is None:
        return []
    try:
        fs, name = url_to_fs(path)
        found = fs.find(name) if fs.isdir(name) else fs.glob(name)
        names = sorted(str(one) for one in found if str(one).endswith(".parquet") or one == name)
        files = [_score_file(fs, one, config) for one in names]
    except (OSError, DocumentsError, ValueError) as error:
        raise ConfigError(f"input.scores {path}: {error}") from None
    if not files:
        raise ConfigError(f"input.scores {path}: no parquet file there")
    return files


def _score_file(fs: Any, name: str, config: RunConfig) -> ScoreFile:
    info = fs.info(name)
    with fs.open(name, "rb") as file:
        table = ParquetTable(file)
    identity = config.input.scores_id
    if identity not in table.schema.names:
        raise DocumentsError(
            f"{name}: no column {identity!r}, which names the document (input.scores_id); "
            f"its columns: {', '.join(table.schema.names)}"
        )
    if not is_label(table.schema.field(identity).type):
        kind = table.schema.field(identity).type
        raise DocumentsError(f"{name}: column {identity!r} has type {kind}, no text or number")
    for column in wanted_columns(config):
        if column in table.schema.names and not is_number(table.schema.field(column).type):
            kind = table.schema.field(column).type
            raise DocumentsError(
                f"{name}: column {column!r} has type {kind}; a rule needs a number"
            )
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    return ScoreFile(fs.unstrip_protocol(name), int(info["size"]), etag, tuple(table.rows))


def wanted_columns(config: RunConfig) -> list[str]:
    """The names of columns that rules compare."""
    paths = (rule.options.get("column") for rule in config.recipe().rules)
    return [short_name(path) for path in paths if path]


def score_columns(config: RunConfig) -> tuple[str, ...]:
    """The columns of the table, without that of the id; none where there is no table."""
    path = config.input.scores
    if path is None:
        return ()
    return tuple(one for one in _columns(path) if one != config.input.scores_id)


@lru_cache(maxsize=8)
def _columns(path: str) -> tuple[str, ...]:
    try:
        fs, name = url_to_fs(path)
        names = fs.find(name) if fs.isdir(name) else fs.glob(name)
        first = min(str(one) for one in names if str(one).endswith(".parquet") or one == name)
        with fs.open(first, "rb") as file:
            return tuple(ParquetTable(file).schema.names)
    except (OSError, DocumentsError, ValueError) as error:
        raise ConfigError(f"input.scores {path}: {error}") from None


def read_scores(
    url: str, groups: range | None, identity: str, columns: list[str]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """(ids, values: float64 [rows, columns], NaN for null) of row groups (None: all), in pieces."""
    fs, name = url_to_fs(url)
    file: BinaryIO
    with fs.open(name, "rb") as file:
        try:
            table = ParquetTable(file)
            for group in range(len(table.rows)) if groups is None else groups:
                for batch in table.batches(group, [identity, *columns], READ_ROWS):
                    yield _identities(batch, identity), _values(batch, columns)
        except (*DAMAGE, DocumentsError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise StorageError(f"input.scores: {url} is damaged: {error}") from None


def _identities(batch: pa.RecordBatch, identity: str) -> list[str]:
    return [one or "" for one in labels(column_at(batch, identity), "id")]


def _values(batch: pa.RecordBatch, columns: list[str]) -> np.ndarray:
    columns_read = [as_type(column_at(batch, column), pa.float64()) for column in columns]
    values = [column.to_numpy(zero_copy_only=False) for column in columns_read]
    return np.stack(values, axis=1) if values else np.empty((batch.num_rows, 0))
