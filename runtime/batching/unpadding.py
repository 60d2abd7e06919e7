"""Results of padded rows, cut back to each row's own length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ...errors import ResultMismatchError
from ..manifest import PaddingSpec
from . import rows
from .ragged import Ragged, first_of_row, first_of_rows


class Unpadding:
    """Cuts what `unpad` names.

    Args:
        spec: its `unpad` is not False.
    """

    def __init__(self, spec: PaddingSpec) -> None:
        self._axis = spec.axis
        self._keys = spec.unpad if isinstance(spec.unpad, list) else None
        """None: all of the result."""

    def split(self, result: Any, calls: Sequence[Ragged]) -> list[Any]:
        """Each call's own rows of the result of all of them, without what was filled up.

        A call whose rows were a list gets what is cut back as a list of rows, since they differ in length.

        Raises:
            ResultMismatchError: not one row for each row that went in, a part that is not there, or one that
                is not as long as the padded rows.
        """
        if self._keys is None:
            return self._cut(result, calls, "")
        kind = rows.kind_of(result)
        if kind == "dict":
            self._find(result, self._keys)
            leaves = {
                key: self._leaf(leaf, calls, f"[{key!r}]", key in self._keys) for key, leaf in result.items()
            }
            return [{key: parts[at] for key, parts in leaves.items()} for at in range(len(calls))]
        if kind == "tuple":
            names = list(getattr(result, "_fields", ()))
            places = [names.index(key) if key in names else key for key in self._keys]
            self._find({*range(len(result))}, places, names)
            columns = [self._leaf(leaf, calls, f"[{at}]", at in places) for at, leaf in enumerate(result)]
            make = rows.tuple_maker(type(result))
            return [make(parts) for parts in zip(*columns, strict=True)]
        raise ResultMismatchError(
            f"unpad names {self._keys[0]!r} and the result has no parts: use unpad=True"
        )

    def _find(self, has: Any, keys: Sequence[str | int], names: Sequence[str] = ()) -> None:
        for key in keys:
            if key not in has:
                known = ", ".join(map(repr, names or has)) or "none"
                raise ResultMismatchError(f"unpad names {key!r} and the result has {known}")

    def _leaf(self, value: Any, calls: Sequence[Ragged], where: str, cut: bool) -> list[Any]:
        if cut:
            return self._cut(value, calls, where)
        return rows.split(value, [call.count for call in calls], where)

    def _cut(self, value: Any, calls: Sequence[Ragged], where: str) -> list[Any]:
        kind = rows.kind_of(value)
        if kind == "tuple" and value:
            columns = [self._cut(leaf, calls, f"{where}[{at}]") for at, leaf in enumerate(value)]
            make = rows.tuple_maker(type(value))
            return [make(parts) for parts in zip(*columns, strict=True)]
        if kind == "dict" and value:
            leaves = {key: self._cut(leaf, calls, f"{where}[{key!r}]") for key, leaf in value.items()}
            return [{key: parts[at] for key, parts in leaves.items()} for at in range(len(calls))]
        counts, width = [call.count for call in calls], calls[0].width
        if kind in ("array", "tensor"):
            rows.check(value, sum(counts), where)
            if value.ndim <= self._axis or value.shape[self._axis] != width:
                self._not_padded(f"has shape {tuple(value.shape)}", width, where)
            return self._cut_array(value, calls)
        parts = rows.split(value, counts, where)
        if kind != "list" or self._axis != 1:
            self._not_padded(f"is of type {type(value).__qualname__}", width, where)
        for row in value:
            if not hasattr(row, "__len__") or len(row) != width:
                self._not_padded("has a row that is not", width, where)
        return [
            [row[:length] for row, length in zip(part, call.lengths, strict=True)]
            for part, call in zip(parts, calls, strict=True)
        ]

    def _cut_array(self, value: Any, calls: Sequence[Ragged]) -> list[Any]:
        axis, parts, at = self._axis, [], 0
        for call in calls:
            start, at = at, at + len(call.lengths)
            if call.listed:
                own = zip(value[start:at], call.lengths, strict=True)
                parts.append([row[first_of_row(axis, length)] for row, length in own])
                continue
            length = call.lengths[0] if call.lengths else 0
            if axis == 1:
                parts.append(value[start:at, :length])
            else:
                parts.append(value[start:at][first_of_rows(axis, length)])
        return parts

    def _not_padded(self, what: str, width: int, where: str) -> NoReturn:
        raise ResultMismatchError(
            f"unpad cuts axis {self._axis} of the result, which must be as long as the padded rows, {width}, "
            f"and result{where} {what}: return it padded, or name in unpad= what is"
        )
