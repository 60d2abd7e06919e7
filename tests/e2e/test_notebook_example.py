"""The example notebook from its first cell to its last, and what stays in the repository of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from notebook import Notebook, Output

EXAMPLE = Path(__file__).parents[2] / "examples" / "iris_notebook" / "train.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Output]]:
    """Cell id to what it showed."""
    folder = tmp_path_factory.mktemp("iris")
    shutil.copy(EXAMPLE, folder)
    example = nbformat.read(EXAMPLE, as_version=4)
    with Notebook(folder, {"TIFFIN_HOME": str(folder / "home")}) as notebook:
        code = [cell for cell in example.cells if cell.cell_type == "code"]
        # Locking is tested with the other examples, and takes longer than all of this.
        yield {cell.id: notebook.run(cell.source.replace("build", "build --no-lock")) for cell in code}


def test_it_trains_serves_and_builds(cells: dict[str, Output]) -> None:
    assert "<Model iris:" in cells["save"].text
    assert "accuracy" in cells["save"].html
    assert cells["try"].text == "['setosa']"
    assert "POST /classify" in cells["serve"].html
    assert cells["call"].text == "['setosa', 'versicolor', 'virginica']"
    assert "Built iris:" in cells["build"].text
    assert "POST /classify 200" in cells["logs"].text
    assert "stopped Iris" in cells["stop"].text


def test_it_is_kept_without_outputs() -> None:
    for cell in nbformat.read(EXAMPLE, as_version=4).cells:
        assert cell.get("execution_count") is None
        assert not cell.get("outputs")
