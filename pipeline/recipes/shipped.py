"""Configurations by path or by name: a file, else a recipe that decant is installed with."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from decant.filters.steps import did_you_mean
from decant.pipeline.engine.strict_yaml import ConfigError, read_source

# Runs lie in the folder itself, studies in one beside the runs.
RUNS, STUDIES = "decant.recipes", "decant.recipes.ablations"
# What stands in a run directory beside its config.yaml, and beside no configuration of a user's.
RUN_MARKS = ("versions.json", "inputs.parquet", "ledger.json")


@dataclass(frozen=True)
class Source:
    """The text of a configuration, and what errors call it."""

    name: str
    text: str
    folder: Path | None = None  # where its relative paths start; None: a shipped recipe
    shadows: bool = False  # a shipped recipe has this name too

    @property
    def is_shipped(self) -> bool:
        """True for a recipe that decant is installed with."""
        return self.folder is None

    @property
    def is_of_a_run(self) -> bool:
        """True where the file lies in a run directory: written by decant, maybe by a stranger."""
        return self.folder is not None and any((self.folder / one).exists() for one in RUN_MARKS)


def names(package: str = RUNS) -> list[str]:
    """The names of the shipped recipes, or of the studies, ascending."""
    files = (entry.name for entry in resources.files(package).iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def shipped(name: str, package: str = RUNS) -> Source:
    """A recipe by its name; a ConfigError lists the names where there is none."""
    if name not in names(package):
        listed = names(package)
        raise ConfigError(
            f"no recipe is called {name!r}{did_you_mean(name, listed)}; "
            f"recipes: {', '.join(listed)}"
        )
    text = resources.files(package).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return Source(f"recipe {name}", text)


def located(config: str | Path, package: str = RUNS) -> Source:
    """The configuration of a command's CONFIG: the file of this path, else the recipe so called."""
    path, listed = Path(config), names(package)
    if path.is_file():
        return Source(str(config), read_source(path), path.absolute().parent, str(config) in listed)
    if str(config) in listed:
        return shipped(str(config), package)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return Source(str(config), read_source(path), path.absolute().parent)  # says what is wrong
    raise ConfigError(
        f"{config}: no such file, and no recipe of this name"
        f"{did_you_mean(str(config), listed)}; recipes: {', '.join(listed)}"
    )


def listing() -> str:
    """Every recipe and study with the first words of its header, one a line."""
    lines = []
    for package, verb in ((RUNS, "run"), (STUDIES, "ablate")):
        for name in names(package):
            first = shipped(name, package).text.splitlines()[0].removeprefix("# ")
            lines.append(f"decant {verb} {name:<22}{first}")
    return "\n".join(lines)


def shipped_anywhere(name: str) -> Source:
    """A recipe, or a study, by name; `ablations/NAME` where a recipe is called the same."""
    if name.startswith("ablations/"):
        return shipped(name.removeprefix("ablations/"), STUDIES)
    return shipped(name, STUDIES if name in set(names(STUDIES)) - set(names()) else RUNS)


def origin(source: Source) -> str:
    """What a run says of its configuration before it begins."""
    if source.is_shipped:
        return f"{source.name} of decant {metadata.version('decant')}"
    if source.shadows:
        return f"the file {source.name}; the recipe {source.name} of decant is not used"
    return source.name
