"""Type hints → forms: what msgspec says of a lowered hint, kind by kind."""

from __future__ import annotations

import datetime
import decimal
import enum
import typing
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import inspect

from ...schema.array import ArrayKind
from ...schema.dataframe import DataFrameKind
from ...schema.file import BytesKind, FileKind
from ...schema.image import ImageKind
from ...schema.lower import kind_of
from ...schema.pydantic_model import PydanticKind
from .any_json import STRUCT_FILE, StructForm, ValueForm
from .classes import ClassForm, TupleForm
from .declared import class_name, declared, default_of, filler_of
from .draft import FileDraft, MessageDraft
from .enums import EnumForm
from .form import Form, Place, UnsupportedFormError
from .keys import BYTES, LISTS, bare, key_form
from .media import FileForm, ImageForm
from .model_schemas import ModelSchemas
from .notes import bounds, class_doc, default_note, lengths, one_of, text_note
from .scalars import (
    BoolForm,
    BytesForm,
    FloatForm,
    IntForm,
    TextForm,
    WrittenForm,
)
from .slot import Slot, add_slot, make_slot
from .tables import TableForm
from .tensors import TensorForm, tensor_message
from .times import DURATION_FILE, TIMESTAMP_FILE, DurationForm, TimestampForm
from .unions import UnionForm
from .wrappers import ListForm, NullableForm

_CLASSES = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)
_WRITTEN: dict[type, tuple[type, str]] = {
    inspect.DateTimeType: (datetime.datetime, "date and time, as 2024-01-31T12:00:00Z"),
    inspect.DateType: (datetime.date, "date, as 2024-01-31"),
    inspect.TimeType: (datetime.time, "time, as 12:00:00"),
    inspect.UUIDType: (uuid.UUID, "UUID"),
    inspect.DecimalType: (decimal.Decimal, "decimal number, as 12.50"),
}


class Hints:
    """Makes the forms of one file, and the messages that they need.

    Args:
        file: takes the messages.
    """

    def __init__(self, file: FileDraft) -> None:
        self._file = file
        self._models = ModelSchemas(file, self)

    def place(self, lowered: Any) -> Place:
        """The place of a lowered hint.

        Raises:
            UnsupportedFormError: it, or something inside it, cannot be in a message.
        """
        return self._place(inspect.type_info(type(None) if lowered is None else lowered))

    def answer(self, lowered: Any) -> Place:
        """The place of a result's hint; raises as `place` does."""
        self._models.answers = True
        try:
            return self.place(lowered)
        finally:
            self._models.answers = False

    def slot(
        self,
        draft: MessageDraft,
        key: str,
        place: Place,
        *,
        attribute: str = "",
        default: Any = msgspec.NODEFAULT,
        required: bool = True,
    ) -> Slot:
        """Adds a field for a parameter, or for a field of a class; wraps what a field alone cannot say."""
        empty = not required and bool(place.many) and not place.nullable and _is_empty(default)
        note = ""
        if not required and default is not msgspec.NODEFAULT and not empty:
            note = default_note(default)
        if place.many and (place.nullable or not (required or empty)):
            place = Place(ListForm(place._replace(nullable=False), self._file), nullable=place.nullable)
        if place.nullable and not required and default is not None:
            place = Place(self.element(place))
        return add_slot(draft, key, place, required=required or empty, attribute=attribute, note=note)

    def element(self, place: Place) -> Form:
        """The form of a place that has no field to itself: in a list, a map, a union, a tuple."""
        form = ListForm(place._replace(nullable=False), self._file) if place.many else place.form
        if not place.nullable or form.takes_none:
            return form
        return NullableForm(Place(form), self._file)

    def union(self, forms: Sequence[Form], *, nullable: bool) -> Place:
        """Any of several; numbers are one double, and equal ones are one."""
        if any(isinstance(form, FloatForm) for form in forms):
            forms = [form for form in forms if not isinstance(form, IntForm)]
        distinct = list({(form.word, form.code, form.type_name): form for form in forms}.values())
        if len(distinct) == 1:
            return Place(distinct[0], nullable=nullable)
        return Place(UnionForm(distinct, self._file), nullable=nullable)

    def value(self, note: str = "any JSON") -> ValueForm:
        self._file.imports.add(STRUCT_FILE)
        return ValueForm(note)

    def struct(self) -> StructForm:
        self._file.imports.add(STRUCT_FILE)
        return StructForm()

    def _place(self, info: Any) -> Place:  # noqa: PLR0911 - a line a kind
        if isinstance(info, inspect.Metadata):
            place = self._place(info.type)
            said = str((info.extra_json_schema or {}).get("description", ""))
            notes = [said, place.note or place.form.note]
            return place._replace(note="\n".join(filter(None, notes))) if said else place
        if isinstance(info, inspect.UnionType):
            return self._union(info)
        if isinstance(info, inspect.LiteralType):
            return self._literal(info)
        if isinstance(info, LISTS):
            return Place(self.element(self._place(info.item_type)), "list", note=lengths(info))
        if isinstance(info, inspect.DictType):
            return self._map(info)
        if isinstance(info, inspect.TupleType):
            return self._tuple(info)
        if isinstance(info, inspect.CustomType):
            return self._custom(info.cls)
        return Place(self._form(info))

    def _form(self, info: Any) -> Form:  # noqa: PLR0911 - as above
        if isinstance(info, inspect.AnyType):
            return self.value()
        if isinstance(info, inspect.NoneType):
            return self.value("null")
        if isinstance(info, inspect.BoolType):
            return BoolForm()
        if isinstance(info, inspect.IntType):
            return IntForm(bounds(info))
        if isinstance(info, inspect.FloatType):
            return FloatForm(bounds(info))
        if isinstance(info, inspect.StrType):
            return TextForm(text_note(info))
        if isinstance(info, BYTES):
            return BytesForm()
        if isinstance(info, inspect.EnumType):
            return self._enum(info.cls)
        if isinstance(info, _CLASSES):
            return self._class(info)
        return self._time(info)

    def _time(self, info: Any) -> Form:
        if isinstance(info, inspect.TimeDeltaType):
            self._file.imports.add(DURATION_FILE)
            return DurationForm()
        if isinstance(info, inspect.DateTimeType) and info.tz:
            self._file.imports.add(TIMESTAMP_FILE)
            return TimestampForm()
        if type(info) in _WRITTEN:
            return WrittenForm(*_WRITTEN[type(info)])
        name = type(info).__name__.removesuffix("Type")
        raise UnsupportedFormError(
            f"msgspec.{name} has no type in a message; use bytes for what is opaque, Any for any JSON"
        )

    def _union(self, info: Any) -> Place:
        parts = [part for part in info.types if not isinstance(part, inspect.NoneType)]
        nullable = len(parts) < len(info.types)
        if len(parts) == 1:
            return self._place(parts[0])._replace(nullable=nullable)
        places = [self._place(part) for part in parts]
        return self.union(
            [self.element(place._replace(nullable=False)) for place in places],
            nullable=nullable or any(place.nullable for place in places),
        )

    def _literal(self, info: Any) -> Place:
        values = [value for value in info.values if value is not None]
        nullable = len(values) < len(info.values)
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if not isinstance(value, str)]
        forms: list[Form] = []
        if texts:
            forms.append(TextForm(one_of(texts), empty_is_missing="" not in texts))
        if numbers:
            form = IntForm(one_of(numbers))
            form.empty_is_missing = 0 not in numbers
            forms.append(form)
        return self.union(forms, nullable=nullable) if forms else Place(self.value("null"))

    def _map(self, info: Any) -> Place:
        value = bare(info.value_type)
        if isinstance(value, inspect.AnyType) and isinstance(
            bare(info.key_type), (inspect.AnyType, inspect.StrType)
        ):
            return Place(self.struct(), note=lengths(info))
        return Place(
            self.element(self._place(info.value_type)), "map", key_form(info.key_type), note=lengths(info)
        )

    def _tuple(self, info: Any) -> Place:
        forms = [self.element(self._place(item)) for item in info.item_types]
        if not forms:
            return Place(self.value(), "list", note="empty")
        if len(forms) > 1 and all(_same(forms[0], form) for form in forms):
            return Place(forms[0], "list", note=f"{len(forms)} values")
        key = ("tuple", *((form.word, form.code, form.type_name) for form in forms))
        places = [Place(form) for form in forms]
        if key not in self._file.known:
            message = self._file.message("And".join(form.word for form in forms))
            for at, place in enumerate(places, start=1):
                add_slot(message, f"item_{at}", place)
            self._file.known[key] = message.full_name
        made = TupleForm(self._file.known[key], None)
        made.slots = [
            make_slot(place, f"item_{at}", f"item_{at}", "") for at, place in enumerate(places, start=1)
        ]
        made.fillers = [None] * len(places)
        return Place(made)

    def _enum(self, kind: type[enum.Enum]) -> EnumForm:
        if kind not in self._file.known:
            self._file.known[kind] = EnumForm.of(kind, self._file)
        return typing.cast(EnumForm, self._file.known[kind])

    def _class(self, info: Any) -> Form:
        if info.cls in self._file.known:
            return typing.cast(Form, self._file.known[info.cls])
        message = self._file.message(class_name(info.cls), class_doc(info.cls))
        kind = typing.get_origin(info.cls) or info.cls
        kind = None if isinstance(info, inspect.TypedDictType) else kind
        tag = getattr(info, "tag", None)
        made: ClassForm | TupleForm
        if isinstance(info, inspect.NamedTupleType) or getattr(info, "array_like", False):
            made = TupleForm(message.full_name, kind, () if tag is None else (tag,))
            made.fillers = [filler_of(field) for field in info.fields]
        else:
            made = ClassForm(message.full_name, kind, None if tag is None else (info.tag_field, tag))
        self._file.known[info.cls] = made
        for field in declared(info):
            try:
                place = self._place(field.type)
            except UnsupportedFormError as error:
                raise UnsupportedFormError(
                    f"field {field.name!r} of {class_name(info.cls)}: {error}"
                ) from error
            made.slots.append(
                self.slot(
                    message,
                    field.encode_name,
                    place,
                    attribute=field.name,
                    default=default_of(field),
                    required=field.required,
                )
            )
        return made

    def _custom(self, cls: Any) -> Place:
        kind = kind_of(cls)
        if isinstance(kind, ArrayKind):
            return Place(TensorForm(tensor_message(self._file), kind))
        if isinstance(kind, DataFrameKind):
            return Place(TableForm(self._file))
        if isinstance(kind, BytesKind):
            return Place(BytesForm())
        if isinstance(kind, FileKind):
            return Place(FileForm(self._file))
        if isinstance(kind, ImageKind):
            return Place(ImageForm(self._file))
        if isinstance(kind, PydanticKind):
            return self._models.place(kind.model)
        raise UnsupportedFormError(f"{getattr(cls, '__name__', cls)} has no type in a message")


def _same(one: Form, other: Form) -> bool:
    simple = (BoolForm, IntForm, FloatForm, TextForm, BytesForm)
    return one is other or (type(one) is type(other) and isinstance(one, simple))


def _is_empty(default: Any) -> bool:
    return isinstance(default, (list, tuple, set, frozenset, dict)) and not default
