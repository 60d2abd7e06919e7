"""Results of padded rows, cut back to each row's own length."""

from __future__ import annotations

from typing import Any, NoReturn

from ...errors import ResultMismatchError
from ..manifest import PaddingSpec
from . import rows
from .ragged import Ragged, first_of_row


class Unpadding:
    """Cuts what `unpad` names.

    Args:
        spec: its `unpad` is not False.
    """

    def __init__(self, spec: PaddingSpec) -> None:
        self._axis = spec.axis
        self._keys = spec.unpad if isinstance(spec.unpad, list) else None
        """None: all of the result."""

    def __call__(self, part: Any, call: Ragged) -> Any:
        """The rows of one call without what was filled up.

        A call whose rows were a list gets a list of rows, since they differ in length.

        Raises:
            ResultMismatchError: the result has no such part, or it is not as long as the padded rows.
        """
        return self._cut(part, call, "") if self._keys is None else self._cut_some(part, call, self._keys)

    def _cut_some(self, part: Any, call: Ragged, keys: list[str | int]) -> Any:
        kind = rows.kind_of(part)
        if kind == "dict":
            for key in keys:
                if key not in part:
                    self._lacks(key, part)
            return {
                key: self._cut(leaf, call, f"[{key!r}]") if key in keys else leaf
                for key, leaf in part.items()
            }
        if kind == "tuple":
            names = getattr(part, "_fields", ())
            places = [names.index(key) if key in names else key for key in keys]
            for key in places:
                if not isinstance(key, int) or not 0 <= key < len(part):
                    self._lacks(key, names or range(len(part)))
            leaves = [
                self._cut(leaf, call, f"[{at}]") if at in places else leaf for at, leaf in enumerate(part)
            ]
            return rows.tuple_maker(type(part))(leaves)
        return self._lacks(keys[0], ())

    def _lacks(self, key: str | int, has: Any) -> NoReturn:
        known = ", ".join(map(repr, has)) or "no parts: use unpad=True"
        raise ResultMismatchError(f"unpad names {key!r} and the result has {known}")

    def _cut(self, value: Any, call: Ragged, where: str) -> Any:
        kind = rows.kind_of(value)
        if kind == "tuple":
            leaves = [self._cut(leaf, call, f"{where}[{at}]") for at, leaf in enumerate(value)]
            return rows.tuple_maker(type(value))(leaves)
        if kind == "dict":
            return {key: self._cut(leaf, call, f"{where}[{key!r}]") for key, leaf in value.items()}
        if kind in ("array", "tensor"):
            if value.ndim <= self._axis or value.shape[self._axis] != call.width:
                self._not_padded(f"has shape {tuple(value.shape)}", call.width, where)
            if call.listed:
                return [
                    row[first_of_row(self._axis, length)]
                    for row, length in zip(value, call.lengths, strict=True)
                ]
            cut = (slice(None), *first_of_row(self._axis, call.lengths[0] if call.lengths else 0))
            return value[cut]
        if kind == "list" and self._axis == 1:
            for row in value:
                if not hasattr(row, "__len__") or len(row) != call.width:
                    self._not_padded("has a row that is not", call.width, where)
            return [row[:length] for row, length in zip(value, call.lengths, strict=True)]
        return self._not_padded(f"is of type {type(value).__qualname__}", call.width, where)

    def _not_padded(self, what: str, width: int, where: str) -> NoReturn:
        raise ResultMismatchError(
            f"unpad cuts axis {self._axis} of the result, which must be as long as the padded rows, {width}, "
            f"and result{where} {what}: return it padded, or name in unpad= what is"
        )
