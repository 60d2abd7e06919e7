"""The cells that a live session has executed, and the notebook that they are of, as far as it can be told."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from .cell import Cell
from .notebook import SUFFIX, read_notebook
from .script import script_cell, script_path

_SHELL = frozenset({"In", "Out", "exit", "get_ipython", "open", "quit"})
"""Names that IPython binds in every session; `open` is one that refuses the kernel's own files."""
_PROMPT = re.compile(r"<python-input-(\d+)>")


def executed_cells(namespace: Mapping[str, Any]) -> list[Cell]:
    """In the order of their execution, as they were typed; one that ran twice is there twice.

    IPython keeps them in its history, the prompt of Python 3.13 in `linecache`; older prompts keep nothing.
    A script is one cell.

    Raises:
        BuildError: the file of the script was changed since it was started.
    """
    script = script_path(namespace)
    before = [script_cell(script, namespace)] if script is not None else []
    history = _ipython_history(namespace)
    if history:
        ids = _ids(notebook_path(namespace))
        return [
            Cell(source=text, number=number, id=ids.get(text.strip(), ""))
            for number, text in enumerate(history)
            if text.strip()
        ]
    prompts = sorted(
        (int(match[1]), name) for name in linecache.cache if (match := _PROMPT.fullmatch(str(name)))
    )
    typed = [Cell(source="".join(linecache.getlines(name)), number=number + 1) for number, name in prompts]
    return before + typed


def notebook_path(namespace: Mapping[str, Any]) -> Path | None:
    """The file of the notebook, as editors tell it to their kernels; None when none of them does."""
    said = (
        namespace.get("__vsc_ipynb_file__"),  # Visual Studio Code
        os.environ.get("JPY_SESSION_NAME"),  # Jupyter Server 2
    )
    for text in said:
        if isinstance(text, (str, Path)) and str(text).endswith(SUFFIX):
            path = Path(text)
            # Jupyter's is relative to where the server was started; the kernel runs beside the notebook.
            found = next((each for each in (path, Path.cwd() / path.name) if each.is_file()), None)
            if found is not None:
                return found.absolute()
    return None


def shell_names(namespace: Mapping[str, Any]) -> Mapping[str, Any]:
    """What IPython has put into a session of its own; of another there is none.

    It hides what the user's startup files bind, too: that is the user's.
    """
    shell = _shell(namespace)
    if shell is None:
        return {}
    hidden = shell.user_ns_hidden.items()
    return {name: value for name, value in hidden if name in _SHELL or name.startswith("_")}


def _shell(namespace: Mapping[str, Any]) -> Any:
    """IPython's, when the session is one of it; None: it is not."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if shell is not None and shell.user_ns is namespace else None


def _ipython_history(namespace: Mapping[str, Any]) -> list[str]:
    """By number of the prompt; 0 is empty."""
    shell = _shell(namespace)
    return [] if shell is None else [str(text) for text in shell.history_manager.input_hist_raw]


def _ids(path: Path | None) -> dict[str, str]:
    """Text of a cell to its id; the file may be older than the session."""
    if path is None:
        return {}
    try:
        return {cell.source.strip(): cell.id for cell in read_notebook(path)}
    except ConfigError:
        return {}
