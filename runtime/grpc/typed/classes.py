"""Classes with fields: dataclasses, Structs, TypedDicts, NamedTuples, pydantic models, and plain tuples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from ...schema.pydantic_model import to_plain
from ...schema.wrong import WrongValueError
from .form import FAILURES, MessageForm, wrong
from .slot import ABSENT, Slot


class ClassForm(MessageForm):
    """A message for a class; its fields are added after it is made, because a class may contain itself.

    Args:
        full_name: of the message.
        kind: the class; None for a model that is known by its schema.
        tag: name and value of the field that tells a Struct from others, which the message does not have.
    """

    def __init__(self, full_name: str, kind: type | None, tag: tuple[str, Any] | None = None) -> None:
        self.type_name = full_name
        self.word = full_name.rpartition(".")[2]
        self.slots: list[Slot] = []
        self._kind = kind
        self._tag = tag

    def read(self, value: Any) -> Any:
        found: dict[str, Any] = {} if self._tag is None else {self._tag[0]: self._tag[1]}
        read_slots(self.slots, value, found)
        return found

    def fill(self, message: Any, value: Any) -> None:
        if hasattr(value, "__pydantic_serializer__"):
            value = to_plain(value)
        if isinstance(value, Mapping):
            fill_slots(self.slots, message, lambda slot: value.get(slot.key, ABSENT))
        else:
            fill_slots(self.slots, message, lambda slot: getattr(value, slot.attribute))

    def fits(self, value: object) -> bool:
        if self._kind is not None and isinstance(value, self._kind):
            return True
        return isinstance(value, Mapping) or hasattr(value, "__pydantic_serializer__")


@dataclasses.dataclass(frozen=True)
class Filler:
    """The default of a position that was left out in front of one that was not."""

    value: Callable[[], Any]


class TupleForm(MessageForm):
    """Values by position, in JSON a list: tuples, NamedTuples, array-like Structs.

    Args:
        full_name: of the message.
        kind: the class; None for plain tuples.
        head: what stands in front in JSON, the tag of a Struct.
    """

    def __init__(self, full_name: str, kind: type | None, head: Sequence[Any] = ()) -> None:
        self.type_name = full_name
        self.word = full_name.rpartition(".")[2]
        self.slots: list[Slot] = []
        self.fillers: list[Filler | None] = []
        """Of each position; None where there is no default."""
        self._kind = kind
        self._head = list(head)

    def read(self, value: Any) -> Any:
        found = list(self._head)
        waiting: list[Any] = []
        for at, (slot, filler) in enumerate(zip(self.slots, self.fillers, strict=True)):
            try:
                item = slot.read(value)
            except FAILURES as error:
                raise wrong(error, f"[{at + len(self._head)}]") from error
            if item is not ABSENT:
                found += [*waiting, item]
                waiting = []
            elif filler is None:
                break  # the schema says that the list is too short
            else:
                waiting.append(filler.value())
        return found

    def fill(self, message: Any, value: Any) -> None:
        if self._kind is not None and not isinstance(value, tuple):
            fill_slots(self.slots, message, lambda slot: getattr(value, slot.attribute))
            return
        if not isinstance(value, (tuple, list)) or len(value) != len(self.slots):
            raise TypeError(f"expected a tuple of {len(self.slots)} values")
        for at, (slot, item) in enumerate(zip(self.slots, value, strict=True)):
            try:
                slot.put(message, item)
            except FAILURES as error:  # noqa: PERF203 - says where
                raise wrong(error, f"[{at}]") from error

    def fits(self, value: object) -> bool:
        return isinstance(value, self._kind if self._kind is not None else (tuple, list))


def read_slots(slots: Sequence[Slot], message: Any, into: dict[str, Any]) -> None:
    """Adds what was sent, by its name in JSON; raises WrongValueError with the path inside."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        raise WrongValueError(
            f"unknown field number {unknown[0].field_number}; this server's messages are in its service.proto"
        )
    for slot in slots:
        try:
            value = slot.read(message)
        except FAILURES as error:
            raise wrong(error, f".{slot.key}") from error
        if value is not ABSENT:
            into[slot.key] = value


def fill_slots(slots: Sequence[Slot], message: Any, get: Callable[[Slot], Any]) -> None:
    """Writes the fields of a result; raises WrongValueError with the path inside."""
    for slot in slots:
        try:
            value = get(slot)
            if value is not ABSENT:
                slot.put(message, value)
            elif slot.required:
                raise TypeError("it is missing")
        except FAILURES as error:  # noqa: PERF203 - says where
            raise wrong(error, f".{slot.key}") from error
