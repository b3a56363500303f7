"""The house: which room may import which, and that no two rooms need each other.

A room is a folder, or a file that stands at the top of a package. Each line of ORDER imports only
from itself and from the lines below it, rooms of one line not from each other.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests import tree
from tests.test_imports import imported, name_of

ORDER = """
ablations/program
ablations/ablate ablations/judge
ablations/report ablations/plan ablations/elsewhere
ablations/annealing
ablations/judging ablations/study
ablations/measuring
ablations/rungs
ablations/arms
ablations/config
ablations/scoring
ablations/hashing ablations/statistics
pipeline/decant
pipeline/cli pipeline/api pipeline/blocks
pipeline/command
pipeline/redecide pipeline/verify
pipeline/run pipeline/report
pipeline/extract pipeline/filter pipeline/deduplicate pipeline/shard pipeline/rules pipeline/keys
pipeline/dedup pipeline/verdicts pipeline/page pipeline/shards
pipeline/rundir pipeline/tokens
pipeline/stage_keys
pipeline/config
pipeline/recipes
pipeline/engine pipeline/warc pipeline/documents pipeline/text pipeline/sample
filters/steps
filters/catalogue filters/recipe
filters/c4 filters/fineweb filters/gopher_quality filters/gopher_repetition filters/refinedweb
filters/language filters/url filters/minhash
filters/rule filters/pii filters/repeated_lines
filters/doc filters/lid
filters/words
filters/compile
"""
FLOOR = {room: floor for floor, line in enumerate(ORDER.split("\n")) for room in line.split()}
# A room of more files than this wants a second look; deduplication is one line of thought.
MOST_FILES = 16
LARGE_ROOMS = {"pipeline/dedup"}
LONGEST_FILE = 330


def room_of(path: Path) -> str | None:
    """The room a source lies in; None for the docstring of a whole package."""
    package, *inside = path.relative_to(tree.ROOT).with_suffix("").parts
    return None if inside == ["__init__"] else f"{package}/{inside[0]}"


BY_NAME = {tree.module_name(path): path for path in tree.sources()}


def arrows(path: Path) -> set[Path]:
    """The sources that a source imports, anywhere in it."""
    names = imported(path)
    parents = {name.rsplit(".", 1)[0] for name in names}
    used = {BY_NAME[name] for name in names | parents if name in BY_NAME}
    return {other for other in used if other.name != "__init__.py"} - {path}


def test_the_order_names_every_room_and_no_other():
    assert {room_of(path) for path in tree.sources()} - {None} == set(FLOOR)


@pytest.mark.parametrize("path", tree.sources(), ids=name_of)
def test_a_room_imports_only_rooms_below_it(path):
    room = room_of(path)
    for other in arrows(path):
        below = room_of(other)
        assert below == room or FLOOR[below] > FLOOR[room], f"{room} must not import {below}"


def test_no_circle_of_imports_between_files():
    waiting = {path: arrows(path) for path in tree.sources()}
    while free := [path for path, uses in waiting.items() if not uses & waiting.keys()]:
        for path in free:
            del waiting[path]
    assert sorted(map(name_of, waiting)) == []


def test_no_room_is_crowded():
    inside = Counter(path.parent for path in tree.sources() if path.name != "__init__.py")
    crowded = {name_of(folder) for folder, files in inside.items() if files > MOST_FILES}
    assert crowded <= LARGE_ROOMS


def test_no_file_is_longer_than_one_idea():
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in tree.sources()
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def room_lines() -> dict[str, str]:
    """The docstring of each room's `__init__.py` by its path, packages first."""
    inits = [path for path in tree.sources() if path.name == "__init__.py"]
    return {
        path.parent.relative_to(tree.ROOT).as_posix(): ast.get_docstring(
            ast.parse(path.read_text(encoding="utf-8"))
        )
        or ""
        for path in inits
    }


def test_a_room_says_what_it_is_in_one_line():
    for room, line in room_lines().items():
        assert line.count("\n") == 0 and line.endswith("."), room


def test_the_file_tree_of_the_readme_is_the_rooms():
    readme = (tree.ROOT / "README.md").read_text(encoding="utf-8")
    drawn: dict[str, str] = {}
    folders: list[str] = []
    section = readme.split("## What is where\n")[1].split("```")[1]
    for line in section.splitlines():
        name, _, text = line.strip().partition("/ ")
        if text and " " not in name:
            depth = (len(line) - len(line.lstrip())) // 2
            folders[depth:] = [name]
            drawn["/".join(folders)] = text.strip()
    assert {room: line for room, line in drawn.items() if room in room_lines()} == room_lines()


def strings(path: Path) -> set[str]:
    """The string constants of a source that are no docstrings."""
    body = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(body)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    constants = [node for node in ast.walk(body) if isinstance(node, ast.Constant)]
    return {one.value for one in constants if isinstance(one.value, str) and id(one) not in docs}


def test_only_the_paths_of_a_run_spell_its_folders():
    folders = ("1-extracted", "2-filtered", "3-deduplicated", "4-shards")
    spelled = {
        name_of(path)
        for path in tree.sources()
        for text in strings(path)
        if any(folder in text for folder in folders)
    }
    assert spelled == {"pipeline/rundir/paths.py"}


def test_a_class_name_exists_once():
    names = Counter(
        node.name
        for path in tree.sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name: count for name, count in names.items() if count > 1} == {}
