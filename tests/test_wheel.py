"""The wheel holds the whole tree, under one name."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import tree

BESIDE = ("pyproject.toml", "README.md", "LICENSE", "configs", *tree.PACKAGES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of the tree, so that no build folder is left in it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "tree"
    copy.mkdir()
    for name in BESIDE:
        source = tree.ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignore)
        else:
            shutil.copy(source, copy / name)
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def installed_as(path: Path) -> str:
    """Where a file of the tree lies in site-packages."""
    if path.is_relative_to(tree.FRONT):
        return f"decant/{path.relative_to(tree.FRONT).as_posix()}"
    name = path.relative_to(tree.ROOT).as_posix()
    return "decant/" + (name.replace("configs/", "recipes/", 1) if "configs" in name else name)


def test_wheel_holds_every_source_recipe_and_data_file_and_nothing_else(wheel):
    data = [
        path for path in (tree.ROOT / "ablations" / "scoring" / "data").rglob("*") if path.is_file()
    ]
    configs = tree.ROOT / "configs"
    recipes = [configs / "__init__.py", *configs.rglob("*.yaml")]
    expected = {installed_as(path) for path in (*tree.sources(), *data, *recipes)}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == expected


def test_wheel_puts_one_name_into_site_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0].split("-")[0] for name in archive.namelist()} == {"decant"}
