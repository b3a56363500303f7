"""`decant config`: every key of a configuration with its default, its values and what it means.

The meaning of a key is the comment beside it in config.py, so that there is one place to say it; a
section's is the first sentence of its docstring.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from decant.filters.steps import did_you_mean
from decant.pipeline import config
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.strict_yaml import ConfigError


class Key(NamedTuple):
    """One key: its dotted name, its default as YAML, the values it takes, what it means."""

    name: str
    default: str
    values: str
    meaning: str


def keys() -> list[Key]:
    """Every key of a run, in the order of the configuration; a section comes before its keys."""
    return list(_keys_of(RunConfig, "", meanings()))


def _keys_of(
    model: type[BaseModel], prefix: str, said: dict[str, dict[str, tuple[str, str]]]
) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        values, meaning = said[model.__name__][name]
        section = _section(field.annotation)
        if section is None:
            yield Key(
                f"{prefix}{name}",
                _yaml(field.get_default(call_default_factory=True)),
                values,
                meaning,
            )
            continue
        sentence = (inspect.getdoc(section) or "").split("\n\n")[0].replace("\n", " ")
        off = "" if field.get_default() is not None else "null"
        yield Key(f"{prefix}{name}.", off, "section", meaning or sentence)
        yield from _keys_of(section, f"{prefix}{name}.", said)


def _section(annotation: Any) -> type[BaseModel] | None:
    for one in (annotation, *get_args(annotation)):
        if inspect.isclass(one) and issubclass(one, BaseModel):
            return one if one.__module__ == config.__name__ else None
    return None


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value) if value != {} else "{}"


def meanings() -> dict[str, dict[str, tuple[str, str]]]:
    """By class and field of config.py: the values that its annotation admits, and its comment."""
    source = inspect.getsource(config)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    code = source.splitlines()
    said: dict[str, dict[str, tuple[str, str]]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
            said[node.name] = {
                one.target.id: (_values(one.annotation), _comment(one, comments, code))
                for one in fields
                if isinstance(one.target, ast.Name)
            }
    return said


def _comment(field: ast.AnnAssign, comments: dict[int, str], code: list[str]) -> str:
    """The comment on a field's lines, else the lines of comment above it."""
    rows = range(field.lineno, (field.end_lineno or 0) + 1)
    beside = [comments[row] for row in rows if row in comments]
    if beside:
        return " ".join(beside)
    above: list[str] = []
    line = field.lineno - 1
    while line in comments and code[line - 1].lstrip().startswith("#"):
        above.insert(0, comments[line])
        line -= 1
    return " ".join(above)


def _values(annotation: ast.expr) -> str:
    """An annotation in the words of a user: `0 or more`, `sha1 | xxhash`."""
    text = ast.unparse(annotation)
    if text.startswith("Literal["):
        text = text.split("]")[0].removeprefix("Literal[").replace("'", "").replace(", ", " | ")
    words = {"str": "text", "int": "whole number", "float": "number", "bool": "true | false"}
    whole = ast.unparse(annotation)
    optional = " | null" if whole.endswith("| None") and "null" not in text else ""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = [
        f"{signs[word]} {end}" for word, end in re.findall(r"\b(ge|gt|le|lt)=([\d.]+)", whole)
    ]
    text = text.removesuffix(" | None")
    if text.startswith("Annotated["):
        text = text.removeprefix("Annotated[").split(",")[0]
    if text.startswith("tuple["):
        text = "list"
    if text.startswith("dict["):
        text = "mapping"
    text = words.get(text, "size, as 256MB" if text == "Bytes" else text)
    return " ".join([text, *limits]) + optional


def lines(start: str = "") -> list[str]:
    """The keys that begin with `start`, for a terminal: name and default, values and meaning."""
    rows: list[str] = []
    chosen = [key for key in keys() if key.name.startswith(start)]
    if not chosen:
        sections = [key.name.removesuffix(".") for key in keys() if key.values == "section"]
        near = did_you_mean(start, [key.name for key in keys()])
        raise ConfigError(f"no key begins with {start!r}{near}; sections: {', '.join(sections)}")
    for key in chosen:
        if key.values == "section":
            rows += ["", f"{key.name.removesuffix('.')}:  # {key.meaning}"]
        else:
            rows.append(f"{key.name}: {key.default}  # {key.values}. {key.meaning}")
    return rows
