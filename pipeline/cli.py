"""`decant`: one command per verb. Results to stdout, progress to stderr, the exit code tells.

0 finished and balanced; 3 finished and balanced, but some inputs were quarantined (each is named);
2 wrong usage or configuration; 1 anything else.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline import report
from pipeline.command import Abort, RunRequest, execute_run

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn CommonCrawl into pretraining corpora, and prove which filters are worth having.",
)

Config = Annotated[Path, typer.Argument(help="The run's YAML file.", metavar="CONFIG")]
Input = Annotated[
    list[str] | None,
    typer.Option("--input", help="File, glob, directory or URL; may be given several times."),
]
Dump = Annotated[str | None, typer.Option("--dump", help="Name of the dump, CC-MAIN-YYYY-WW.")]
Output = Annotated[str, typer.Option("--output", help="Run directory: a path or fsspec URL.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, help="Ray workers; 0: in this process.")
]
RayAddress = Annotated[
    str | None, typer.Option("--ray", metavar="HOST:PORT", help="Join this Ray cluster.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most N input files.")]
LimitRecords = Annotated[
    int | None, typer.Option("--limit-records", min=1, help="At most N pages of each file.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one config key.")
]


def stage_command(name: str, stages: tuple[str, ...] | None, text: str) -> None:
    """Register a command that runs some stages of a run; all share the same options."""

    def command(
        config: Config,
        input: Input = None,
        dump: Dump = None,
        output: Output = "RUN",
        workers: Workers = None,
        ray: RayAddress = None,
        limit: Limit = None,
        limit_records: LimitRecords = None,
        set: Settings = None,
    ) -> None:
        request = RunRequest(
            str(config), output, tuple(input or ()), dump, workers, ray, limit, limit_records,
            tuple(set or ()), stages,
        )  # fmt: skip
        _exit(execute_run(request))

    command.__doc__ = text
    app.command(name)(command)


stage_command(
    "run",
    None,
    "All stages: WARC in, published parquet out.\n\n"
    "Example: decant run configs/fineweb.yaml --input crawl/ --output RUN --workers 8",
)
stage_command(
    "extract",
    ("extract",),
    "Records to texts: WARC reading, URL rules, main text, language.\n\n"
    "Example: decant extract configs/fineweb.yaml --input crawl/ --output RUN",
)
stage_command(
    "dedup",
    ("deduplicate",),
    "Near-duplicates of a filtered run, by MinHash.\n\n"
    "Example: decant dedup configs/fineweb.yaml --output RUN",
)
stage_command(
    "shard",
    ("shard",),
    "Survivors of a deduplicated run, shuffled into parquet shards.\n\n"
    "Example: decant shard configs/fineweb.yaml --output RUN",
)


@app.command("filter")
def filter_command(
    config: Config,
    input: Input = None,
    dump: Dump = None,
    output: Output = "RUN",
    workers: Workers = None,
    ray: RayAddress = None,
    limit: Limit = None,
    limit_records: LimitRecords = None,
    set: Settings = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="RUN", help="Re-decide from RUN's measures.")
    ] = None,
) -> None:
    """Edits, measures and verdicts of the configured rules over an extracted run.

    Example: decant filter configs/fineweb.yaml --from RUN --output RUN2
    """
    request = RunRequest(
        str(config), output, tuple(input or ()), dump, workers, ray, limit, limit_records,
        tuple(set or ()), ("filter",), source,
    )  # fmt: skip
    _exit(execute_run(request))


@app.command("rules")
def rules_command(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Every rule: what it measures, what it keeps, who said so.

    Example: decant rules --json
    """
    rows = report.rule_rows()
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    Console(width=None if sys.stdout.isatty() else 160).print(report.rule_table(rows))


@app.command("report")
def report_command(
    run: Annotated[str, typer.Argument(help="A run directory.", metavar="RUN")],
) -> None:
    """Write report.html anew from a run's ledger and print its funnel.

    Example: decant report RUN
    """
    _guard(lambda: print(report.rebuild(run)))


@app.command("sample-crawl")
def sample_crawl_command(
    out: Annotated[Path, typer.Argument(help="Folder to fill.", metavar="OUT")],
    pages: Annotated[int, typer.Option("--pages", min=1, help="How many pages.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 1,
    files: Annotated[int, typer.Option("--files", min=1, help="How many WARC files.")] = 2,
) -> None:
    """Generate WARC files of self-written pages whose fate is known, to try everything on.

    Example: decant sample-crawl --pages 2000 --seed 1 crawl/
    """
    from pipeline.sample_crawl import generate

    _guard(lambda: print(generate(out, pages=pages, seed=seed, files=files)))


def _guard(action: Callable[[], None]) -> None:
    """Run an action; an expected failure becomes one line and its exit code."""
    from pipeline.command import EXPECTED, exit_code

    try:
        action()
    except EXPECTED as error:
        print(f"decant: {error}", file=sys.stderr)
        raise typer.Exit(exit_code(error)) from None


def _exit(code: int) -> None:
    raise typer.Exit(code)


def main() -> None:
    """The console script."""
    try:
        app()
    except Abort as abort:
        print(f"decant: {abort}", file=sys.stderr)
        sys.exit(abort.code)


if __name__ == "__main__":
    main()
