"""Keeps the example of `models.save` and what the model made of it, to be tried again elsewhere."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ..errors import WireError
from ..runtime.manifest import MethodSpec
from ..runtime.model.example import Example
from ..runtime.model.framework import Framework
from ..runtime.model.recorded import MAX_BYTES, Recorded, encode, path_of
from ..runtime.model.signature import rows_of

MAX_ROWS = 32
"""Rows of a batch that are kept: enough to compare, whatever was given."""


class Recording:
    """Watches a framework describe its methods, and writes down the calls.

    Attributes:
        skipped: method to the reason why its call is not kept.
    """

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}
        self._results: dict[str, list[Any]] = {}
        self._files: dict[str, bytes] = {}

    def watch(self, framework: Framework, method: str) -> Framework:
        """A twin of the framework that notes what its calls of a method give.

        Describing runs the example anyway; a second run may take minutes, or give something else.
        """
        twin = copy.copy(framework)

        def call(obj: Any, called: str, *args: Any, **kwargs: Any) -> Any:
            result = framework.call(obj, called, *args, **kwargs)
            if called == method:
                self._results.setdefault(method, []).append(result)
            return result

        vars(twin)["call"] = call  # found before the method of the class
        return twin

    def keep(self, method: str, example: Example, spec: MethodSpec) -> None:
        """Takes down the call that `watch` saw, when it saw one."""
        path = path_of(method)
        if not path:
            self.skipped[method] = "no file can be called so"
            return
        results = self._results.pop(method, [])
        if not results:  # a second run is not ours to make: it may take minutes, or change the model
            self.skipped[method] = "the framework does not run it by its own call"
            return
        try:
            data = encode(_head(example, results[0]) if spec.batch else _whole(example, results[0]))
        except WireError as error:
            self.skipped[method] = str(error)
            return
        if len(data) > MAX_BYTES:
            self.skipped[method] = f"its example and outputs have {len(data)} bytes, {MAX_BYTES} are kept"
            return
        self._files[path] = data

    def write(self, folder: Path) -> set[str]:
        """Writes a file a method below `folder`.

        Returns:
            Their paths.
        """
        for path, data in self._files.items():
            file = folder / path
            file.parent.mkdir(exist_ok=True)
            with file.open("xb") as opened:
                opened.write(data)
        return set(self._files)


def _whole(example: Example, output: Any) -> Recorded:
    return Recorded(example.args, example.kwargs, output)


def _head(example: Example, output: Any) -> Recorded:
    """The first rows of a batch: each row's answer is its own."""
    return Recorded(
        tuple(_rows(value) for value in example.args),
        {name: _rows(value) for name, value in example.kwargs.items()},
        _output_rows(output),
    )


def _output_rows(output: Any) -> Any:
    """A tuple or dict of arrays holds one batch in each."""
    if isinstance(output, tuple):
        return tuple(_rows(part) for part in output)
    if isinstance(output, dict):
        return {name: _rows(part) for name, part in output.items()}
    return _rows(output)


def _rows(value: Any) -> Any:
    if (rows_of(value) or 0) <= MAX_ROWS:
        return value
    return value.iloc[:MAX_ROWS] if hasattr(value, "iloc") else value[:MAX_ROWS]
