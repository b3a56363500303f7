"""Which configuration keys decide what a stage writes, and their digest.

A stage's manifests carry the digest of the keys that the stage reads and of nothing else, so that
changing the shard size does not make extraction run again. A key that decant did not know when a
run was made must not tell that run apart from today's: so a key added since format 1 counts only
where it is not at its default, and a run of an older decant resumes under a newer one.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.engine.secrets import public_values

STAGE_KEYS: dict[str, tuple[str, ...]] = {
    "extract": (
        "input.dump",
        "input.limit_records",
        "input.format",
        "input.columns",
        "input.keep_columns",
        "input.max_row_bytes",
        "extractor",
        "extract",
        "url",
        "language",
    ),
    "filter": (
        "filter",
        "rule_files",
        "input.scores",
        "input.scores_id",
        "dedup.ngram",
        "dedup.bands",
        "dedup.rows",
        "dedup.hash",
        "dedup.seed",
    ),
    "deduplicate": ("dedup",),
    "shard": ("seed", "tokens", "pii", "shard"),
}

# Bounds on resources, not on results: they may differ between two runs with the same bytes.
RESOURCE_KEYS = (
    "dedup.memory_mb",
    "extract.isolate",
)

# The keys of runs without a format number, hashed whatever their value. Never add one here: a key
# that is not listed is hashed where it differs from its default, as it must be.
FORMAT_1: dict[str, str] = {
    "": "extractor seed",
    "input": "dump limit_records",
    "extract": "charset max_attributes max_bytes max_depth max_elements",
    "extract.gates": "min_cld2_fraction min_language_score min_sentence_ends min_words",
    "url": "case_sensitive_words enabled match_listed_urls",
    "language": "keep model newline threshold",
    "filter": "all_measures rules",
    "dedup": (
        "against bands compare enabled exact_payload exact_sample exact_text hash index lines "
        "min_jaccard mode ngram permutations recall_queries rows scope seed short_documents "
        "sources survivor threshold"
    ),
    "dedup.lines": "min_chars min_words window",
    "tokens": "path tokenizer when_missing",
    "pii": "emails ips strict_ip",
    "shard": "order target_bytes",
}
FORMAT_1_KEYS = {
    f"{section}.{key}".removeprefix(".")
    for section, keys in FORMAT_1.items()
    for key in keys.split()
}


def stage_keys(config: RunConfig, stage: str) -> dict[str, Any]:
    """The configuration keys that decide what `stage` writes, flat, by dotted name."""
    chosen = _data(config, exclude_defaults=True)
    return {
        key: value
        for key, value in sorted(_data(config).items())
        if _is_read(key, stage) and (key in FORMAT_1_KEYS or key in chosen)
    }


def stage_digest(config: RunConfig, stage: str) -> str:
    """sha256 (hex) of the keys that `stage` reads."""
    text = json.dumps(stage_keys(config, stage), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changed_keys(
    then: Mapping[str, Any], config: RunConfig, stage: str
) -> list[tuple[str, Any, Any]]:
    """(key, value then, value now) of the keys in which an earlier `stage_keys` differs."""
    now = stage_keys(config, stage)
    every = _data(config)
    defaults = _data(RunConfig())
    before = {key: then.get(key, defaults.get(key)) for key in then.keys() | now.keys()}
    after = {key: every.get(key, defaults.get(key)) for key in before}
    return [(key, before[key], after[key]) for key in sorted(before) if before[key] != after[key]]


def _is_read(key: str, stage: str) -> bool:
    if key in RESOURCE_KEYS:
        return False
    return any(key == prefix or key.startswith(prefix + ".") for prefix in STAGE_KEYS[stage])


def _data(config: RunConfig, **options: Any) -> dict[str, Any]:
    """The configuration, flat; files of rules as the digests of their code and data."""
    flat = _flatten(public_values(config.model_dump(mode="json", **options)))
    if "rule_files" in flat:
        flat["rule_files"] = [file.digest for file in config.rule_files]
    return flat


def _flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
