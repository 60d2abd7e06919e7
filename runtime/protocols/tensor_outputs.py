"""The result of a call → tensors."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import InferenceError
from ..schema.lower import UnsupportedHintError, lower
from ..schema.parameter import without_none
from .json_form import json_tensor
from .spec_form import output_form
from .tensor import Tensor, TensorSpec
from .tensor_form import TensorForm, form_of

if TYPE_CHECKING:
    from ..manifest import MethodSpec
    from ..service.api import ApiInfo

OUTPUT = "output"
"""Name of the only output."""


class TensorOutputs:
    """The outputs of one endpoint, compiled. `of_api` and `of_method` make it.

    Args:
        forms: by name.
        fields: output to the field of the result that it is; None: the result is the one output.
        title: whose result it is, for errors.
        labels: words for the positions of scores.
    """

    def __init__(
        self, forms: dict[str, TensorForm], fields: dict[str, str] | None, title: str, labels: tuple[str, ...]
    ) -> None:
        self.labels = labels
        self.specs = tuple(TensorSpec(name, form.datatype, form.shape) for name, form in forms.items())
        self.names = tuple(forms)
        self._title = title
        self._form = next(iter(forms.values()))
        self._fields = (
            None if fields is None else tuple((name, fields[name], form) for name, form in forms.items())
        )

    @classmethod
    def of_api(cls, info: ApiInfo, labels: tuple[str, ...] = ()) -> TensorOutputs:
        """The result of an api, or one item of its stream."""
        hint = info.output.hint
        fields = _fields(hint)
        if fields is not None:
            forms = {sent: form for sent, (_, form) in fields.items()}
            return cls(forms, {sent: own for sent, (own, _) in fields.items()}, info.output.title, labels)
        return cls({OUTPUT: form_of(hint)}, None, info.output.title, labels)

    @classmethod
    def of_method(cls, spec: MethodSpec, labels: tuple[str, ...] = ()) -> TensorOutputs:
        """The result of a runner's method."""
        return cls({OUTPUT: output_form(spec.output)}, None, "the method", labels)

    def tensors(self, result: Any) -> list[Tensor]:
        """One tensor for each output, in the order of `specs`.

        Raises:
            InferenceError: the result is not what its hint says, or cannot be a tensor.
        """
        try:
            if self._fields is None:
                if result is None:
                    return [json_tensor(OUTPUT, None)]
                return [self._form.tensor(OUTPUT, result)]
            return [
                form.tensor(name, _field(result, own))
                if _field(result, own) is not None
                else json_tensor(name, None)
                for name, own, form in self._fields
            ]
        except Exception as error:  # the user's objects may raise anything while they are read
            raise InferenceError(
                f"{self._title} returned a {type(result).__name__} that cannot be sent as tensors: {error}",
                remote_type=type(error).__name__,
            ) from error


def _field(result: Any, name: str) -> Any:
    return result[name] if isinstance(result, dict) else getattr(result, name)


def _fields(hint: Any) -> dict[str, tuple[str, TensorForm]] | None:
    """Output to (field, its form) of a class whose fields are all tensors; None for every other hint."""
    inner = without_none(hint)[0]
    names = _names(inner)
    if not names:
        return None
    hints = typing.get_type_hints(inner, include_extras=True)
    found = {}
    for own, sent in names.items():
        try:
            form = form_of(lower(hints[own]))
        except UnsupportedHintError:
            return None
        if not form.plain:
            return None
        found[sent] = (own, form)
    return found


def _names(hint: Any) -> dict[str, str]:
    """Field to the name it is sent under; empty when it is no such class."""
    if not isinstance(hint, type):
        return {}
    if issubclass(hint, msgspec.Struct):
        return {field.name: field.encode_name for field in msgspec.structs.fields(hint)}
    if dataclasses.is_dataclass(hint):
        return {field.name: field.name for field in dataclasses.fields(hint)}
    if typing.is_typeddict(hint) or (issubclass(hint, tuple) and hasattr(hint, "_fields")):
        return {name: name for name in hint.__annotations__}
    return {}
