"""What every framework is put through: callers whose rows go together, and a bundle that is served."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server import Server

import tiffin
from tiffin.bundler import models
from tiffin.errors import IntegrityError
from tiffin.runtime.batching import rows
from tiffin.runtime.model.model import Model
from tiffin.runtime.model.tables import table_fit
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.worker.inference import load


def together(model: Model, method: str, *calls: Any, folder: Path) -> list[Any]:
    """What a worker answers to several callers whose rows make one batch; fails when they make none.

    Args:
        *calls: the first argument of each, or a tuple of its arguments.
    """
    spec = tiffin.runner(str(model.tag)).spec("tested")
    inference = load(Target(source=str(folder), service="none:None"), spec)
    fit = table_fit(spec.methods[method]) or (lambda args: args)
    args = [fit(call if isinstance(call, tuple) else (call,)) for call in calls]
    assert spec.methods[method].batch
    assert len({rows.shape_key(one) for one in args}) == 1, [rows.shape_key(one) for one in args]
    inference.warm()
    result = inference.call(method, rows.join(args), {})
    return rows.split(result, [rows.count(one) for one in args])


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
