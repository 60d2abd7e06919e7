"""What every framework is put through: callers whose rows go together, and a bundle that is served."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from server import Server
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import IntegrityError
from tiffin.runtime.model.model import Model


def together(model: Model, method: str, *calls: Any, folder: Path) -> list[Any]:
    """What a worker answers to several callers whose rows make one batch; fails when they make none.

    Args:
        *calls: the first argument of each, or a tuple of its arguments.
    """
    return through_runner(model, *calls, method=method, folder=folder)


def refuses_damage(model: Model) -> None:
    """One byte of its largest file is changed: nothing is loaded."""
    largest = max(model.info.files, key=lambda file: file.size_bytes).path
    path = model.path / largest
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    try:
        models.get(model.tag).load()
    except IntegrityError as error:
        assert largest in str(error)
    else:
        raise AssertionError(f"{model.tag} was loaded though {largest} is damaged")


@contextmanager
def served(folder: Path, service: str, *options: str) -> Iterator[Server]:
    """A bundle of this service.py and the models that it names, built and served by the real commands."""
    project = folder / "project"
    project.mkdir()
    (project / "service.py").write_text(service)
    command = [sys.executable, "-m", "tiffin", "build", str(project), "--no-lock", "--name", "tested"]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    with Server("tested:latest", "--processes", "1", *options) as server:
        yield server


KINDS = """
import pandas as pd

import tiffin


@tiffin.service
class Kinds:
    trees = tiffin.runner("kinds:latest", threads=1)

    @tiffin.api
    async def guess(self, rows: pd.DataFrame) -> list[float]:
        return (await self.trees.predict(rows)).tolist()
"""


def serves_kinds(folder: Path, predict: Callable[[Any], Any]) -> None:
    """The model `kinds`, of the columns length, width, petal and the category kind, behind a route.

    Args:
        predict: what the model itself gives for a data frame of records.
    """
    import pandas as pd

    with served(folder, KINDS) as server:
        records = [{"kind": "broad", "length": 6, "width": 3, "petal": 5.1}]
        answer = httpx.post(f"{server.base_url}/guess", json={"rows": records}, timeout=30)
        assert answer.json() == predict(pd.DataFrame(records)).tolist()
        wrong = httpx.post(f"{server.base_url}/guess", json={"rows": [{"kind": "broad"}]}, timeout=30)
        assert wrong.status_code == 422
        assert "column 'length' is missing" in wrong.text


def tells_its_columns(model: Model, data: Any, trees: Any, *, kind: str, folder: Path) -> None:
    """A model of a file, which was trained on `data`, names its columns; `kind` is the dtype of one."""
    import numpy as np

    spec = model.info.methods["predict"]
    assert spec.batch
    columns = next(iter(spec.inputs.values())).columns
    assert columns == {"length": "float64", "width": "float64", "petal": "float64", "kind": kind}
    records = data.astype({"kind": object}).to_dict("records")
    one, rest = together(model, "predict", records[:1], records[1:], folder=folder)
    assert np.array_equal(np.concatenate([one, rest]), trees.predict(data))
