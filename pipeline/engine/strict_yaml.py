"""YAML with strict keys: every mistake is named with its file, line, value and the valid keys."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from decant.filters.steps import did_you_mean

MAX_NODES = 100_000  # values of a configuration; the longest recipe has under 300
SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


class ConfigError(Exception):
    """The configuration is wrong; the message names file, line, value and what would be right."""


def parse_size(value: Any) -> Any:
    """A size in bytes from 256MB, 1.5 GB or a plain number.

    >>> parse_size("256MB")
    256000000
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip()
    if unit not in SIZE_UNITS:
        raise ValueError(f"{value!r} is not a size; write bytes or 256MB, 2GB")
    return int(float(number) * SIZE_UNITS[unit])


Bytes = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def read_source(path: str | Path) -> str:
    """The text of a configuration file; a ConfigError says why it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error


def validated(
    model: type[Model],
    data: Mapping[str, Any],
    lines: "Lines",
    name: str,
    listed: Callable[[Iterable[str]], list[str]] = sorted,
) -> Model:
    """The data as a frozen model; a mistake is named with file, line and the valid keys.

    `listed` orders those keys: by name, or `list` for the order of their declaration.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        valid = listed(_keys_at(model, tuple(error.errors()[0]["loc"])[:-1]))
        raise ConfigError(_explain(error, valid, lines, name)) from None


class Lines:
    """The line of every key of a YAML file, and where a command-line override came from."""

    def __init__(self) -> None:
        self._lines: dict[tuple, int | str] = {(): 1}

    def __setitem__(self, path: tuple, line: int | str) -> None:
        self._lines[path] = line

    def where(self, name: str, path: tuple) -> str:
        """`file:line` of the deepest known part of `path`, or the flag that set it."""
        while path not in self._lines:
            path = path[:-1]
        line = self._lines[path]
        return line if isinstance(line, str) else f"{name}:{line}"

    def __contains__(self, path: tuple) -> bool:
        return path in self._lines

    def named(self, name: str) -> "Lines":
        """The same places with the file in each, for data that several files make up."""
        placed = Lines()
        placed._lines = {path: self.where(name, path) for path in self._lines}
        return placed

    def graft(self, path: tuple, other: "Lines", origin: tuple, deep: bool = True) -> None:
        """Take over the places of `other` at `origin` and, if `deep`, below it, as of `path`."""
        for key, line in other._lines.items():
            if key == origin or (deep and key[: len(origin)] == origin):
                self._lines[(*path, *key[len(origin) :])] = line


def parse_yaml(source: str, name: str) -> tuple[dict, Lines]:
    """The plain data of a YAML mapping and the line of each of its keys."""
    try:
        node = yaml.compose(source, Loader=yaml.SafeLoader)
        _refuse_endless(node, name)
        data = yaml.safe_load(source)
    except RecursionError:
        raise ConfigError(f"{name}:1: brackets or blocks are nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{name}:{line}: not valid YAML: {problem}") from None
    lines = Lines()
    if data is None:
        return {}, lines
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: expected keys such as `input:` and `filter:` at the top")
    _collect_lines(node, (), lines, name)
    return data, lines


def _refuse_endless(node: Any, name: str) -> None:
    """Raise ConfigError where aliases unfold a short file into more than MAX_NODES values.

    Nine lines of ten aliases each are 10^9 values; here each anchor is counted once.
    """
    sizes: dict[int, int] = {}

    def size(one: Any) -> int:
        known = sizes.get(id(one))
        if known is not None:
            return known
        sizes[id(one)] = MAX_NODES + 1  # met again inside itself: it has no end
        children: list[Any] = []
        if isinstance(one, yaml.MappingNode):
            children = [part for pair in one.value for part in pair]
        elif isinstance(one, yaml.SequenceNode):
            children = one.value
        sizes[id(one)] = 1 + sum(map(size, children))
        if sizes[id(one)] > MAX_NODES:
            line = one.start_mark.line + 1
            raise ConfigError(
                f"{name}:{line}: the aliases here unfold to more than {MAX_NODES:,} values"
            )
        return sizes[id(one)]

    if node is not None:
        size(node)


def _collect_lines(node: Any, path: tuple, lines: Lines, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(
                    f"{name}:{line}: {key.value!r} stands twice (first in line {seen[key.value]})"
                )
            seen[key.value] = line
            lines[(*path, key.value)] = line
            _collect_lines(value, (*path, key.value), lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _collect_lines(item, (*path, index), lines, name)


def parse_override(override: str) -> tuple[str, Any]:
    """The key and the value of `key.sub=value`; the value is read as YAML."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.strip().split(".")):
        raise ConfigError(f"--set {override!r}: write key.sub=value, as in seed=2")
    try:
        return key.strip(), yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML") from None


def apply_override(data: dict, lines: Lines, key: str, value: Any) -> None:
    """Set `key.sub` to a value in `data`."""
    path = tuple(key.split("."))
    target = data
    for part in path[:-1]:
        if target.get(part) is None:  # absent, or `lines: null`
            target[part] = {}
        target = target[part]
        if not isinstance(target, dict):
            raise ConfigError(f"--set {key}: {part!r} is not a section")
    target[path[-1]] = value
    for length in range(1, len(path) + 1):
        if path[:length] not in lines or length == len(path):
            lines[path[:length]] = f"--set {key}"


def _explain(error: ValidationError, valid: Sequence[str], lines: Lines, name: str) -> str:
    first = error.errors()[0]
    path = tuple(first["loc"])
    where = lines.where(name, path)
    dotted = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        near = did_you_mean(str(path[-1]), valid)
        return f"{where}: unknown key {dotted!r}{near}; valid keys here: {', '.join(valid)}"
    return f"{where}: {dotted}: {first['msg']} (given: {first.get('input')!r})"


def _keys_at(model: Any, path: tuple) -> list[str]:
    for part in path:
        if part not in getattr(model, "model_fields", {}):
            return []  # the mistake lies in a value: no section of keys
        kind = model.model_fields[part].annotation
        model = next((one for one in get_args(kind) if hasattr(one, "model_fields")), kind)
    return list(getattr(model, "model_fields", ()))
