"""The `decant` program: the pipeline's commands, `ablate` and `judge`.

It lies here because imports point one way: ablations know the pipeline, not the other way round.
"""

from pathlib import Path
from typing import Annotated

import typer

from decant.pipeline.cli import RAY, app
from decant.pipeline.engine import interrupts


@app.command("ablate")
def ablate_command(
    config: Annotated[
        str,
        typer.Argument(help="The study's YAML file, or a shipped study's name.", metavar="CONFIG"),
    ],
    output: Annotated[str, typer.Option("--output", help="Folder of the study.")] = "STUDY",
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit 4 where a verdict is HURTS or INCONCLUSIVE.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Ray workers; 0: in this process.")
    ] = None,
    ray: RAY = None,
    export_arms: Annotated[
        Path | None,
        typer.Option("--export-arms", help="Write each arm's tokens here, and train nothing."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override one config key."),
    ] = None,
) -> None:
    """Is a rule worth it? Plan, train, score and judge a study over a finished run.

    Example: decant ablate quickstart --output STUDY
    """
    from decant.ablations.ablate import (
        ablate,  # scipy and tokenizers: only this command pays for them
    )

    raise typer.Exit(ablate(config, output, gate, workers, tuple(settings or ()), ray, export_arms))


@app.command("judge")
def judge_command(
    results: Annotated[
        list[Path],
        typer.Argument(help="Harness sample files, their folders, CSV or JSONL tables."),
    ],
    arms: Annotated[
        Path, typer.Option("--arms", help="CSV of the parts that runs play: run, rule, role, …")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", help="JSON file for the verdicts.")
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin-bpb", min=1e-9, help="The least effect to act on.")
    ] = 0.002,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit 4 where a verdict is HURTS or INCONCLUSIVE.")
    ] = False,
) -> None:
    """Verdicts of arms that were trained and scored elsewhere: the same statistics, no training.

    Example: decant judge results/ --arms arms/arms.csv
    """
    from decant.ablations.judge import judge_results  # scipy: only this command pays for it

    raise typer.Exit(judge_results(results, arms, output, margin, gate))


def main() -> None:
    """The console script."""
    interrupts.install()
    app()
