"""What a run came to, for people: the funnel as text, the rule table, `report.html`.

Everything here is computed from the run's own files (`ledger.json`, the stages' reports), so a
report can be rebuilt at any time.
"""

from collections.abc import Mapping
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.engine import checked_json
from decant.pipeline.engine.secrets import public_values
from decant.pipeline.engine.storage import StorageError, Store
from decant.pipeline.engine.strict_yaml import parse_yaml
from decant.pipeline.report.page import page
from decant.pipeline.rules import rules_of
from decant.pipeline.rundir import losses, paths
from decant.pipeline.rundir.ledger import STAGES

BAR_CHARS = 30


def write(store: Store, config: RunConfig) -> None:
    """Write `report.html` of a run."""
    values = public_values(config.model_dump(mode="json"))
    store.write_bytes("report.html", build_page(store, values).encode())


def rebuild(url: str) -> str:
    """Write `report.html` of an existing run anew; the funnel as text."""
    store = Store(url)
    stages = read_ledger(store)["stages"]
    config, _ = parse_yaml(store.read_bytes("config.yaml").decode(), f"{url}/config.yaml")
    store.write_bytes("report.html", build_page(store, config).encode())
    return funnel_text(stages)


def read_ledger(store: Store) -> dict[str, Any]:
    """The run's ledger; a StorageError where there is none yet."""
    try:
        return checked_json.read(store, "ledger.json")
    except FileNotFoundError:
        raise StorageError(f"{store.url} holds no ledger.json; is it a run directory?") from None


def build_page(store: Store, config: Mapping[str, Any]) -> str:
    """The self-contained report of a run as HTML."""
    stages = read_ledger(store)
    extras = {
        name: checked_json.read(store, path)
        for name, path in (
            ("overlap", paths.OVERLAP),
            ("dedup", paths.DEDUP_REPORT),
        )
        if store.exists(path)
    }
    return page(stages, rules_of(config), config, {**extras, "losses": losses.read(store)})


def funnel_text(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """The funnel as plain text: rows in, kept and dropped per stage, and what each rule took.

    >>> print(funnel_text({"extract": {"in": 4, "kept": 3, "errors": 0,
    ...                                "dropped": {"language": 1}}}))
    stage                 in        kept     dropped  errors   kept of all
    extract                4           3           1       0   75.0% ######################
      language                                     1
    """
    names = [rule for entry in stages.values() for rule in entry["dropped"]]
    wide = max([12, *(len(name) + 4 for name in names)])
    head = f"{'in':>12}{'kept':>12}{'dropped':>12}{'errors':>8}   kept of all"
    lines = [f"{'stage':<{wide}}{head}"]
    first = max(1, next((stages[name]["in"] for name in STAGES if name in stages), 0))
    for name in STAGES:
        if name not in stages:
            continue
        entry = stages[name]
        dropped = sum(entry["dropped"].values())
        share = entry["kept"] / first
        lines.append(
            f"{name:<{wide}}{entry['in']:>12,}{entry['kept']:>12,}{dropped:>12,}"
            f"{entry['errors']:>8,}{share:>8.1%} {'#' * int(share * BAR_CHARS)}"
        )
        for rule, count in sorted(entry["dropped"].items(), key=lambda item: (-item[1], item[0])):
            if count:
                lines.append(f"  {rule:<{wide - 2}}{'':>24}{count:>12,}{_why(entry, rule)}")
    if "shard" in stages:
        lines.append(_corpus_line(stages["shard"]))
    return "\n".join(lines)


def places(store: Store, stages: Mapping[str, Mapping[str, Any]]) -> str:
    """Where the corpus, once there is one, and the report of a run lie."""
    corpus = f"corpus: {store.url}/{paths.SHARD_DATA}   " if "shard" in stages else ""
    return f"{corpus}report: {store.url}/report.html"


def _why(entry: Mapping[str, Any], rule: str) -> str:
    count = entry.get("without_value", {}).get(rule)
    return f"  {count:,} of them gave no number: see `detail`" if count else ""


def _corpus_line(entry: Mapping[str, Any]) -> str:
    tokens = f"{entry['tokens']:,} tokens" if entry["tokens"] else "tokens not counted"
    megabytes = entry["text_bytes"] / 1e6
    return f"corpus: {entry['kept']:,} documents, {megabytes:,.1f} MB of text, {tokens}"
