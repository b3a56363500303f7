"""The rules and edits of a user's file, from its source, in the driver and in every worker.

The source is executed once per process as a module whose name holds its digest: no module of a
user's is ever imported under two names, and two versions of one file do not meet. Nothing here
looks at a run directory: the source is that which the driver read.
"""

from __future__ import annotations

import builtins
import linecache
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from decant.filters.catalogue import CATALOGUE, Catalogue
from decant.filters.rule import Edit, Rule
from decant.pipeline.recipes.rule_files import (
    NAME,
    EditSummary,
    RuleFile,
    RulesError,
    RuleSummary,
    file_digest,
    parsed,
)

# Columns of the tables that measured values stand in, and keys of a recipe's steps.
RESERVED = {"file", "offset", "id", "url", "text", "stage", "rule", "value", "bound", "detail"}
RESERVED |= {"failed_rules", "edit", "leave_out", "column"}


def executed(files: Iterable[RuleFile]) -> Catalogue:
    """The catalogue with the rules and edits of the files, able to measure."""
    catalogue = CATALOGUE
    for file in files:
        catalogue = extended(catalogue, file)
    return catalogue


def extended(catalogue: Catalogue, file: RuleFile) -> Catalogue:
    """A catalogue with the rules and edits of one more file; RulesError names file and line."""
    module = module_of(file)
    rules = [
        replace(one, custom=True, source=one.source or file.name)
        for one in _listed(module, file, "RULES", Rule)
    ]
    edits = [
        replace(one, custom=True, source=one.source or file.name)
        for one in _listed(module, file, "EDITS", Edit)
    ]
    if not rules and not edits:
        raise RulesError(f"{file.name}:1: has neither RULES nor EDITS")
    taken = {*catalogue.rules, *catalogue.edits}
    for one in (*rules, *edits):
        where = f"{file.name}:{_line_of(file, one.name)}"
        if not re.fullmatch(NAME, str(one.name)) or one.name in RESERVED:
            raise RulesError(
                f"{where}: {one.name!r} cannot name a column; use other lower-case letters, "
                "digits and underscores"
            )
        if one.name in taken:
            raise RulesError(f"{where}: {one.name!r} exists already; give yours another name")
        taken.add(one.name)
    return catalogue.extended(rules, edits)


def summarised(file: RuleFile, catalogue: Catalogue) -> tuple[RuleFile, Catalogue]:
    """The file with its rules described in plain values, and the catalogue that has them."""
    larger = extended(catalogue, file)
    rules = [
        RuleSummary(
            name=one.name,
            unit=one.unit,
            source=one.source,
            keep=one.keep.as_mapping(),
            options=dict(one.options),
            needs=one.needs,
            reads=one.reads,
        )
        for name, one in larger.rules.items()
        if name not in catalogue.rules
    ]
    edits = [
        EditSummary(name=one.name, source=one.source, options=dict(one.options))
        for name, one in larger.edits.items()
        if name not in catalogue.edits
    ]
    return file.model_copy(update={"rules": tuple(rules), "edits": tuple(edits)}), larger


def module_of(file: RuleFile) -> ModuleType:
    """The module of a file, executed at its first use in this process."""
    name = f"decant_rules_{file.digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    for one in file.files.values():
        path = Path(one.path)
        if not path.is_file() or file_digest(path) != one.digest:
            raise RulesError(f"{file.name}: {one.path} is missing here, or has changed since")
    helpers: dict[str, ModuleType] = {}
    for helper, source in file.helpers.items():
        helpers[helper] = _execute(f"{name}.{helper}", f"{helper}.py", source, helpers, file)
    module = _execute(name, file.name, file.source, helpers, file)
    module.__dict__["FILES"] = {key: one.path for key, one in file.files.items()}
    return module


def _execute(
    name: str, shown: str, source: str, helpers: dict[str, ModuleType], file: RuleFile
) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = shown
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importing(helpers)}
    sys.modules[name] = module
    linecache.cache[shown] = (len(source), None, source.splitlines(keepends=True), shown)
    parsed(source, shown)
    try:
        exec(compile(source, shown, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # a file of rules has no say in when a run ends
        del sys.modules[name]
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__)]
        files = [one.filename for one in traceback.extract_tb(error.__traceback__)]
        line = next((n for n, at in zip(lines, files, strict=True) if at == shown), 1)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise RulesError(f"{shown}:{line}: {reason}") from None
    return module


def _importing(helpers: dict[str, ModuleType]) -> Any:
    """`__import__` that finds a file's declared helpers by their short names."""

    def import_(name: str, *args: Any, **kwargs: Any) -> Any:
        return helpers[name] if name in helpers else builtins.__import__(name, *args, **kwargs)

    return import_


def _listed(module: ModuleType, file: RuleFile, constant: str, kind: type) -> Sequence[Any]:
    value = getattr(module, constant, ())
    if not isinstance(value, list | tuple):
        line = _line_of(file, constant)
        raise RulesError(f"{file.name}:{line}: {constant} is a tuple or list; found {value!r:.80}")
    for place, one in enumerate(value):
        if not isinstance(one, kind):
            line = _line_of(file, constant)
            raise RulesError(
                f"{file.name}:{line}: {constant}[{place}] is no {kind.__name__}; found {one!r:.80}"
            )
    return value


def _line_of(file: RuleFile, word: Any) -> int:
    """The first line of a file that has this word; 1 where none has."""
    lines = enumerate(file.source.splitlines(), start=1)
    return next((number for number, line in lines if str(word) in line), 1)
