"""`kernel`: a numba function compiled once per machine.

Compiled code lies under `$DECANT_CACHE/numba`, else the user's cache folder, never beside the
source: an installed package may be read-only, and half a minute per worker is worth saving.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

# A machine number inside a kernel, of the width its docstring says: checkers know int, not uint64.
Number = Any
Function = TypeVar("Function", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Where things built once per machine lie: `$DECANT_CACHE`, else `decant` in the user's cache.

    It may not exist yet.
    """
    folder = os.environ.get("DECANT_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "decant"


def numba_cache() -> str:
    """The folder of compiled kernels."""
    return str(cache_folder() / "numba")


if not os.environ.get("NUMBA_CACHE_DIR"):
    config.CACHE_DIR = numba_cache()


def kernel(function: Function) -> Function:
    """`function` compiled to machine code at its first call, or loaded from the cache."""
    return numba.njit(cache=True, nogil=True)(function)  # type: ignore[return-value]


def leaf_kernel(function: Function) -> Function:
    """A `kernel` that makes no array, only called by others.

    Numba counts a reference at each look at an array in a tuple: 5 ns, which were two thirds of the
    time of splitting a word. Such a function needs none; one that does make an array is refused
    when it is compiled.
    """
    return numba.njit(cache=True, nogil=True, _nrt=False)(function)  # type: ignore[return-value]
