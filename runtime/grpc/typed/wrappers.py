"""Messages for what a field alone cannot hold: lists in lists, a list that may be absent, null in a list."""

from __future__ import annotations

from typing import Any

from .draft import FileDraft
from .form import MessageForm, Place, items, pairs
from .slot import ABSENT, Slot, add_slot, make_slot


class ListForm(MessageForm):
    """`DoubleList { repeated double values = 1; }`, and the same for maps.

    Args:
        place: a list or a map.
        file: where the message is, or is added.
    """

    def __init__(self, place: Place, file: FileDraft) -> None:
        key = place.key.word if place.key is not None and place.key.word != "String" else ""
        wanted = f"{key}{place.form.word}{'Map' if place.many == 'map' else 'List'}"
        self.type_name = _message(wanted, "values", place._replace(note=" "), file)
        self.word = self.type_name.rpartition(".")[2]
        self.note = place.note or place.form.note
        self._slot = make_slot(place, "values", "values", "values")
        self._is_map = place.many == "map"

    def read(self, value: Any) -> Any:
        return self._slot.read(value)

    def fill(self, message: Any, value: Any) -> None:
        self._slot.put(message, value)

    def fits(self, value: object) -> bool:
        try:
            if self._is_map:
                pairs(value)
            else:
                items(value)
        except TypeError:
            return False
        return True


class NullableForm(MessageForm):
    """`OptionalDouble { optional double value = 1; }`: null when the value is left out.

    Args:
        place: one value.
        file: where the message is, or is added.
    """

    takes_none = True

    def __init__(self, place: Place, file: FileDraft) -> None:
        place = place._replace(nullable=True)
        self.type_name = _message(f"Optional{place.form.word}", "value", place._replace(note=" "), file)
        self.word = self.type_name.rpartition(".")[2]
        self.note = "\n".join(filter(None, [place.note or place.form.note, "without a value: null"]))
        self._form = place.form
        self._slot: Slot = make_slot(place, "value", "value", "value")

    def read(self, value: Any) -> Any:
        found = self._slot.read(value)
        return None if found is ABSENT else found

    def fill(self, message: Any, value: Any) -> None:
        self._slot.put(message, value)

    def fits(self, value: object) -> bool:
        return value is None or self._form.fits(value)


def _message(wanted: str, field: str, place: Place, file: FileDraft) -> str:
    """The full name of the wrapper; made once for each type of values."""
    key = ("wrapper", wanted, place.key and place.key.code, place.form.code, place.form.type_name)
    if key not in file.known:
        message = file.message(wanted)
        file.known[key] = message.full_name
        add_slot(message, field, place)
    return str(file.known[key])
