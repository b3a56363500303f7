"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import filters
import pipeline

MODULES = sorted(
    module.name
    for package in (filters, pipeline)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
