"""One YAML file = one run: strict keys, thresholds visible, errors with file and line.

`load(path)` reads, validates and freezes; the path may be a shipped recipe's name. The YAML says
what to make; command-line flags say where and how much, and enter through `overrides`
(`--set key=value`) and `rules_from`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from decant.filters import steps
from decant.filters.recipe import Recipe
from decant.pipeline.engine.strict_yaml import (
    Bytes,
    ConfigError,
    Lines,
    Section,
    validated,
)
from decant.pipeline.recipes import extends
from decant.pipeline.recipes.execution import executed
from decant.pipeline.recipes.extends import Base
from decant.pipeline.recipes.own_rules import add_rule_files
from decant.pipeline.recipes.rule_files import RuleFile, RulesError, described
from decant.pipeline.recipes.shipped import RUNS, located, origin


class ColumnsConfig(Section):
    """Which column of documents is what; unset: found by its usual name (pipeline/README.md)."""

    text: str | None = None  # the text; the one column that must be there
    id: str | None = None  # else made from file and row
    url: str | None = None  # the address that URL rules see
    date: str | None = None  # when the page was fetched
    dump: str | None = None  # the crawl it is from
    language: str | None = None  # as language.enabled: false believes it
    language_score: str | None = None  # likewise
    file_path: str | None = None  # the archive it is from


class InputConfig(Section):
    """Where records, or rows of text, come from."""

    paths: tuple[str, ...] = ()  # files, globs, directories, http(s):// and s3:// URLs
    format: Literal["auto", "archives", "documents"] = "auto"  # documents: parquet, JSONL, Arrow
    columns: ColumnsConfig = ColumnsConfig()
    keep_columns: tuple[str, ...] = ()  # of documents, carried to the published set
    max_row_bytes: Bytes = 32_000_000  # of a document's text, or line of JSON
    scores: str | None = None  # parquet with an id and numbers, which `column` rules compare
    scores_id: str = "id"  # its column that names the document
    dump: str | None = None  # else the CC-MAIN-… in the path, else warcinfo's isPartOf
    base_url: str = "https://data.commoncrawl.org/"  # stands before relative names of a list
    split_bytes: Bytes = 256_000_000  # a larger file becomes several partitions
    limit: Annotated[int, Field(ge=1)] | None = None  # input files
    limit_records: Annotated[int, Field(ge=1)] | None = None  # pages of each run
    # Share of unreadable bytes above which a run fails; None: 0.001 from 1 GB of input on.
    max_lost: Annotated[float, Field(ge=0, le=1)] | None = None


class UrlConfig(Section):
    """URL rules (filters/url.py); two options mend defects of the reference, off as in FineWeb."""

    enabled: bool = True  # false: no URL rule drops a page
    match_listed_urls: bool = False  # the reference compares with a scheme and never hits
    case_sensitive_words: bool = True  # false: banned words in any case


class GatesConfig(Section):
    """Cheap tests before main text is extracted (pipeline/page/gates.py); unset is off: FineWeb."""

    min_cld2_fraction: Annotated[float, Field(ge=0, le=1)] | None = (
        None  # of the wanted language, by CommonCrawl's own count
    )
    min_words: Annotated[int, Field(ge=1)] | None = None  # on the whole page
    min_language_score: Annotated[float, Field(ge=0, le=1)] | None = None  # of all text of the page
    min_sentence_ends: Annotated[int, Field(ge=1)] | None = None  # on the whole page


class ExtractConfig(Section):
    """What a page may cost, and how bytes become text."""

    isolate: bool = True  # parse in a child process; false: a page may end the worker
    options: dict[str, Any] = Field(default_factory=dict)  # resiliparse's own keyword arguments
    max_bytes: Bytes = 6_000_000  # decoded; CommonCrawl cuts at 1 to 5 MiB
    max_elements: Annotated[int, Field(ge=1)] = 25_000  # of a page's tree
    max_depth: Annotated[int, Field(ge=1)] = 2_000  # of its nesting
    max_attributes: Annotated[int, Field(ge=1)] = 5_000  # in one tag
    charset: Literal["fineweb", "declared"] = "fineweb"  # declared: BOM, HTTP header, <meta> first
    # Digests of kept pages: those whose container has no checksum (plain files), all, or none.
    digests: Literal["unchecked", "all", "none"] = "unchecked"
    drop_mismatched: bool = False  # pages whose digests are not those of their bytes
    gates: GatesConfig = GatesConfig()


class LanguageConfig(Section):
    """Which pages stay by their language."""

    model: str = "lid.176.ftz"  # bundled; lid.176.bin is FineWeb's own, fetched once
    keep: tuple[str, ...] | None = ("en",)  # None: any language above the threshold
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.65  # a page stays above this probability
    newline: Literal["space", "deleted"] = "space"  # "deleted" is the release-time code's
    enabled: bool = True  # false: of documents, the language their columns give


class FilterConfig(Section):
    """The recipe: edits and rules in order."""

    all_measures: bool = False  # false: stop at the first failing rule
    rules: tuple[Any, ...] = ()  # filters/steps.py reads these


class LinesConfig(Section):
    """Lines seen before go, the first stays; FineWeb found it harmful (pipeline/dedup/lines.py)."""

    window: Literal[1, 3] = 3  # 1: single lines (CCNet); 3: spans of three (C4)
    min_chars: Annotated[int, Field(ge=1)] = 1  # a shorter line or window is not compared
    min_words: Annotated[int, Field(ge=0)] = 0  # what lost lines and has fewer left is dropped


class DedupConfig(Section):
    """MinHash near-duplicates, as FineWeb and datatrove find them; see pipeline/DEDUP.md."""

    enabled: bool = True  # false: nothing is a duplicate
    mode: Literal["cluster", "greedy"] = "cluster"  # greedy: only what is near one that stays goes
    scope: Literal["dump", "run"] = "dump"  # what is compared: each dump alone, or all
    survivor: str = "row_key"  # longest, newest_dump, source_rank, score:COLUMN
    sources: tuple[str, ...] = ()  # source_rank: dumps, the best first
    index: str | None = None  # an index of earlier runs to compare with and add to
    against: tuple[str, ...] = ()  # parquet datasets: what is near one of their texts goes
    memory_mb: Annotated[int, Field(ge=16)] = 2_000  # of each worker; more is spilled
    ngram: Annotated[int, Field(ge=1)] = 5  # words of a shingle
    bands: Annotated[int, Field(ge=1, le=64)] = 14  # that two documents may share
    rows: Annotated[int, Field(ge=1)] = 8  # hashes that a band has
    hash: Literal["sha1", "xxhash"] = "sha1"  # of shingles
    seed: int = 1  # of the permutations
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None  # by intent: picks bands and rows
    permutations: Annotated[int, Field(ge=1, le=1024)] | None = (
        None  # for `threshold`: how many hashes; 112 unless set
    )
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
    """The tokenizer that counts tokens."""

    tokenizer: str = "gpt2"  # of token_count
    path: str | None = None  # a folder with encoder.json and vocab.bpe, or a tokenizer.json
    when_missing: Literal["error", "null"] | None = "error"  # null: a column of nulls


class PiiConfig(Section):
    """Addresses that are replaced before publishing."""

    emails: bool = True  # replaced in published text
    ips: bool = True  # public IPv4 addresses, likewise
    strict_ip: bool = False  # true: only whole dotted quads; the reference replaces parts of words


class ShardConfig(Section):
    """The published files."""

    target_bytes: Bytes = 2_000_000_000  # of text; FineWeb's files are 2.15 GB
    order: Literal["shuffled", "input"] = "shuffled"  # shuffled by hash of id and seed, or as read


class RetainConfig(Section):
    """What a finished run keeps for later questions."""

    extracted: bool = True  # texts as extracted
    dropped_text: bool = True  # texts of what the rules dropped
    signatures: bool = True  # MinHash signatures


class RunConfig(Section):
    """A whole run, frozen."""

    extends: str | None = None  # a recipe or file that says all that this one does not
    based_on: tuple[Base, ...] = ()  # filled in: the recipes it was made from, with their digests
    rules_from: tuple[str, ...] = ()  # Python files or modules with RULES and EDITS of one's own
    rule_files: tuple[RuleFile, ...] = ()  # filled in: these files as they travel with the run
    seed: int = 1  # of the shuffle into shards
    workers: Annotated[int, Field(ge=0)] | None = None  # None: one per core
    input: InputConfig = InputConfig()
    extractor: Literal["trafilatura", "resiliparse", "union"] = (
        "trafilatura"  # main text: FineWeb's engine, DCLM's, or both joined
    )
    extract: ExtractConfig = ExtractConfig()
    url: UrlConfig = UrlConfig()
    language: LanguageConfig = LanguageConfig()
    filter: FilterConfig = FilterConfig()
    dedup: DedupConfig = DedupConfig()
    tokens: TokensConfig = TokensConfig()
    pii: PiiConfig = PiiConfig()
    shard: ShardConfig = ShardConfig()
    retain: RetainConfig = RetainConfig()

    # True where this process's user named the rule files: code in a run directory is never run.
    _may_run_code: bool = PrivateAttr(default=False)

    def recipe(self) -> Recipe:
        """The recipe, which decides over stored values; a user's own rules have no code in it."""
        return steps.build(self.filter.rules, described(self.rule_files))

    def measuring_recipe(self) -> Recipe:
        """The recipe with the code of the user's own rules, for texts."""
        if self.rule_files and not self._may_run_code:
            names = ", ".join(file.name for file in self.rule_files)
            raise RulesError(
                f"this configuration is a run's: the code in it is not run. Pass its rules with "
                f"--rules-from ({names})"
            )
        return steps.build(self.filter.rules, executed(self.rule_files))


def load(
    path: str | Path, overrides: Sequence[str] = (), rules_from: Sequence[str] = ()
) -> RunConfig:
    """The validated run of a YAML file or shipped recipe, with `key.sub=value` laid over it.

    `rules_from` names files of rules beside those of the configuration; a rule of them that no step
    names goes to the end of the recipe.
    """
    source = located(path)
    data, lines, bases = extends.read(source, overrides, RUNS)
    if bases:
        data["based_on"] = [base.model_dump() for base in bases]
    runs_code = add_rule_files(data, source, rules_from, lines)
    config = validate(data, lines, source.name)
    config._may_run_code = runs_code
    return config


def origin_lines(path: str, config: RunConfig) -> list[str]:
    """What a command says of its configuration: which file or recipe, whose rules and where."""
    lines = [f"configuration: {origin(located(path))}"]
    rules = config.recipe().rules
    for file in config.rule_files:
        brought = {one.name for one in file.rules}
        placed = [
            f"{rule.name} (keeps {rule.keep}; rule {number} of {len(rules)})"
            for number, rule in enumerate(rules, start=1)
            if rule.name in brought
        ]
        lines.append(f"{file.name}: {', '.join(placed) or 'no step of the recipe names its rules'}")
    return lines


def validate(data: Mapping[str, Any], lines: "Lines", name: str) -> RunConfig:
    """The frozen run, or a ConfigError that points at the line of the first mistake."""
    config = validated(RunConfig, data, lines, name)
    try:
        config.recipe()
    except steps.RecipeError as error:
        where = lines.where(name, ("filter", "rules", *error.path))
        raise ConfigError(f"{where}: {error}") from None
    return config
