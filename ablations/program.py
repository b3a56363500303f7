"""The `decant` program: the pipeline's commands and `ablate`.

It lies here because imports point one way: ablations know the pipeline, not the other way round.
"""

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

    raise typer.Exit(ablate(config, output, gate, workers, tuple(settings or ()), ray))


def main() -> None:
    """The console script."""
    interrupts.install()
    app()
