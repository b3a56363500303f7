"""A run says what made it, and in which format."""

import json
import subprocess

import pytest

from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.versions import (
    RUN_FORMAT,
    VERSIONS,
    OtherFormat,
    refuse_later_format,
    run_format,
    versions,
)
from tests import tree


def test_a_run_of_a_checkout_names_its_commit():
    if not (tree.ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no commit to name")
    command = ["git", "-C", str(tree.ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert versions()["commit"] == head


def test_a_run_without_a_number_is_of_format_1(tmp_path):
    store = Store(str(tmp_path))
    assert run_format(store) == 1
    store.write_bytes(VERSIONS, b'{"decant": "0.1.0"}')
    assert run_format(store) == 1


def test_a_run_of_this_format_is_read_and_one_of_the_next_refused_by_name(tmp_path):
    store = Store(str(tmp_path))
    store.write_bytes(VERSIONS, json.dumps(versions()).encode())
    assert run_format(store) == RUN_FORMAT
    refuse_later_format(store)
    store.write_bytes(VERSIONS, json.dumps({"format": RUN_FORMAT + 1}).encode())
    with pytest.raises(OtherFormat, match=f"has format {RUN_FORMAT + 1} .* 1 to {RUN_FORMAT}"):
        refuse_later_format(store)
