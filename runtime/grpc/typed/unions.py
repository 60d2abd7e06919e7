"""Unions: a message with one field for each type, of which at most one is filled."""

from __future__ import annotations

from typing import Any

from .draft import FileDraft
from .form import Form, MessageForm, ScalarForm
from .names import snake

_GROUP = "kind"


class UnionForm(MessageForm):
    """`IntOrString { oneof kind { int64 int_value = 1; string string_value = 2; } }`; with none filled: null.

    Args:
        forms: of the types, in their order.
        file: where the message is, or is added.
    """

    takes_none = True

    def __init__(self, forms: list[Form], file: FileDraft) -> None:
        key = ("union", *((form.word, form.code, form.type_name, form.note) for form in forms))
        if key not in file.known:
            message = file.message("Or".join(form.word for form in forms))
            fields = []
            for form in forms:
                scalar = isinstance(form, ScalarForm)
                name = message.field_name(f"{snake(form.word)}_value" if scalar else snake(form.word))
                message.add(name, code=form.code, type_name=form.type_name, oneof=_GROUP, note=form.note)
                fields.append(name)
            file.known[key] = (message.full_name, fields)
        self.type_name, names = file.known[key]
        self.word = self.type_name.rpartition(".")[2]
        self._fields = list(zip(names, forms, strict=True))
        self._forms = dict(self._fields)

    def read(self, value: Any) -> Any:
        name = value.WhichOneof(_GROUP)
        return None if name is None else self._forms[name].read(getattr(value, name))

    def fill(self, message: Any, value: Any) -> None:
        if value is None:
            return
        for name, form in self._fields:
            if form.fits(value):
                if isinstance(form, MessageForm):
                    inner = getattr(message, name)
                    inner.SetInParent()
                    form.fill(inner, value)
                elif isinstance(form, ScalarForm):
                    setattr(message, name, form.write(value))
                return
        raise TypeError(
            f"a {type(value).__name__} is none of {', '.join(form.word for form in self._forms.values())}"
        )

    def fits(self, value: object) -> bool:
        return value is None or any(form.fits(value) for form in self._forms.values())
