"""A notebook with parameters, run from a shell by papermill: the bundle is of the values that were given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat

SERVICE = """
@tiffin.service
class Times:
    @tiffin.api
    def times(self, x: float) -> float:
        return BY * x
"""
CELLS = {
    "setup": "%load_ext tiffin\nimport tiffin",
    "parameters": "BY = 1\nNAME = 'times'\nOTHER = 'times'",
    "service": SERVICE,
    "build": "made = tiffin.build(Times, name=NAME, lock=False)\nmade.path",
    "magic": "%bundle show {NAME}",
    "wrong": "%bundle show {OTHER}",
    "last": "print('reached')",
}


def run(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """What papermill says, and cell id to the text below it."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    for name, source in CELLS.items():
        cell = nbformat.v4.new_code_cell(source, id=name, metadata={"tags": [name]})
        notebook.cells.append(cell)
    nbformat.write(notebook, folder / "train.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "train.ipynb", "out.ipynb", "--no-progress-bar", *options],
        cwd=folder,
        env={**os.environ, "TIFFIN_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (folder / "out.ipynb").exists(), done.stderr
    shown = {
        cell["id"]: json.dumps(cell["outputs"])
        for cell in json.loads((folder / "out.ipynb").read_text())["cells"]
        if cell["cell_type"] == "code"
    }
    return done, shown


def test_papermill_gives_parameters_shows_what_was_built_and_ends_where_a_command_fails(
    tmp_path: Path,
) -> None:
    done, shown = run(tmp_path, "-p", "BY", "7", "-p", "OTHER", "nothing")
    assert "built times:" in shown["build"], done.stderr
    (source,) = (tmp_path / "home" / "bundles" / "times").glob("*/src/service.py")
    assert "BY = 7" in source.read_text(), "of the cell that papermill has put in"
    assert "BY = 1" not in source.read_text()
    assert "text/html" in shown["magic"]
    assert "POST /times" in shown["magic"]
    assert done.returncode == 1
    assert "NotFoundError: no bundle 'nothing'" in done.stderr or "error: no bundle 'nothing'" in done.stderr
    assert "cli/ipython" not in done.stderr, "one line, and no traceback"
    assert shown["last"] == "[]", "not reached"
