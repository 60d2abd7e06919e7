"""Models that are graphs with named inputs and outputs (ONNX, OpenVINO): called like any other model.

Rows come by position, in the order of the graph's inputs, or by the inputs' names. One output is given as it
is; several are a dict by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..manifest import MethodSpec, TypeSpec
from .example import Example
from .signature import BATCH_AXIS, rows_of, spec_of

Run = Callable[[dict[str, Any]], Sequence[Any]]
"""Input name to array → a value for each output."""
TEXT = "str"


@dataclass(frozen=True)
class Port:
    """One input or output."""

    name: str
    dtype: str
    """numpy's name, `str` for text; empty for what is no tensor, or of a dtype that numpy does not have."""
    shape: list[int | str] | None
    """Sizes; a name for an axis of any size. None: not known."""


class GraphModel:
    """A loaded graph.

    Args:
        run: computes it.
        native: the library's own object, for what is not offered here.
        inputs: in the graph's order.
        outputs: in the graph's order.
    """

    def __init__(self, run: Run, native: Any, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self.native = native
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.fixed_rows = _fixed_rows(self.inputs, self.outputs)
        """Rows that the graph was exported for, when it takes no other number; other numbers of rows are
        computed in parts of that size, the last one filled up."""
        self._run = run

    def predict(self, *rows: Any, **named: Any) -> Any:
        """One inference.

        Args:
            *rows: arrays or lists, in the order of the inputs.
            **named: the same by input name.

        Raises:
            InvalidInputError: an input is missing or unknown, or has another dtype or shape.
        """
        feeds = self._feeds(rows, named)
        values = self._in_parts(feeds) if self.fixed_rows is not None else self._run(feeds)
        if len(self.outputs) == 1:
            return values[0]
        return {port.name: value for port, value in zip(self.outputs, values, strict=True)}

    def describe(self, example: Example | None, run: Callable[..., Any] | None = None) -> MethodSpec:
        """The signature from the graph itself; batches and outputs are confirmed by a run.

        Args:
            example: None: zeros, where the graph says enough to make them.
            run: makes the call with the example, in place of `predict`.
        """
        inputs = {port.name: _spec(port) for port in self.inputs}
        if example is None:
            result = self._try_zeros()
            if result is None:
                return MethodSpec(batch=self._words_say_batch(), inputs=inputs, output=self._output_spec())
            given: set[int | None] = {_PROBE_ROWS}
        else:
            feeds = self._feeds(example.args, example.kwargs)
            given = {rows_of(value) for value in feeds.values()}
            result = (run or self.predict)(**feeds)
        batch = self._words_say_batch() and len(given) == 1 and _rows_in(result) == given
        output = spec_of(result)
        if output.shape and not batch:
            output.shape = [*np.shape(result)]
        return MethodSpec(batch=batch, inputs=inputs, output=output)

    def _feeds(self, rows: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        names = [port.name for port in self.inputs]
        if len(rows) > len(names):
            raise InvalidInputError(f"the model takes {', '.join(names)}: {len(rows)} values are too many")
        given = {**dict(zip(names, rows, strict=False)), **named}
        if unknown := [name for name in given if name not in names]:
            raise InvalidInputError(f"the model has no input {unknown[0]!r}; it takes {', '.join(names)}")
        if missing := [name for name in names if name not in given]:
            raise InvalidInputError(f"input {missing[0]!r} is missing; the model takes {', '.join(names)}")
        return {port.name: _fitted(port, given[port.name], self.fixed_rows) for port in self.inputs}

    def _in_parts(self, feeds: dict[str, Any]) -> list[Any]:
        size, count = self.fixed_rows or 1, len(next(iter(feeds.values())))
        parts = []
        for start in range(0, count, size):
            part = {name: value[start : start + size] for name, value in feeds.items()}
            short = size - len(next(iter(part.values())))
            if short:  # the last row is one that the model takes
                part = {name: np.concatenate([rows, *[rows[-1:]] * short]) for name, rows in part.items()}
            parts.append([value[: size - short] for value in self._run(part)])
        if not parts:
            zeros = {port.name: _zeros(port, size) for port in self.inputs}
            parts.append([value[:0] for value in self._run(zeros)])
        return [_joined(column) for column in zip(*parts, strict=True)]

    def _words_say_batch(self) -> bool:
        """What the shapes say; an output of which nothing is known is not held against it."""
        if self.fixed_rows is not None:
            return True
        known = [port.shape for port in (*self.inputs, *self.outputs) if port.shape]
        return all(port.shape for port in self.inputs) and all(isinstance(shape[0], str) for shape in known)

    def _output_spec(self) -> TypeSpec | None:
        return _spec(self.outputs[0]) if len(self.outputs) == 1 else None

    def _try_zeros(self) -> Any:
        try:
            return self.predict(**{port.name: _zeros(port, _PROBE_ROWS) for port in self.inputs})
        except Exception:  # noqa: BLE001 - a graph may refuse zeros; then its words are all there is
            return None


_PROBE_ROWS = 2


class GraphFramework:
    """What frameworks of graphs have in common: how a `GraphModel` is called and described."""

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - a graph has one
        return ["predict"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(obj, method)(*args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        spec: MethodSpec = obj.describe(example, partial(self.call, obj, method))
        return spec


def _spec(port: Port) -> TypeSpec:
    if not port.dtype:
        return TypeSpec(kind="json")
    shape = port.shape and [BATCH_AXIS if isinstance(port.shape[0], str) else port.shape[0], *port.shape[1:]]
    return TypeSpec(kind="array", dtype=port.dtype, shape=shape)


def _fixed_rows(inputs: Sequence[Port], outputs: Sequence[Port]) -> int | None:
    first = {port.shape[0] if port.shape else None for port in (*inputs, *outputs)}
    only = first.pop() if len(first) == 1 else None
    return only if isinstance(only, int) and only > 0 else None


def _fitted(port: Port, value: Any, fixed_rows: int | None) -> Any:
    """The value as the graph takes it."""
    if not port.dtype:
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidInputError(f"input {port.name!r}: {error}") from error
    if port.dtype == TEXT:
        if array.dtype.kind not in "UTO":
            raise InvalidInputError(f"input {port.name!r} takes text and got {array.dtype}")
        array = array.astype(object)
    else:
        wanted = np.dtype(port.dtype)
        if array.dtype != wanted:
            if array.size and not np.can_cast(array.dtype, wanted, "same_kind"):
                raise InvalidInputError(f"input {port.name!r} takes {port.dtype} and got {array.dtype}")
            array = array.astype(wanted)
        array = np.ascontiguousarray(array) if array.ndim else array
    if port.shape is not None:
        free = 1 if fixed_rows is not None else 0
        bad = len(array.shape) != len(port.shape) or any(
            isinstance(size, int) and size != got
            for size, got in zip(port.shape[free:], array.shape[free:], strict=True)
        )
        if bad:
            wanted_shape = ", ".join(map(str, [BATCH_AXIS, *port.shape[1:]] if free else port.shape))
            raise InvalidInputError(
                f"input {port.name!r} has the shape [{wanted_shape}] and got {list(array.shape)}"
            )
    return array


def _zeros(port: Port, rows: int) -> Any:
    """Zeros or empty texts; axes of any size but the first have 1."""
    if not port.dtype or port.shape is None:
        raise ValueError(port.name)
    shape = [
        rows if place == 0 else size if isinstance(size, int) else 1 for place, size in enumerate(port.shape)
    ]
    return np.full(shape, "", object) if port.dtype == TEXT else np.zeros(shape, port.dtype)


def _joined(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return [row for part in parts for row in part] if isinstance(parts[0], list) else np.concatenate(parts)


def _rows_in(result: Any) -> set[int | None]:
    return {rows_of(value) for value in (result.values() if isinstance(result, dict) else [result])}
