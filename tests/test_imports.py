"""Imports point one way, and the heavy libraries stay in their rooms.

What a worker has loaded in the end is looked at in `test_workers.py`.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests import tree

BELOW = {"filters": (), "pipeline": ("filters",), "ablations": ("filters", "pipeline")}


@cache
def imported(path: Path) -> frozenset[str]:
    """The names of all modules that a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def top_level(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def name_of(path: Path) -> str:
    return path.relative_to(tree.ROOT).as_posix()


def package_of(path: Path) -> str:
    return path.relative_to(tree.ROOT).parts[0]


@pytest.mark.parametrize("path", tree.sources(), ids=name_of)
def test_a_package_imports_only_those_below_it(path):
    used = {name.split(".")[1] for name in imported(path) if name.startswith("decant.")}
    assert used <= {package_of(path), *BELOW[package_of(path)]}


@pytest.mark.parametrize("path", tree.sources(), ids=name_of)
def test_a_module_is_imported_by_the_name_that_the_wheel_installs(path):
    assert not top_level(path) & {*BELOW, "tests"}


def test_ray_is_imported_by_the_engine_and_by_distributed_training_only():
    users = {name_of(path) for path in tree.sources() if "ray" in top_level(path)}
    assert users == {"pipeline/engine/execute.py", "ablations/rungs/distributed.py"}


def test_torch_is_imported_by_ablations_only():
    users = {package_of(path) for path in tree.sources() if "torch" in top_level(path)}
    assert users == {"ablations"}


@pytest.mark.parametrize(
    "path", [path for path in tree.sources() if package_of(path) == "filters"], ids=name_of
)
def test_filters_neither_read_files_nor_know_tables(path):
    forbidden = {"pyarrow", "fsspec", "ray", "torch", "requests", "urllib", "socket", "sqlite3"}
    assert not top_level(path) & forbidden
