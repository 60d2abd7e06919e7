"""What a type hint looks like as a tensor, and the way there and back."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from ..schema.array import ArrayKind
from ..schema.file import BytesKind, FileKind
from ..schema.image import ImageKind
from ..schema.kind import Marker
from ..schema.parameter import is_scalar, without_none
from .tensor import Tensor

SCALARS = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
"""What a plain scalar is sent as."""
_CONTENTS = (BytesKind, FileKind, ImageKind)


class TensorForm(ABC):
    """One leaf, or one field. `form_of` chooses.

    Args:
        datatype: what it is described as, and sent as where the value does not say more.
        shape: -1 for an axis of any size.
    """

    plain = True
    """False: a BYTES tensor that holds JSON, for what is no tensor by nature."""

    def __init__(self, datatype: str, shape: tuple[int, ...]) -> None:
        self.datatype = datatype
        self.shape = shape

    @abstractmethod
    def value(self, tensor: Tensor) -> Any:
        """The argument; raises WrongValueError for another datatype or shape, or a value out of bounds."""

    def of_array(self, datatype: str) -> Callable[[np.ndarray[Any, Any]], Any] | None:  # noqa: ARG002
        """Array of this datatype → argument, raises WrongValueError; None where `value` must look."""
        return None

    @abstractmethod
    def tensor(self, name: str, value: Any) -> Tensor:
        """The result under a name; raises TypeError or ValueError when it has no such form."""


def form_of(lowered: Any) -> TensorForm:  # noqa: PLR0911 - one for each form
    """The form of a hint.

    Args:
        lowered: by `schema.lower.lower`.
    """
    from .array_form import ArrayForm
    from .content_form import ContentForm
    from .json_form import JsonForm
    from .list_form import ListForm
    from .scalar_form import ScalarForm, TextForm

    inner = without_none(lowered)[0]
    if isinstance(inner, Marker):
        if isinstance(inner.kind, ArrayKind):
            return ArrayForm(inner.kind)
        if isinstance(inner.kind, _CONTENTS):
            return ContentForm(inner.kind)
        return JsonForm(lowered)
    if without_bounds(inner) in SCALARS:
        return ScalarForm(without_bounds(inner), lowered)
    if is_scalar(inner):
        return TextForm(lowered)
    depth, element = _lists(inner)
    if depth and without_bounds(element) in SCALARS:
        return ListForm(without_bounds(element), depth, lowered)
    if depth == 1 and isinstance(element, Marker) and isinstance(element.kind, _CONTENTS):
        return ContentForm(element.kind, many=True)
    return JsonForm(lowered)


def without_bounds(hint: Any) -> Any:
    """`Annotated[float, Meta(ge=0)]` → `float`."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _lists(hint: Any) -> tuple[int, Any]:
    """How many lists lie in each other, and what is inside."""
    depth = 0
    hint = without_bounds(hint)
    while typing.get_origin(hint) is list:
        depth += 1
        hint = typing.get_args(hint)[0]
        if without_bounds(hint) is not hint and typing.get_origin(without_bounds(hint)) is list:
            hint = without_bounds(hint)
    return depth, hint
