"""spaCy in a worker does not bring torch with it."""

import importlib.util
import subprocess
import sys

import pytest

CODE = """
import sys
from decant.pipeline.engine.light_spacy import import_spacy
import_spacy()
assert "spacy" in sys.modules
print("torch" in sys.modules)
"""


def test_torch_stays_out_of_a_process_that_splits_words():
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed, so spaCy cannot import it")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
