"""Files of rules that a user brings: read, digested, and sent along in the run's configuration.

`rules_from: [my_rules.py, package.module]` names Python files whose RULES and EDITS join the
catalogue of one run. Their source travels to the workers in the configuration, as do the helpers
that a file declares (`HELPERS = ("words.py",)`, then `import words`). Data files, declared as
`FILES = {"model": "quality.bin"}`, are opened where they lie and must not change during the run.
What a file brings is also described in plain values, so that reports and studies need no code.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from decant.filters.catalogue import CATALOGUE, Catalogue, NameTaken
from decant.filters.rule import Edit, Rule
from decant.filters.steps import RecipeError, bounds_of
from decant.pipeline.engine.strict_yaml import ConfigError, Section, read_source

MOST_SOURCE_BYTES = 1_000_000
NAME = r"[a-z][a-z0-9_]{0,99}"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class RulesError(ConfigError):
    """A file of rules is wrong; the message names file, line and reason."""


class DataFile(Section):
    """A file that rules open themselves, as it was when the run began."""

    path: str
    size: int
    digest: str


class RuleSummary(Section):
    """A rule without its code."""

    name: Name
    unit: str
    source: str
    keep: dict[str, Any]
    options: dict[str, Any] = Field(default_factory=dict)
    needs: str | None = None
    reads: tuple[str, ...] = ()

    def rule(self) -> Rule:
        """The rule, which decides over stored values and cannot measure."""
        return Rule(
            self.name,
            _without_code,
            bounds_of(self.keep, (self.name,)),
            unit=self.unit,
            source=self.source,
            options=self.options,
            needs=self.needs,
            reads=self.reads,
            custom=True,
        )


class EditSummary(Section):
    """An edit without its code."""

    name: Name
    source: str
    options: dict[str, Any] = Field(default_factory=dict)

    def edit(self) -> Edit:
        """The edit, which cannot be applied."""
        return Edit(self.name, _without_code, self.source, self.options, custom=True)


class RuleFile(Section):
    """A file of rules as it travels with a run."""

    name: str
    digest: str  # of the source, the helpers' and the data files' contents
    source: str
    helpers: dict[str, str] = Field(default_factory=dict)  # source by module name
    files: dict[str, DataFile] = Field(default_factory=dict)
    rules: tuple[RuleSummary, ...] = ()
    edits: tuple[EditSummary, ...] = ()


def _without_code(*_: Any, **__: Any) -> Any:
    raise RulesError("this rule's code is not at hand; pass its file with --rules-from")


def described(files: Iterable[RuleFile]) -> Catalogue:
    """The catalogue with what the files bring, without running any of their code."""
    catalogue = CATALOGUE
    for file in files:
        try:
            rules, edits = [one.rule() for one in file.rules], [one.edit() for one in file.edits]
            catalogue = catalogue.extended(rules, edits)
        except (NameTaken, RecipeError) as error:
            raise RulesError(f"{file.name}: {error}") from None
    return catalogue


def read_rule_file(named: str, folder: Path) -> RuleFile:
    """The file of a path, relative to `folder`, or of a module's name; not yet executed."""
    path = _path_of(named, folder)
    source = _source_of(path)
    tree = parsed(source, path.name)
    helpers = {
        Path(helper).stem: _source_of(_beside(path, helper, "HELPERS"))
        for helper in _declared(tree, path.name, "HELPERS", list)
    }
    files = {
        key: _data_file(_beside(path, file, "FILES"))
        for key, file in _declared(tree, path.name, "FILES", dict).items()
    }
    digests = {key: one.digest for key, one in files.items()}
    text = json.dumps([source, helpers, digests], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return RuleFile(name=path.name, digest=digest, source=source, helpers=helpers, files=files)


def parsed(source: str, name: str) -> ast.Module:
    """The syntax tree of a source; RulesError with the line where it has none."""
    try:
        return ast.parse(source, name)
    except SyntaxError as error:
        raise RulesError(f"{name}:{error.lineno or 1}: not valid Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte, endless brackets
        raise RulesError(f"{name}:1: not valid Python: {error}") from None


def _path_of(named: str, folder: Path) -> Path:
    path = folder / named
    if path.is_file():
        return path
    if named.endswith(".py") or os.sep in named:
        raise RulesError(f"--rules-from {named}: no file {path}")
    try:
        spec = importlib.util.find_spec(named)
    except (ImportError, ValueError, AttributeError) as error:
        raise RulesError(f"--rules-from {named}: no file, and no module: {error}") from None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise RulesError(f"--rules-from {named}: no file and no module of Python source")
    return Path(spec.origin)


def _source_of(path: Path) -> str:
    source = read_source(path)
    if len(source) > MOST_SOURCE_BYTES:
        raise RulesError(f"{path}: over {MOST_SOURCE_BYTES:,} characters; data belongs into FILES")
    return source


def _declared(tree: ast.Module, name: str, constant: str, kind: type) -> Any:
    """The value of a literal constant at the top of a file; an empty one where it is not there."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if not any(isinstance(one, ast.Name) and one.id == constant for one in targets):
            continue
        try:
            value = ast.literal_eval(node.value)  # type: ignore[attr-defined]
        except ValueError:
            value = None
        names: list[Any] = [None]
        if isinstance(value, dict if kind is dict else list | tuple):
            names = list(value.values() if isinstance(value, dict) else value)
        if not all(isinstance(one, str) for one in names):
            form = '{"model": "model.bin"}' if kind is dict else '("words.py",)'
            raise RulesError(f"{name}:{node.lineno}: {constant} is a literal such as {form}")
        return value
    return kind()


def _beside(path: Path, name: str, constant: str) -> Path:
    path_beside = path.absolute().parent / name
    if not path_beside.is_file():
        raise RulesError(f"{path.name}: {constant} names {name}, but there is no {path_beside}")
    return path_beside


def _data_file(path: Path) -> DataFile:
    return DataFile(path=str(path), size=path.stat().st_size, digest=file_digest(path))


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
