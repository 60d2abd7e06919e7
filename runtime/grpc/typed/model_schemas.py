"""pydantic models: their own JSON Schema says what messages they need; what it leaves open is any JSON.

The model itself checks what comes in, as it does with JSON.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import msgspec

from ...schema.encode import json_bytes
from .classes import ClassForm
from .draft import FileDraft
from .form import Form, Place, UnsupportedFormError
from .names import type_name
from .scalars import TEXT_KEY, BoolForm, FloatForm, IntForm, TextForm

if TYPE_CHECKING:
    from .hints import Hints

_WORDS = (
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
)


class ModelSchemas:
    """Makes the forms of models.

    Args:
        file: takes the messages.
        hints: makes all that is not special to schemas.
    """

    def __init__(self, file: FileDraft, hints: Hints) -> None:
        self._file = file
        self._hints = hints
        self.answers = False
        """Whether what is made now is written, and not read: computed fields are then there too."""

    def place(self, model: Any) -> Place:
        try:
            schema = self._schema(model)
        except Exception as error:  # models have hooks of the user's
            raise UnsupportedFormError(f"{model.__name__} gives no JSON Schema: {error}") from error
        definitions = schema.pop("$defs", {})
        if "$ref" not in schema and "properties" not in schema:
            return Place(self._hints.value(schema.get("description", "") or "any JSON"), nullable=False)
        return self._place(schema, definitions)

    def _schema(self, model: Any) -> dict[str, Any]:
        schema: dict[str, Any] = model.model_json_schema()
        if self.answers:
            written: dict[str, Any] = model.model_json_schema(mode="serialization")
            if _fields(written) != _fields(schema):
                return written
        return schema

    def _place(self, schema: dict[str, Any], definitions: dict[str, Any]) -> Place:
        if "$ref" in schema:
            return self._place(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._union(schema[word], definitions)
        if "enum" in schema or "const" in schema:
            return Place(self._choice(schema.get("enum", [schema.get("const")])))
        kind = schema.get("type")
        if kind == "array" and isinstance(schema.get("items"), dict):
            return Place(self._hints.element(self._place(schema["items"], definitions)), "list")
        if kind == "object":
            return self._object(schema, definitions)
        scalar = _scalar(kind, _note(schema))
        return Place(scalar if scalar is not None else self._hints.value())

    def _object(self, schema: dict[str, Any], definitions: dict[str, Any]) -> Place:
        if "properties" in schema:
            return Place(self._class(schema, definitions))
        values = schema.get("additionalProperties")
        if isinstance(values, dict) and values:
            return Place(self._hints.element(self._place(values, definitions)), "map", TEXT_KEY)
        return Place(self._hints.struct())

    def _class(self, schema: dict[str, Any], definitions: dict[str, Any]) -> Form:
        key = ("schema", json_bytes(schema))
        if key in self._file.known:
            return typing.cast(Form, self._file.known[key])
        message = self._file.message(type_name(schema.get("title", "Model")), schema.get("description", ""))
        made = self._file.known[key] = ClassForm(message.full_name, None)
        required = schema.get("required", ())
        for name, entry in schema["properties"].items():
            place = self._place(entry, definitions)
            said = entry.get("description", "")
            if said:
                place = place._replace(note="\n".join(filter(None, [said, place.note or place.form.note])))
            default = entry.get("default", msgspec.NODEFAULT)
            slot = self._hints.slot(message, name, place, default=default, required=name in required)
            slot.required = False  # the model has written what it wants to say
            made.slots.append(slot)
        return made

    def _union(self, parts: list[dict[str, Any]], definitions: dict[str, Any]) -> Place:
        others = [part for part in parts if part.get("type") != "null"]
        nullable = len(others) < len(parts)
        places = [self._place(part, definitions) for part in others]
        if len(places) == 1:
            return places[0]._replace(nullable=nullable)
        forms = [self._hints.element(place._replace(nullable=False)) for place in places]
        if sum(not isinstance(form, (BoolForm, IntForm, FloatForm, TextForm)) for form in forms) > 1:
            return Place(self._hints.value())  # JSON alone does not tell them apart
        return self._hints.union(forms, nullable=nullable)

    def _choice(self, values: list[Any]) -> Form:
        note = "one of " + ", ".join(map(repr, values))
        if all(isinstance(value, str) for value in values):
            return TextForm(note, empty_is_missing="" not in values)
        if all(type(value) is int for value in values):
            return IntForm(note)
        return self._hints.value(note)


def _fields(schema: dict[str, Any]) -> list[list[str]]:
    """Names of the fields of a model and of those inside it."""
    inner = schema.get("$defs", {}).values()
    return [sorted(each.get("properties", ())) for each in (schema, *inner)]


def _scalar(kind: Any, note: str) -> Form | None:
    if kind == "string":
        return TextForm(note)
    if kind == "integer":
        return IntForm(note)
    if kind == "number":
        return FloatForm(note)
    return BoolForm() if kind == "boolean" else None


def _note(schema: dict[str, Any]) -> str:
    return ", ".join(f"{word} {schema[word]}" for word in _WORDS if word in schema)
