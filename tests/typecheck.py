"""pyright over the packages under the names that are installed: `python -m tests.typecheck`.

The names are a mapping in pyproject.toml that pyright does not read, and over links it checks one
file or none and says 0 errors. So it is given a copy of the tree laid out as site-packages, and
what it looked at is counted.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests import tree

COPY = tree.ROOT / "build" / "typecheck"


def lay_out(folder: Path) -> dict[Path, Path]:
    """Copy every source to where the wheel would put it; the source by its copy."""
    shutil.rmtree(folder, ignore_errors=True)
    copies = {}
    for source in tree.sources():
        name = tree.module_name(source).replace(".", "/")
        copy = folder / (f"{name}/__init__.py" if source.name == "__init__.py" else f"{name}.py")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
        copies[copy] = source
    shutil.copy(tree.ROOT / "pyproject.toml", folder / "pyproject.toml")
    return copies


def main() -> int:
    """0 where pyright read every file and finds nothing."""
    copies = lay_out(COPY)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=COPY, capture_output=True, text=True)
    result = json.loads(done.stdout)
    for found in result["generalDiagnostics"]:
        source = copies.get(Path(found["file"]), Path(found["file"]))
        line = found["range"]["start"]["line"] + 1
        print(f"{source}:{line}: {found['severity']}: {found['message']}")
    summary = result["summary"]
    print(f"pyright: {summary['filesAnalyzed']} files, {summary['errorCount']} errors")
    if summary["filesAnalyzed"] != len(copies):
        print(f"pyright should have read {len(copies)} files")
        return 1
    return int(summary["errorCount"] > 0)


if __name__ == "__main__":
    sys.exit(main())
