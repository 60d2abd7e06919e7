"""`{"instances": […], "parameters": {…}}`: how several prediction services write a request, onto one api.

An api whose parameters take many rows is called once with all instances; one that takes a single thing is
called once for each. JSON is cut and joined as bytes: numbers are read once, by the api's own decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from ..manifest import TypeSpec
    from ..schema.inputs import Inputs

INSTANCES, PARAMETERS, PREDICTIONS = "instances", "parameters", "predictions"
_KEYS = (INSTANCES, PARAMETERS)
_TABLES = ("array", "tensor")
_BINARY = ("bytes", "file", "image")

_Object = dict[str, bytes]
"""Key to its value, as JSON."""
_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items_of = msgspec.json.Decoder(list[msgspec.Raw])
_texts_of = msgspec.json.Decoder(dict[str, str])


class Instances:
    """Instances for one api, or one method of a runner.

    Args:
        name: of it, for errors.
        inputs: its parameters.
    """

    def __init__(self, name: str, inputs: Inputs) -> None:
        self._name = name
        self._specs = inputs.specs
        self._required = [name for name in self._specs if name not in inputs.defaults] or [*self._specs]
        kinds = {name: each.kind or each.element for name, each in inputs.parameters.items()}
        self._binary = {name for name, kind in kinds.items() if kind and kind.spec().kind in _BINARY}
        """May be written as `{"b64": "…"}`, or are lists of such."""
        self._all_at_once = bool(self._required) and all(
            _takes_rows(self._specs[name]) for name in self._required
        )
        self.applies = INSTANCES not in self._specs
        """An api that has a parameter of this name reads such bodies itself."""

    def read(self, body: bytes) -> list[bytes] | None:
        """The bodies to call the api with, in JSON; None when the body is of another kind.

        Raises:
            InvalidInputError: instances that do not fit the api's parameters.
        """
        try:
            given = _fields(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if INSTANCES not in given:
            return None
        for key in given:
            if key not in _KEYS:
                raise InvalidInputError(f"unknown key {key!r}: use {' and '.join(_KEYS)}", path=f"$.{key}")
        return self.calls(given[INSTANCES], given.get(PARAMETERS))

    def calls(self, instances: bytes, parameters: bytes | None = None) -> list[bytes]:
        """The bodies to call with, in JSON.

        Args:
            instances: JSON of the list.
            parameters: JSON of an object with what is the same for all; None: there is none.

        Raises:
            InvalidInputError: instances that do not fit the parameters.
        """
        shared = self._parameters(parameters or b"null")
        if self._all_at_once and len(self._required) == 1 and not shared and self._is_value(instances):
            return [_object({self._required[0]: instances})]
        return self._bodies(self._list(instances), shared)

    def _is_value(self, instances: bytes) -> bool:
        """Whether the list as it stands is the value of the only parameter: no names to be cut out."""
        if self._required[0] in self._binary or not instances.startswith(b"["):
            return False
        return not instances[1:].lstrip().startswith(b"{")

    def _bodies(self, instances: list[bytes], parameters: _Object) -> list[bytes]:
        if not self._all_at_once:
            return [self._one(f"$.instances[{at}]", each, parameters) for at, each in enumerate(instances)]
        named = [self._named(each) for each in instances]
        columns: _Object = {}
        if instances and all(named):
            for name in self._required:
                columns[name] = _joined(
                    self._value(f"$.instances[{at}]", each, name) for at, each in enumerate(named) if each
                )
        elif len(self._required) == 1:
            (name,) = self._required
            columns[name] = _joined(self._plain(name, each) for each in instances)
        else:
            raise InvalidInputError(
                f"api {self._name!r} takes {', '.join(self._required)}: "
                "every instance must be an object with these",
                path="$.instances",
            )
        return [_object({**columns, **parameters})]

    def answer(self, answers: list[bytes], count: int) -> bytes:
        """`{"predictions": […]}`: one for each instance where the api answers so.

        Args:
            answers: of the api, JSON, one for each body.
            count: of the instances.
        """
        if not self._all_at_once:
            return _object({PREDICTIONS: _joined(answers)})
        (answer,) = answers
        text = answer.lstrip()
        if text.startswith(b"{"):
            columns = _fields(text)
            if columns and all(raw.startswith(b"[") for raw in columns.values()):
                cells = {name: _items(raw) for name, raw in columns.items()}
                if all(len(column) == count for column in cells.values()):
                    rows = (_object({name: cells[name][at] for name in cells}) for at in range(count))
                    return _object({PREDICTIONS: _joined(rows)})
        return _object({PREDICTIONS: answer if text.startswith(b"[") else _joined([answer])})

    def count(self, body: bytes) -> int:
        """Instances in a body that `read` has read."""
        return len(_items(_fields(body)[INSTANCES]))

    @property
    def required(self) -> tuple[str, ...]:
        """Parameters that a call must have; all of them where every one has a default."""
        return tuple(self._required)

    def column(self, name: str, raw: bytes) -> bytes:
        """One parameter with all its rows, where binary values may be written as `{"b64": "…"}`."""
        if name in self._binary and raw.startswith(b"["):
            return _joined(self._plain(name, each) for each in _items(raw))
        return self._plain(name, raw) if name in self._specs else raw

    def _list(self, raw: bytes) -> list[bytes]:
        try:
            return _items(raw)
        except msgspec.ValidationError:
            raise InvalidInputError("instances must be a list", path="$.instances") from None

    def _parameters(self, raw: bytes) -> _Object:
        try:
            parameters = {} if raw == b"null" else _fields(raw)
        except msgspec.ValidationError:
            raise InvalidInputError("parameters is an object", path="$.parameters") from None
        for name in parameters:
            if name not in self._specs:
                known = ", ".join(self._specs)
                raise InvalidInputError(
                    f"api {self._name!r} has no parameter {name!r}; it has: {known}",
                    path=f"$.parameters.{name}",
                )
        return parameters

    def _named(self, raw: bytes) -> _Object | None:
        """An instance that says itself which parameter each value is for."""
        if not raw.startswith(b"{"):
            return None
        values = _fields(raw)
        if not values:  # for a single parameter it is the value
            return values if len(self._required) != 1 else None
        return values if values.keys() <= self._specs.keys() else None

    def _one(self, where: str, raw: bytes, parameters: _Object) -> bytes:
        named = self._named(raw)
        if named is not None:
            values = {name: self._value(where, named, name) for name in named}
        elif len(self._required) == 1:
            values = {self._required[0]: self._plain(self._required[0], raw)}
        else:
            raise InvalidInputError(
                f"api {self._name!r} takes {', '.join(self._required) or 'nothing'}: "
                "an instance must be an object with these",
                path=where,
            )
        return _object({**parameters, **values})

    def _value(self, where: str, named: _Object, name: str) -> bytes:
        if name not in named:
            raise InvalidInputError(f"{name!r} is missing", path=where)
        return self._plain(name, named[name])

    def _plain(self, name: str, raw: bytes) -> bytes:
        if name in self._binary and raw.startswith(b"{"):
            try:
                return msgspec.json.encode(_texts_of.decode(raw)["b64"])
            except (msgspec.DecodeError, KeyError):
                return raw  # the api's decoder says what is wrong with it
        return raw


def _takes_rows(spec: TypeSpec) -> bool:
    """Whether the first axis of a parameter is of any length: rows, then."""
    if spec.kind in _TABLES:
        return spec.shape is None or (bool(spec.shape) and not isinstance(spec.shape[0], int))
    return spec.kind == "dataframe" or (spec.kind == "json" and spec.json_schema.get("type") == "array")


def _fields(text: bytes) -> _Object:
    return {name: bytes(raw) for name, raw in _fields_of.decode(text).items()}


def _items(text: bytes) -> list[bytes]:
    return [bytes(raw) for raw in _items_of.decode(text)]


def _joined(items: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)


def _object(fields: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(
        b"%b:%b" % (msgspec.json.encode(name), value) for name, value in fields.items()
    )
