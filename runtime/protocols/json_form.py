"""Everything that is no tensor by nature: a BYTES tensor of one element, which is its JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from ...errors import InvalidInputError
from ..schema.encode import json_bytes
from ..schema.explain import explain
from ..schema.fields import Fields
from ..schema.lower import dec_hook
from ..schema.wrong import WrongValueError
from . import byte_strings
from .datatypes import BYTES
from .scalar_form import check_datatype, single
from .tensor import Tensor
from .tensor_form import TensorForm


class JsonForm(TensorForm):
    """Objects, tables, lists of objects, classes with fields.

    Args:
        lowered: the hint.
    """

    plain = False

    def __init__(self, lowered: Any) -> None:
        super().__init__(BYTES, (1,))
        self._lowered = lowered
        self._decoder = msgspec.json.Decoder(lowered, dec_hook=dec_hook)
        self._fields = Fields.of(lowered)

    def value(self, tensor: Tensor) -> Any:
        check_datatype(tensor, BYTES)
        text = single(tensor).ravel()[0]
        try:
            value = self._decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refused = explain(error, (), hint=self._lowered)
            raise WrongValueError(refused.message, f".data[0]{refused.path[1:]}") from error
        if self._fields is not None:
            try:
                self._fields.settle(value, msgspec.json.decode(text), "")
            except InvalidInputError as error:
                raise WrongValueError(error.message, f".data[0]{error.path}") from error
        return value

    def tensor(self, name: str, value: Any) -> Tensor:
        return json_tensor(name, value)


def json_tensor(name: str, value: Any) -> Tensor:
    """The JSON of any value; raises TypeError or ValueError when it has none."""
    return Tensor(name, BYTES, (1,), byte_strings.as_array([json_bytes(value)], (1,)))
