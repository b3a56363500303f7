"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest

from tests import tree

MODULES = ["tests.tree", *tree.modules()]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_the_examples_are_found_at_any_depth():
    tried = sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES)
    written = sum(
        line.lstrip().startswith(">>> ")
        for path in tree.sources()
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert tried > 0.9 * written > 50
