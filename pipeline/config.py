"""One YAML file = one run: strict keys, thresholds visible, errors with file and line.

`load(path)` reads, validates and freezes. The YAML says what to make; command-line flags say where
and how much, and enter through `overrides` (`--set key=value`).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from decant.filters import recipe

SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


class ConfigError(Exception):
    """The configuration is wrong; the message names file, line, value and what would be right."""


def parse_size(value: Any) -> Any:
    """A size in bytes from 256MB, 1.5 GB or a plain number.

    >>> parse_size("256MB")
    256000000
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip()
    if unit not in SIZE_UNITS:
        raise ValueError(f"{value!r} is not a size; write bytes or 256MB, 2GB")
    return int(float(number) * SIZE_UNITS[unit])


Bytes = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]


Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class InputConfig(Section):
    """Where records come from."""

    paths: tuple[str, ...] = ()  # files, globs, directories, http(s):// and s3:// URLs
    dump: str | None = None  # else the CC-MAIN-… in the path, else warcinfo's isPartOf
    base_url: str = "https://data.commoncrawl.org/"
    split_bytes: Bytes = 256_000_000  # a larger file becomes several partitions
    limit: Annotated[int, Field(ge=1)] | None = None  # input files
    limit_records: Annotated[int, Field(ge=1)] | None = None  # pages of each run


class UrlConfig(Section):
    """URL rules (FineWeb §2); the two options mend defects of the reference, off as in FineWeb."""

    enabled: bool = True
    match_listed_urls: bool = False  # the reference compares with a scheme and never hits
    case_sensitive_words: bool = True


class GatesConfig(Section):
    """Cheap tests before main text is extracted (pipeline/gates.py); unset is off: FineWeb."""

    min_cld2_fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    min_words: Annotated[int, Field(ge=1)] | None = None
    min_language_score: Annotated[float, Field(ge=0, le=1)] | None = None
    min_sentence_ends: Annotated[int, Field(ge=1)] | None = None


class ExtractConfig(Section):
    """What a page may cost, and how bytes become text."""

    isolate: bool = True  # parse in a child process; false: a page may end the worker
    options: dict[str, Any] = {}  # resiliparse's own keyword arguments
    max_bytes: Bytes = 6_000_000  # decoded; CommonCrawl cuts at 1 to 5 MiB
    max_elements: Annotated[int, Field(ge=1)] = 25_000
    max_depth: Annotated[int, Field(ge=1)] = 2_000
    max_attributes: Annotated[int, Field(ge=1)] = 5_000  # in one tag
    charset: Literal["fineweb", "declared"] = "fineweb"  # declared: BOM, HTTP header, <meta> first
    gates: GatesConfig = GatesConfig()


class LanguageConfig(Section):
    model: str = "lid.176.ftz"  # bundled; lid.176.bin is FineWeb's own, fetched once
    keep: tuple[str, ...] | None = ("en",)  # None: any language above the threshold
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.65
    newline: Literal["space", "deleted"] = "space"  # "deleted" is the release-time code's


class FilterConfig(Section):
    all_measures: bool = False  # false: stop at the first failing rule
    rules: tuple[Any, ...] = ()  # filters.recipe reads these


class LinesConfig(Section):
    """Lines seen before go, the first stays; FineWeb found it harmful (pipeline/line_steps.py)."""

    window: Literal[1, 3] = 3  # 1: single lines (CCNet); 3: spans of three (C4)
    min_chars: Annotated[int, Field(ge=1)] = 1  # a shorter line or window is not compared
    min_words: Annotated[int, Field(ge=0)] = 0  # what lost lines and has fewer left is dropped


class DedupConfig(Section):
    """MinHash near-duplicates (FineWeb §3.7; datatrove dedup/minhash.py); see pipeline/DEDUP.md."""

    enabled: bool = True
    mode: Literal["cluster", "greedy"] = "cluster"
    scope: Literal["dump", "run"] = "dump"
    survivor: str = "row_key"  # longest, newest_dump, source_rank, score:COLUMN
    sources: tuple[str, ...] = ()  # source_rank: dumps, the best first
    index: str | None = None
    against: tuple[str, ...] = ()  # parquet datasets: what is near one of their texts goes
    memory_mb: Annotated[int, Field(ge=16)] = 2_000
    ngram: Annotated[int, Field(ge=1)] = 5
    bands: Annotated[int, Field(ge=1, le=64)] = 14
    rows: Annotated[int, Field(ge=1)] = 8
    hash: Literal["sha1", "xxhash"] = "sha1"
    seed: int = 1
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None  # by intent: picks bands and
    permutations: Annotated[int, Field(ge=1, le=1024)] | None = None  # rows for this many hashes
    exact_payload: bool = False  # equal bytes of the page; FineWeb compares neither
    exact_text: bool = False  # equal text after edits
    short_documents: Literal["keep", "exact"] = "keep"  # too short for MinHash: equal text
    compare: bool = True  # signature Jaccard of every candidate pair; false: keys are believed
    recall_queries: Annotated[int, Field(ge=0)] = 32  # documents compared with all, for the report
    exact_sample: Annotated[int, Field(ge=0)] = 100  # dropped ones compared by shingles, likewise
    min_jaccard: Annotated[float, Field(ge=0, le=1)] | None = None  # pairs below do not join
    lines: LinesConfig | None = None  # repeated lines, after the documents

    @model_validator(mode="before")
    @classmethod
    def _choose_bands(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("threshold") is None:
            return data
        chosen = data["threshold"], data.get("permutations") or 112
        if not all(isinstance(value, int | float) for value in chosen) or not 0 < chosen[0] < 1:
            return data  # the fields' own checks say what is wrong
        from decant.filters.minhash import bands_and_rows

        bands, rows = bands_and_rows(*chosen)
        given = data.get("bands", bands), data.get("rows", rows)
        if given != (bands, rows):
            raise ValueError(f"threshold picks {bands} bands x {rows} rows; leave out bands, rows")
        return {**data, "bands": bands, "rows": rows}


class TokensConfig(Section):
    tokenizer: str = "gpt2"
    path: str | None = None  # a folder with encoder.json and vocab.bpe, or a tokenizer.json
    when_missing: Literal["error", "null"] | None = "error"


class PiiConfig(Section):
    emails: bool = True
    ips: bool = True
    strict_ip: bool = False  # true: only whole dotted quads; the reference replaces parts of words


class ShardConfig(Section):
    target_bytes: Bytes = 2_000_000_000  # of text; FineWeb's files are 2.15 GB
    order: Literal["shuffled", "input"] = "shuffled"


class RetainConfig(Section):
    """What a finished run keeps for later questions."""

    extracted: bool = True
    dropped_text: bool = True
    signatures: bool = True


class RunConfig(Section):
    """A whole run, frozen."""

    seed: int = 1
    workers: Annotated[int, Field(ge=0)] | None = None  # None: one per core
    input: InputConfig = InputConfig()
    extractor: Literal["trafilatura", "resiliparse", "union"] = "trafilatura"
    extract: ExtractConfig = ExtractConfig()
    url: UrlConfig = UrlConfig()
    language: LanguageConfig = LanguageConfig()
    filter: FilterConfig = FilterConfig()
    dedup: DedupConfig = DedupConfig()
    tokens: TokensConfig = TokensConfig()
    pii: PiiConfig = PiiConfig()
    shard: ShardConfig = ShardConfig()
    retain: RetainConfig = RetainConfig()

    def recipe(self) -> recipe.Recipe:
        return recipe.build(self.filter.rules)


def load(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The validated run of a YAML file, with `key.sub=value` overrides applied."""
    name = str(path)
    return validate(*read_yaml(path, overrides), name)


def read_yaml(path: str | Path, overrides: Sequence[str] = ()) -> "tuple[dict, Lines]":
    """The data of a YAML file with overrides applied, and the line or flag of each key."""
    name = str(path)
    try:
        source = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: not UTF-8 text (byte {error.start})") from error
    data, lines = parse_yaml(source, name)
    for override in overrides:
        apply_override(data, lines, override)
    return data, lines


def validate(data: Mapping[str, Any], lines: "Lines", name: str) -> RunConfig:
    """The frozen run, or a ConfigError that points at the line of the first mistake."""
    config = validated(RunConfig, data, lines, name)
    try:
        config.recipe()
    except recipe.RecipeError as error:
        where = lines.where(name, ("filter", "rules", *error.path))
        raise ConfigError(f"{where}: {error}") from None
    return config


def validated(
    model: type[Model],
    data: Mapping[str, Any],
    lines: "Lines",
    name: str,
    listed: Callable[[Iterable[str]], list[str]] = sorted,
) -> Model:
    """The data as a frozen model; a mistake is named with file, line and the valid keys.

    `listed` orders those keys: by name, or `list` for the order of their declaration.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        valid = listed(_keys_at(model, tuple(error.errors()[0]["loc"])[:-1]))
        raise ConfigError(_explain(error, valid, lines, name)) from None


class Lines:
    """The line of every key of a YAML file, and where a command-line override came from."""

    def __init__(self) -> None:
        self._lines: dict[tuple, int | str] = {(): 1}

    def __setitem__(self, path: tuple, line: int | str) -> None:
        self._lines[path] = line

    def where(self, name: str, path: tuple) -> str:
        """`file:line` of the deepest known part of `path`, or the flag that set it."""
        while path not in self._lines:
            path = path[:-1]
        line = self._lines[path]
        return line if isinstance(line, str) else f"{name}:{line}"

    def __contains__(self, path: tuple) -> bool:
        return path in self._lines


def parse_yaml(source: str, name: str) -> tuple[dict, Lines]:
    """The plain data of a YAML mapping and the line of each of its keys."""
    try:
        node = yaml.compose(source, Loader=yaml.SafeLoader)
        data = yaml.safe_load(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{name}:{line}: not valid YAML: {problem}") from None
    lines = Lines()
    if data is None:
        return {}, lines
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: expected keys such as `input:` and `filter:` at the top")
    _collect_lines(node, (), lines, name)
    return data, lines


def _collect_lines(node: Any, path: tuple, lines: Lines, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(
                    f"{name}:{line}: {key.value!r} stands twice (first in line {seen[key.value]})"
                )
            seen[key.value] = line
            lines[(*path, key.value)] = line
            _collect_lines(value, (*path, key.value), lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _collect_lines(item, (*path, index), lines, name)


def apply_override(data: dict, lines: Lines, override: str) -> None:
    """Set `key.sub=value` in `data`; the value is read as YAML."""
    key, separator, text = override.partition("=")
    path = tuple(key.strip().split("."))
    if not separator or not all(path):
        raise ConfigError(f"--set {override!r}: write key.sub=value, as in seed=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML") from None
    target = data
    for part in path[:-1]:
        if target.get(part) is None:  # absent, or `lines: null`
            target[part] = {}
        target = target[part]
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override!r}: {part!r} is not a section")
    target[path[-1]] = value
    for length in range(1, len(path) + 1):
        if path[:length] not in lines or length == len(path):
            lines[path[:length]] = f"--set {key}"


def _explain(error: ValidationError, valid: Sequence[str], lines: Lines, name: str) -> str:
    first = error.errors()[0]
    path = tuple(first["loc"])
    where = lines.where(name, path)
    dotted = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key {dotted!r}; valid keys here: {', '.join(valid)}"
    given = first.get("input")
    return f"{where}: {dotted}: {first['msg']} (given: {given!r})"


def _keys_at(model: Any, path: tuple) -> list[str]:
    for part in path:
        if part not in getattr(model, "model_fields", {}):
            return []  # the mistake lies in a value: no section of keys
        kind = model.model_fields[part].annotation
        model = next((one for one in get_args(kind) if hasattr(one, "model_fields")), kind)
    return list(getattr(model, "model_fields", ()))


# The keys each stage reads. A stage's manifests carry the digest of these and of nothing else, so
# that changing the shard size does not make extraction run again.
STAGE_KEYS: dict[str, tuple[str, ...]] = {
    "extract": ("input.dump", "input.limit_records", "extractor", "extract", "url", "language"),
    "filter": ("filter", "dedup.ngram", "dedup.bands", "dedup.rows", "dedup.hash", "dedup.seed"),
    "deduplicate": ("dedup",),
    "shard": ("seed", "tokens", "pii", "shard"),
}

# Bounds on resources, not on results: they may differ between two runs with the same bytes.
RESOURCE_KEYS = (
    "dedup.memory_mb",
    "extract.isolate",
)


def stage_keys(config: RunConfig, stage: str) -> dict[str, Any]:
    """The configuration keys that decide what `stage` writes, flat, by dotted name."""
    data = config.model_dump(mode="json")
    flat = _flatten(data)
    prefixes = STAGE_KEYS[stage]
    return {
        key: value
        for key, value in sorted(flat.items())
        if any(key == prefix or key.startswith(prefix + ".") for prefix in prefixes)
        and key not in RESOURCE_KEYS
    }


def stage_digest(config: RunConfig, stage: str) -> str:
    """sha256 (hex) of the keys that `stage` reads."""
    text = json.dumps(stage_keys(config, stage), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
