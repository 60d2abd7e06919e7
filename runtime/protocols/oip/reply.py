"""The answer to a request for inference."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ....errors import InvalidInputError
from ...http.dialect import Written
from ...schema.encode import PIECE_BYTES, array_bytes
from ...schema.file import OCTETS
from ...schema.media import JSON
from ..datatypes import BF16, BYTES
from ..tensor import Tensor
from . import binary
from .asked_outputs import check_output
from .classification import classified
from .places import REGION, region_of

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .regions import Regions
    from .request import AskedOutput, InferRequest

HEADER_LENGTH = b"inference-header-content-length"
_encode = msgspec.json.encode


class Wanted(NamedTuple):
    """How one output is to be sent."""

    binary: bool = False
    classes: int = 0
    """The best so many classes instead of the scores; 0: the scores."""
    region: tuple[str, int, int] | None = None
    """Name, offset and size in bytes of a place in shared memory."""


class Reply:
    """The same for all requests with the same JSON. `of` makes it.

    Args:
        wanted: by name; empty: every output as `default` says.
        default: binary or JSON.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request_id: str,
        wanted: dict[str, Wanted],
        default: Wanted,
        regions: Regions,
    ) -> None:
        self._outputs = endpoint.outputs
        self._wanted = wanted
        self._default = default
        self._regions = regions
        self._plain = not wanted and not default.binary
        name, version = _encode(endpoint.name), _encode(endpoint.version)
        front = b'{"model_name":%b,"model_version":%b,' % (name, version)
        self._front = front + (b'"id":%b,"outputs":[' % _encode(request_id) if request_id else b'"outputs":[')

    @classmethod
    def of(cls, endpoint: Endpoint, asked: InferRequest, regions: Regions) -> Reply:
        """What a request says of its answer; raises InvalidInputError with the path."""
        parameters = asked.parameters or {}
        default = Wanted(_flag(parameters, "binary_data_output", False, "$.parameters"))
        known = [spec.name for spec in endpoint.outputs.specs]
        wanted: dict[str, Wanted] = {}
        for at, each in enumerate(asked.outputs or ()):
            path = f"$.outputs[{at}]"
            check_output(each.name, known, wanted, path)
            wanted[each.name] = _wanted(each, default.binary, path)
        return cls(endpoint, asked.id, wanted, default, regions)

    def write(self, value: Any) -> Written:
        """The answer for a result.

        Raises:
            InferenceError: it is not what its hint says.
            InvalidInputError: it has no form of the kind that was asked for.
        """
        tensors = self._outputs.tensors(value)
        if self._plain:
            if len(tensors) == 1:
                (tensor,) = tensors
                start = _start(tensor.name, tensor.datatype, tensor.shape)
                return Written(JSON, b'%b%b,"data":%b}]}' % (self._front, start, _data(tensor)))
            return Written(JSON, b"%b%b]}" % (self._front, b",".join([_in_json(each) for each in tensors])))
        heads: list[bytes] = []
        octets: list[bytes | memoryview] = []
        if self._wanted:
            by_name = {tensor.name: tensor for tensor in tensors}
            tensors = [by_name[name] for name in self._wanted]
        for tensor in tensors:
            wanted = self._wanted.get(tensor.name, self._default)
            if wanted.classes:
                tensor = classified(tensor, wanted.classes, self._outputs.labels)  # noqa: PLW2901 - in its place
            if wanted.region is not None:
                heads.append(self._shared(tensor, wanted.region))
            elif wanted.binary:
                data = binary.octets(tensor)
                octets.append(data)
                heads.append(b'%b,"parameters":{"binary_data_size":%d}}' % (_head(tensor), len(data)))
            else:
                heads.append(_in_json(tensor))
        document = b"%b%b]}" % (self._front, b",".join(heads))
        if not octets:
            return Written(JSON, document)
        length = ((HEADER_LENGTH, b"%d" % len(document)),)
        return Written(OCTETS, b"".join((document, *octets)), length)

    def _shared(self, tensor: Tensor, region: tuple[str, int, int]) -> bytes:
        """Writes it where the caller reads it. No parameters: clients in C++ take any for those of binary
        data behind the JSON."""
        name, offset, room = region
        self._regions.write(name, offset, room, binary.octets(tensor))
        return b"%b}" % _head(tensor)


def _in_json(tensor: Tensor) -> bytes:
    return b'%b,"data":%b}' % (_start(tensor.name, tensor.datatype, tensor.shape), _data(tensor))


def _head(tensor: Tensor) -> bytes:
    return _start(tensor.name, tensor.datatype, tensor.shape)


@lru_cache(maxsize=1024)
def _start(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    shown = ",".join(map(str, shape))
    return f'{{"name":{_encode(name).decode()},"datatype":"{datatype}","shape":[{shown}]'.encode()


def _data(tensor: Tensor) -> bytes:
    """The elements as flat JSON. NaN and infinity are written as Python and this protocol's servers do."""
    datatype, array = tensor.datatype, tensor.array
    if datatype == BYTES:
        try:
            return _encode([element.decode() for element in array.ravel().tolist()])
        except UnicodeDecodeError:
            raise _no_json(tensor, "bytes that are no UTF-8") from None
    if datatype in ("FP16", BF16):
        raise _no_json(tensor, f"{datatype}, which has no form in JSON")
    flat = array.ravel()
    data = _encode(flat.tolist()) if flat.nbytes <= PIECE_BYTES else array_bytes(flat)
    if b"null" in data:
        return json.dumps(flat.tolist(), separators=(",", ":")).encode()
    return data


def _no_json(tensor: Tensor, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"output {tensor.name!r} holds {what}: ask for it in binary (parameters: binary_data)"
    )


def _wanted(asked: AskedOutput, binary_data: bool, path: str) -> Wanted:
    parameters = asked.parameters or {}
    path += ".parameters"
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0 or ("classification" in parameters and not classes):
        raise InvalidInputError(
            "classification must be how many classes are wanted, 1 or more", path=f"{path}.classification"
        )
    if REGION in parameters:
        return Wanted(False, classes, region_of(parameters, path))
    return Wanted(_flag(parameters, "binary_data", binary_data, path), classes)


def _flag(parameters: dict[str, Any], name: str, default: bool, path: str) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} must be true or false", path=f"{path}.{name}")
    return value
