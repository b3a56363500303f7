"""The files of the three packages, and the name that each is imported by."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("filters", "pipeline", "ablations")
# The folder that is installed as `decant` itself.
FRONT = ROOT / "pipeline" / "decant"


def sources() -> list[Path]:
    """Every Python file of the packages, however deep."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    """The name a source is installed as: `decant.` and its path from the project's root.

    >>> module_name(ROOT / "filters" / "doc.py")
    'decant.filters.doc'
    """
    if path.is_relative_to(FRONT):
        parts: tuple[str, ...] = path.relative_to(FRONT).with_suffix("").parts
    else:
        parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("decant", *parts)).removesuffix(".__init__")


def modules() -> list[str]:
    return [module_name(path) for path in sources()]
