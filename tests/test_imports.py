"""Imports point one way, and the heavy libraries stay in their rooms.

What a worker has loaded in the end is looked at in `test_workers.py`.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BELOW = {"filters": (), "pipeline": ("filters",), "ablations": ("filters", "pipeline")}
FILES = sorted(path for package in BELOW for path in (ROOT / package).rglob("*.py"))


@cache
def imported(path: Path) -> frozenset[str]:
    """The names of all modules that a file imports anywhere, relative imports made absolute."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            names.add(".".join((*parents, *([node.module] if node.module else []))))
    return frozenset(names)


def top_level(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_package_imports_only_those_below_it(path):
    package = path.relative_to(ROOT).parts[0]
    above = set(BELOW) - {package, *BELOW[package]}
    assert not top_level(path) & {*above, "tests"}


def test_ray_is_imported_by_the_engine_and_by_distributed_training_only():
    users = {name_of(path) for path in FILES if "ray" in top_level(path)}
    assert users == {"pipeline/execute.py", "ablations/distributed.py"}


def test_torch_is_imported_by_ablations_only():
    users = {name_of(path) for path in FILES if "torch" in top_level(path)}
    outside = {name for name in users if not name.startswith("ablations/")}
    assert outside <= {"pipeline/score_model.py"}


@pytest.mark.parametrize("path", [one for one in FILES if one.parts[-2] == "filters"], ids=name_of)
def test_filters_neither_read_files_nor_know_tables(path):
    forbidden = {"pyarrow", "fsspec", "ray", "torch", "requests", "urllib", "socket", "sqlite3"}
    assert not top_level(path) & forbidden
