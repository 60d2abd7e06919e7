"""bytes, files and images: BYTES tensors whose elements are their contents."""

from __future__ import annotations

from typing import Any

from ...errors import MalformedInputError
from ..schema.file import File
from ..schema.image import encode as encode_image
from ..schema.kind import Kind
from ..schema.wrong import WrongValueError
from . import byte_strings
from .datatypes import BYTES
from .scalar_form import check_datatype, single
from .tensor import Tensor
from .tensor_form import TensorForm


class ContentForm(TensorForm):
    """One content, or a list of them. Images are sent as PNG, and taken in whatever format Pillow reads.

    Args:
        kind: of one.
    """

    def __init__(self, kind: Kind, *, many: bool = False) -> None:
        super().__init__(BYTES, (-1,) if many else (1,))
        self._kind = kind
        self._many = many

    def value(self, tensor: Tensor) -> Any:
        check_datatype(tensor, BYTES)
        if not self._many:
            return self._read(single(tensor).ravel()[0], 0)
        if len(tensor.shape) != 1:
            raise WrongValueError(f"expected one axis, got shape {list(tensor.shape)}", ".shape")
        return [self._read(content, at) for at, content in enumerate(tensor.array.tolist())]

    def _read(self, content: bytes, at: int) -> Any:
        try:
            return self._kind.from_raw(content, "")
        except MalformedInputError as error:
            raise WrongValueError(error.message, f".data[{at}]") from error

    def tensor(self, name: str, value: Any) -> Tensor:
        contents = [_content(each) for each in value] if self._many else [_content(value)]
        return Tensor(name, BYTES, (len(contents),), byte_strings.as_array(contents, (len(contents),)))


def _content(value: Any) -> bytes:
    if isinstance(value, File):
        return value.data
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if hasattr(value, "save") and hasattr(value, "mode"):
        return encode_image(value, "image/png")
    raise TypeError(f"expected bytes, a tiffin.File or an image, got a {type(value).__name__}")
