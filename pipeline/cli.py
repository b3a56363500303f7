"""`decant`: one command per verb. Results to stdout, progress to stderr, the exit code tells.

0 finished and balanced; 3 finished and balanced, but some inputs were quarantined (each is named);
2 wrong usage or configuration; 1 anything else.
"""

import inspect
import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from decant.pipeline import keys, rules
from decant.pipeline.command import EXPECTED, RunRequest, execute_run, exit_code
from decant.pipeline.engine import interrupts
from decant.pipeline.engine.secrets import public_text
from decant.pipeline.engine.storage import Store
from decant.pipeline.engine.strict_yaml import ConfigError, parse_size
from decant.pipeline.recipes import shipped
from decant.pipeline.recipes.execution import executed
from decant.pipeline.recipes.rule_files import read_rule_file
from decant.pipeline.report import funnel
from decant.pipeline.run import stored_config


class Program(TyperGroup):
    """The commands; a signal ends any of them with the same line."""

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            interrupts.say()
            raise typer.Exit(interrupts.EXIT_CODE) from None


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn CommonCrawl into pretraining corpora, and prove which filters are worth having.",
)


def _print_version(is_given: bool) -> None:
    if is_given:
        print(f"decant {metadata.version('decant')}")
        raise typer.Exit()


@app.callback()
def decant(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    """The program itself; its help is the application's."""


# What every stage command takes: name, type with its help, default.
CONFIG = Annotated[
    str,
    typer.Argument(
        help="The run's YAML file, or a recipe's name.",
        metavar="CONFIG",
    ),
]
# A shell expands an unquoted glob into several words; the first is --input's, the rest land here.
MORE_INPUTS = Annotated[list[str] | None, typer.Argument(hidden=True)]
INPUT = Annotated[
    list[str] | None,
    typer.Option("--input", help="File, glob, directory or URL; may be given several times."),
]
DUMP = Annotated[str | None, typer.Option("--dump", help="Name of the dump, CC-MAIN-YYYY-WW.")]
OUTPUT = Annotated[str, typer.Option("--output", help="Run directory: a path or fsspec URL.")]
WORKERS = Annotated[
    int | None, typer.Option("--workers", min=0, help="Ray workers; 0: in this process.")
]
RAY = Annotated[
    str | None, typer.Option("--ray", metavar="HOST:PORT", help="Join this Ray cluster.")
]
LIMIT = Annotated[int | None, typer.Option("--limit", min=1, help="At most N input files.")]
LIMIT_RECORDS = Annotated[
    int | None, typer.Option("--limit-records", min=1, help="At most N pages.")
]
SETTINGS = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one config key.")
]
RULES_FROM = Annotated[
    list[str] | None,
    typer.Option(
        "--rules-from",
        metavar="FILE.py",
        help="Rules of your own: a Python file or module with RULES; its code is run.",
    ),
]
SOURCE = Annotated[
    str | None, typer.Option("--from", metavar="RUN", help="Decide again from RUN's measures.")
]

AGAINST = Annotated[
    list[str] | None,
    typer.Option(
        "--against", metavar="DATASET", help="Also drop what is near a text of this parquet set."
    ),
]

STAGE_OPTIONS: dict[str, tuple[Any, Any]] = {
    "config": (CONFIG, inspect.Parameter.empty),
    "more_inputs": (MORE_INPUTS, None),
    "inputs": (INPUT, None),
    "dump": (DUMP, None),
    "output": (OUTPUT, "RUN"),
    "workers": (WORKERS, None),
    "ray": (RAY, None),
    "limit": (LIMIT, None),
    "limit_records": (LIMIT_RECORDS, None),
    "settings": (SETTINGS, None),
    "rules_from": (RULES_FROM, None),
}


def stage_command(
    name: str, stages: tuple[str, ...] | None, text: str, **more: tuple[Any, Any]
) -> None:
    """Register a command that runs some stages of a run; all share the same options."""

    def command(**given: Any) -> None:
        more_inputs = tuple(given.pop("more_inputs") or ())
        given["inputs"] = (*(given["inputs"] or ()), *more_inputs)
        given["settings"] = tuple(given["settings"] or ())
        given["rules_from"] = tuple(given["rules_from"] or ())
        if against := given.pop("against", None):
            # What lies outside the run has no dump: the scope is the run and the datasets.
            given["settings"] += ("dedup.scope=run", f"dedup.against={json.dumps(against)}")
        raise typer.Exit(execute_run(RunRequest(stages=stages, **given)))

    options = {**STAGE_OPTIONS, **more}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in options.items()
        ]
    )
    command.__annotations__ = {key: kind for key, (kind, _) in options.items()}
    app.command(name, help=text)(command)


stage_command(
    "run",
    None,
    "All stages: WARC in, published parquet out.\n\n"
    "Example: decant run fineweb --input crawl/ --output RUN --workers 8",
)
stage_command(
    "extract",
    ("extract",),
    "Records to texts: WARC reading, URL rules, main text, language.\n\n"
    "Example: decant extract fineweb --input crawl/ --output RUN",
)
stage_command(
    "filter",
    ("filter",),
    "Edits, measures and verdicts of the configured rules over an extracted run.\n\n"
    "Example: decant filter fineweb --from RUN --output RUN2",
    source=(SOURCE, None),
)
stage_command(
    "dedup",
    ("deduplicate",),
    "Near-duplicates of a filtered run, by MinHash.\n\n"
    "Example: decant dedup fineweb --output RUN --against published/",
    against=(AGAINST, None),
)
stage_command(
    "shard",
    ("shard",),
    "Survivors of a deduplicated run, shuffled into parquet shards.\n\n"
    "Example: decant shard fineweb --output RUN",
)


@app.command("rules")
def rules_command(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    rules_from: RULES_FROM = None,
) -> None:
    """Every rule: what it measures, what it keeps, who said so.

    Example: decant rules --rules-from my_rules.py
    """

    def action() -> None:
        files = [read_rule_file(name, Path.cwd()) for name in rules_from or ()]
        rows = rules.rule_rows(executed(files))
        if as_json:
            print(json.dumps(rows, indent=1, ensure_ascii=False))
        else:
            Console(width=None if sys.stdout.isatty() else 160).print(rules.rule_table(rows))

    _guard(action)


@app.command("recipes")
def recipes_command(
    name: Annotated[
        str | None, typer.Argument(help="The recipe to print; all names without it.")
    ] = None,
) -> None:
    """The recipes that decant is installed with; one of them as YAML, to start your own from.

    Example: decant recipes fineweb > mine.yaml
    """

    def action() -> None:
        if name is None:
            print(shipped.listing())
        else:
            print(shipped.shipped_anywhere(name).text, end="")

    _guard(action)


@app.command("config")
def config_command(
    section: Annotated[
        str | None, typer.Argument(help="Only the keys that begin so, as dedup or input.limit.")
    ] = None,
) -> None:
    """Every key of a configuration: its default, the values it takes, what it means.

    Example: decant config dedup
    """
    _guard(lambda: print("\n".join(keys.lines(section or ""))))


@app.command("report")
def report_command(
    run: Annotated[str, typer.Argument(help="A run directory.", metavar="RUN")],
) -> None:
    """Write report.html anew from a run's ledger and print its funnel.

    Example: decant report RUN
    """
    _guard(lambda: print(funnel.rebuild(run)))


@app.command("verify")
def verify_command(
    target: Annotated[str, typer.Argument(help="A run directory or a published dataset.")],
) -> None:
    """Read all that a run or dataset lists and compare checksums; exit 1 names what is wrong.

    Example: decant verify RUN
    """
    from decant.pipeline.verify import report

    _guard(lambda: report(target))


@app.command("neighbours")
def neighbours_command(
    run: Annotated[str, typer.Argument(help="A run directory.", metavar="RUN")],
    text_or_id: Annotated[str, typer.Argument(help="A text, or a document's id or URL.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = 10,
) -> None:
    """The documents of a run nearest to a text or to one of its documents, by signature.

    Example: decant neighbours RUN https://example.org/page.html
    """
    from decant.pipeline.dedup.neighbours import neighbours

    def action() -> None:
        store = Store(run)
        for one in neighbours(store, stored_config(store), text_or_id, count):
            fate = "kept" if one.kept else "filtered"
            print(f"{one.jaccard:.3f}  {fate:<9}{one.id}  {one.url}  {one.bands}")

    _guard(action)


@app.command("sample-crawl")
def sample_crawl_command(
    out: Annotated[Path, typer.Argument(help="Folder to fill.", metavar="OUT")],
    pages: Annotated[
        int | None,
        typer.Option("--pages", min=1, help="How many pages; 1,000 unless --file-size is given."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 1,
    files: Annotated[int, typer.Option("--files", min=1, help="How many WARC files.")] = 2,
    file_size: Annotated[
        str | None,
        typer.Option("--file-size", help="Fill each file up to this, uncompressed, as 1GB."),
    ] = None,
) -> None:
    """Generate WARC files of self-written pages whose fate is known, to try everything on.

    Example: decant sample-crawl --pages 2000 --seed 1 crawl/
    """
    from decant.pipeline.sample.crawl import generate

    def action() -> None:
        try:
            size = None if file_size is None else int(parse_size(file_size))
        except ValueError as error:
            raise ConfigError(f"--file-size: {error}") from None
        count = pages or (None if size else 1_000)
        print(generate(out, pages=count, seed=seed, files=files, file_bytes=size))

    _guard(action)


def _guard(action: Callable[[], None]) -> None:
    """Run an action; an expected failure becomes one line and its exit code."""
    try:
        action()
    except EXPECTED as error:
        print(f"decant: {public_text(str(error))}", file=sys.stderr)
        raise typer.Exit(exit_code(error)) from None
