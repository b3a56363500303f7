"""A finished run with all measures, as the columns that arms are made of.

`1-extracted` has the documents, `2-filtered` a value per rule and the failed rules of each, kept or
not, and signatures of all of them. Anything less is refused: an arm would silently lack documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import tldextract
import yaml

from decant.ablations import hashing
from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.bands import Salts, band_keys
from decant.pipeline.dedup.layout import Part
from decant.pipeline.dedup.signatures import signature_rows
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir import paths
from decant.pipeline.rundir.records import only_dump
from decant.pipeline.rundir.texts import partitions


def shared_bands(bands: np.ndarray, signed: np.ndarray) -> np.ndarray:
    """Documents that share a band key with another of the pool, bool [n]: all others are unique."""
    shared = np.zeros(len(bands), dtype=bool)
    rows = np.flatnonzero(signed)
    for band in range(bands.shape[1]):
        _, code, count = np.unique(bands[rows, band], return_inverse=True, return_counts=True)
        shared[rows[count[code] > 1]] = True
    return shared


class RunUnfit(Exception):
    """The run cannot carry a study; says what is missing and how to get it."""


@dataclass(frozen=True)
class Documents:
    """All documents of a run that reached the rules, in row-key order, without their texts."""

    ids: list[str]
    domain: np.ndarray  # uint64 [n]
    rules: tuple[str, ...]
    measures: np.ndarray  # float64 [n, rules]
    failed: np.ndarray  # bool [n, rules]
    bands: np.ndarray  # uint64 [n, bands]
    may_repeat: np.ndarray  # bool [n]

    def __len__(self) -> int:
        return len(self.ids)


def read_config(store: Store) -> RunConfig:
    """The run's own configuration; refuses a run without all measures."""
    if not store.exists("config.yaml"):
        raise RunUnfit(f"{store.url} is no run directory: it has no config.yaml")
    config = RunConfig.model_validate(yaml.safe_load(store.read_bytes("config.yaml")))
    if not config.filter.all_measures:
        raise RunUnfit(
            f"{store.url} stopped at each document's first failing rule: a study needs every "
            "measure; run it again with `--set filter.all_measures=true`"
        )
    if not store.list(paths.SIGNATURES):
        raise RunUnfit(f"{store.url} has no {paths.SIGNATURES}: finish the filter stage first")
    return config


def read_documents(store: Store, config: RunConfig, sites: str = "registered") -> Documents:
    """Every document with its measures, verdicts and band keys; `sites` as `site_hashes` has it."""
    rules = tuple(rule.name for rule in config.recipe().rules)
    parts = [_read_partition(store, config, rules, n, sites) for n in partitions(store)]
    if not sum(len(p.ids) for p in parts):
        raise RunUnfit(f"{store.url} has no document that reached the rules")
    bands = np.concatenate([p.bands for p in parts])
    signed = np.concatenate([p.may_repeat for p in parts])
    return Documents(
        [i for p in parts for i in p.ids],
        np.concatenate([p.domain for p in parts]),
        rules,
        np.concatenate([p.measures for p in parts]),
        np.concatenate([p.failed for p in parts]),
        bands,
        shared_bands(bands, signed),
    )


def _read_partition(
    store: Store, config: RunConfig, rules: Sequence[str], number: int, sites: str
) -> Documents:
    """One partition; `may_repeat` says here which documents have a signature at all."""
    extracted = store.read_table(paths.extracted(number), ["offset", "id", "url"])
    columns = ["offset", *rules, "failed_rules"]
    judged = pa.concat_tables(
        [store.read_table(path(number), columns) for path in (paths.kept, paths.dropped)]
    ).sort_by("offset")
    signed = store.read_table(paths.signatures(number), ["offset", "signature"])
    offsets = extracted.column("offset").to_numpy()
    for name, table in ((f"rows of {paths.FILTERED}", judged), ("signatures", signed)):
        if not np.array_equal(table.column("offset").to_numpy(), offsets):
            raise RunUnfit(
                f"{store.url}: partition {number:05d} has {len(offsets)} documents but "
                f"{table.num_rows} {name}: the run is unfinished or was made without all measures"
            )
    measures = [judged.column(rule).to_numpy() for rule in rules]
    failed = np.zeros((len(offsets), len(rules)), dtype=bool)
    column_of = {rule: k for k, rule in enumerate(rules)}
    for row, names in enumerate(judged.column("failed_rules").to_pylist()):
        failed[row, [column_of[n] for n in names or ()]] = True
    urls = [url or "" for url in extracted.column("url").to_pylist()]
    bands, has = _bands(store, config, number, offsets, signed.column("signature"))
    return Documents(
        extracted.column("id").to_pylist(),
        site_hashes(urls, sites),
        tuple(rules),
        np.stack(measures, axis=1) if measures else np.zeros((len(offsets), 0)),
        failed,
        bands,
        has,
    )


def _bands(
    store: Store, config: RunConfig, number: int, offsets: np.ndarray, column: pa.ChunkedArray
) -> tuple[np.ndarray, np.ndarray]:
    """(band keys uint64 [n, bands], who has a signature), as the dedup stage computes them."""
    dedup = config.dedup
    has, values = signature_rows(column.combine_chunks(), dedup.bands * dedup.rows)
    part = Part(number, 0, len(offsets), only_dump(store, number))  # type: ignore[arg-type]
    salts = Salts(store, config, part).of(offsets[has])
    bands = np.zeros((len(offsets), dedup.bands), dtype=np.uint64)
    if has.any():
        bands[has] = band_keys(values, salts, dedup.bands, dedup.rows).T
    return bands, has


# The suffix list that comes with the package: no network, the same answer everywhere.
_SUFFIXES = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def site_hashes(urls: Sequence[str], sites: str) -> np.ndarray:
    """A hash of each URL's site, uint64 [n]: documents of one site are never independent.

    "registered": the domain that somebody registered (`a.example.co.uk` is `example.co.uk`), or the
    host where there is none; "host": the host as it stands.
    """
    names = []
    for url in urls:
        name = _SUFFIXES(url).top_domain_under_public_suffix if sites == "registered" else ""
        names.append(name or _host(url))
    return hashing.hash_strings(names)


def _host(url: str) -> str:
    """The host of a URL, or the URL itself where it has none or cannot be parsed."""
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
