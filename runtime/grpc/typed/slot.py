"""Fields of a message: one value, a list or a map, under a name."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from .draft import MessageDraft
from .form import FAILURES, Form, KeyForm, MessageForm, Place, ScalarForm, items, pairs, wrong
from .names import field_name

ABSENT: Any = object()
"""What is not in the message: the schema puts the default in, or says that it is missing."""


class SlotNames(NamedTuple):
    """What a field is called."""

    field: str
    """In the message."""
    key: str
    """In JSON, and in errors."""
    attribute: str
    """On objects of the user's."""


class Slot(ABC):
    """One field.

    Args:
        names: what it is called.
        unsent: what it means that it was not sent: None, or ABSENT.
        skips_none: None is said by leaving the field out.
    """

    required = True
    """Whether every object has it: the user's code has no default."""

    def __init__(self, names: SlotNames, unsent: Any = ABSENT, *, skips_none: bool = False) -> None:
        self.field, self.key, self.attribute = names
        self.unsent = unsent
        self.skips_none = skips_none

    @abstractmethod
    def read(self, message: Any) -> Any:
        """The plain value, or `unsent`; raises WrongValueError."""

    @abstractmethod
    def put(self, message: Any, value: Any) -> None:
        """Writes a result; None leaves the field out where that means None."""


class Single(Slot):
    """One number, text, bytes or enum.

    Args:
        explicit: `optional` stands in front, so that it is known whether it was sent.
    """

    def __init__(
        self, form: ScalarForm, names: SlotNames, unsent: Any, *, explicit: bool, skips_none: bool
    ) -> None:
        super().__init__(names, unsent, skips_none=skips_none)
        self._read, self._write = form.read, form.write
        self._explicit = explicit
        self._empty_is_missing = form.empty_is_missing

    def read(self, message: Any) -> Any:
        if self._explicit and not message.HasField(self.field):
            return self.unsent
        value = getattr(message, self.field)
        if self._empty_is_missing and not self._explicit and not value:
            return ABSENT
        return self._read(value)

    def put(self, message: Any, value: Any) -> None:
        if value is not None or not self.skips_none:
            setattr(message, self.field, self._write(value))


class Inner(Slot):
    """One message."""

    def __init__(self, form: MessageForm, names: SlotNames, unsent: Any, *, skips_none: bool) -> None:
        super().__init__(names, unsent, skips_none=skips_none)
        self.form = form

    def read(self, message: Any) -> Any:
        if not message.HasField(self.field):
            return self.unsent
        return self.form.read(getattr(message, self.field))

    def put(self, message: Any, value: Any) -> None:
        if value is None and self.skips_none:
            return
        inner = getattr(message, self.field)
        inner.SetInParent()  # also when it stays empty
        self.form.fill(inner, value)


class Many(Slot):
    """A list; one that was not sent is empty."""

    def __init__(self, form: Form, names: SlotNames) -> None:
        super().__init__(names)
        self._form = form

    def read(self, message: Any) -> Any:
        read = self._form.read
        if isinstance(self._form, ScalarForm) and self._form.reads_as_it_is:
            return list(getattr(message, self.field))
        found: list[Any] = []
        try:
            for value in getattr(message, self.field):
                found.append(read(value))  # noqa: PERF401 - its length says where it went wrong
        except FAILURES as error:
            raise wrong(error, f"[{len(found)}]") from error
        return found

    def put(self, message: Any, value: Any) -> None:
        form, target = self._form, getattr(message, self.field)
        at = 0
        try:
            if isinstance(form, MessageForm):
                for at, item in enumerate(items(value)):  # noqa: B007 - says where
                    form.fill(target.add(), item)
            elif isinstance(form, ScalarForm):
                for at, item in enumerate(items(value)):  # noqa: B007 - says where
                    target.append(form.write(item))
        except FAILURES as error:
            raise wrong(error, f"[{at}]") from error


class Mapped(Slot):
    """A map; one that was not sent is empty."""

    def __init__(self, form: Form, key_form: KeyForm, names: SlotNames) -> None:
        super().__init__(names)
        self._form = form
        self._key = key_form

    def read(self, message: Any) -> Any:
        read, key_of = self._form.read, self._key.read
        found = {}
        for key, value in getattr(message, self.field).items():
            try:
                found[key_of(key)] = read(value)
            except FAILURES as error:  # noqa: PERF203 - says where
                raise wrong(error, f".{key}") from error
        return found

    def put(self, message: Any, value: Any) -> None:
        form, target = self._form, getattr(message, self.field)
        for key, item in pairs(value):
            try:
                name = self._key.write(key)
                if isinstance(form, MessageForm):
                    form.fill(target[name], item)
                elif isinstance(form, ScalarForm):
                    target[name] = form.write(item)
            except FAILURES as error:  # noqa: PERF203 - says where
                raise wrong(error, f".{key}") from error


def add_slot(
    draft: MessageDraft,
    key: str,
    place: Place,
    *,
    required: bool = True,
    attribute: str = "",
    note: str = "",
) -> Slot:
    """Adds the field to the message, and gives what reads and writes it.

    Args:
        key: its name in JSON.
        place: of a list or a map only when it is required and not nullable (`hints` wraps the others).
        required: false when the user's code has a default; where None is possible, that is None.
        attribute: its name on objects of the user's, where that is another.
        note: in front of the place's own.
    """
    name = draft.field_name(field_name(key))
    form = place.form
    notes = [f"`{key}` in JSON." if name != key else "", note, place.note or form.note]
    comment = "\n".join(filter(None, notes))
    if place.many == "map" and place.key is not None:
        draft.add_map(name, place.key.code, form.code, form.type_name, comment)
    else:
        draft.add(
            name,
            code=form.code,
            type_name=form.type_name,
            repeated=place.many == "list",
            optional=not place.many and (place.nullable or not required),
            note=comment,
        )
    slot = make_slot(place, name, key, attribute or key, required=required)
    slot.required = required
    return slot


def make_slot(place: Place, name: str, key: str, attribute: str, *, required: bool = True) -> Slot:
    """What reads and writes a field that the message has; for the arguments see `add_slot`."""
    form, names = place.form, SlotNames(name, key, attribute)
    if place.many == "map" and place.key is not None:
        return Mapped(form, place.key, names)
    if place.many:
        return Many(form, names)
    unsent = None if place.nullable and required else ABSENT
    skips_none = place.nullable and not form.takes_none
    if isinstance(form, ScalarForm):
        explicit = place.nullable or not required
        return Single(form, names, unsent, explicit=explicit, skips_none=skips_none)
    return Inner(typing.cast(MessageForm, form), names, unsent, skips_none=skips_none)
