"""Sizes that must agree across the parameters of one call: the `n` of `x` is the `n` of `y`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ServiceDefinitionError
from .dims import Dims
from .parameter import Parameter
from .wrong import WrongValueError


class Links:
    """Shapes that share names, or compute with each other's. Names inside containers stand for themselves.

    Args:
        parameters: all of the call.
        where: for errors.

    Raises:
        ServiceDefinitionError: an expression uses a name that no parameter has.
    """

    def __init__(self, parameters: Mapping[str, Parameter], where: str) -> None:
        shaped = {
            name: each.array.dims
            for name, each in parameters.items()
            if each.array is not None and each.array.dims is not None
        }
        known = frozenset().union(*(dims.names for dims in shaped.values())) if shaped else frozenset()
        for name, dims in shaped.items():
            unknown = sorted(dims.needs - known)
            if unknown:
                raise ServiceDefinitionError(
                    f"{where}: the shape {dims} of parameter {name!r} computes with {unknown[0]!r}, which is "
                    "no axis of any parameter; name such an axis or write a number"
                )
        uses = Counter(axis for dims in shaped.values() for axis in dims.names)
        shared = {axis for axis, count in uses.items() if count > 1}
        computing = any(dims.needs for dims in shaped.values())
        self._shapes: tuple[tuple[str, Dims], ...] = tuple(
            (name, dims) for name, dims in shaped.items() if computing or dims.names & shared
        )
        self.any = bool(self._shapes)

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises InvalidInputError at the first parameter that disagrees with an earlier one."""
        sizes: dict[str, Any] = {}
        present = [
            (name, dims, tuple(values[name].shape)) for name, dims in self._shapes if values[name] is not None
        ]
        for name, dims, shape in present:
            self._at(name, dims.bind, shape, sizes)
        for name, dims, shape in present:
            if dims.needs <= sizes.keys():
                self._at(name, dims.evaluate, shape, sizes)

    @staticmethod
    def _at(
        name: str,
        check: Callable[[tuple[int, ...], dict[str, Any]], None],
        shape: tuple[int, ...],
        sizes: dict[str, Any],
    ) -> None:
        try:
            check(shape, sizes)
        except WrongValueError as error:
            raise error.under(f"$.{name}") from error
