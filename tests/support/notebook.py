"""A notebook in a kernel of its own, cell by cell.

with Notebook(folder) as notebook:
    notebook.run("%load_ext tiffin").html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

START_LIMIT_S = 150


@dataclass
class Output:
    """What stands below a cell."""

    outputs: list[Any]

    def _data(self, kind: str) -> list[str]:
        return [one["data"][kind] for one in self.outputs if kind in one.get("data", {})]

    @property
    def html(self) -> str:
        return "\n".join(self._data("text/html"))

    @property
    def text(self) -> str:
        """What a log of the notebook holds: streams, and the plain form of displays."""
        streams = [one["text"] for one in self.outputs if one["output_type"] == "stream"]
        return "\n".join([*streams, *self._data("text/plain")])


class CellFailedError(AssertionError):
    """The traceback that stands below the cell is its message; `name` is the exception's class."""

    def __init__(self, error: CellExecutionError) -> None:
        super().__init__(error.traceback)
        self.name = error.ename


class Notebook:
    """A kernel in a folder, ended on exit.

    Args:
        folder: the kernel's working folder.
        environ: added to this process's environment.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._notebook = nbformat.v4.new_notebook()
        self._client = NotebookClient(
            self._notebook,
            kernel_name="python3",
            timeout=START_LIMIT_S,
            resources={"metadata": {"path": str(folder)}},
        )
        self._environ = {**os.environ, **environ}

    def __enter__(self) -> Notebook:  # noqa: PYI034 - Self came with 3.11
        self._stack = ExitStack()
        self._stack.enter_context(self._client.setup_kernel(env=self._environ))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, source: str) -> Output:
        """Runs one more cell.

        Raises:
            CellFailedError: it raised.
        """
        cell = nbformat.v4.new_code_cell(source)
        self._notebook.cells.append(cell)
        try:
            self._client.execute_cell(cell, len(self._notebook.cells) - 1)
        except CellExecutionError as error:
            raise CellFailedError(error) from None
        return Output(cell.outputs)

    def interrupt(self) -> None:
        """As from the menu of a front end."""
        run_sync(self._client.km.interrupt_kernel)()

    def restart(self) -> None:
        """As from the menu of a front end."""
        run_sync(self._client.km.restart_kernel)()
        run_sync(self._client.kc.wait_for_ready)(timeout=START_LIMIT_S)
