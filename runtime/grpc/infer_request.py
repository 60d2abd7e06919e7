"""A request for inference as a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError

from ...errors import InvalidInputError, MalformedInputError
from ..protocols.oip import binary
from ..protocols.oip.places import REGION, region_of
from ..protocols.tensor import Tensor
from ..service.options import nearest
from . import tensors, wire
from .messages import message

if TYPE_CHECKING:
    from ..protocols.oip.regions import Regions

ModelInferRequest = message("inference.ModelInferRequest")
_RAW_INPUTS = 7
"""Number of the field that holds the bytes of tensors."""
_LARGE_BYTES = 16 * 1024
"""From here on it is cheaper to take tensors out of a message than to let the parser copy them."""
_MICROSECONDS = 1e-6


class WantedOutput(NamedTuple):
    name: str
    best: int = 0
    """So many classes of the highest scores instead of the scores; 0: the tensor itself."""
    region: tuple[str, int, int] | None = None
    """Name, offset and size in bytes of the place in shared memory where it goes; None: in the reply."""


class InferRequest:
    """One message, read but for its tensors.

    Raises:
        MalformedInputError: it is no ModelInferRequest.
    """

    __slots__ = ("_message", "_raw", "id", "model_name", "model_version", "parameters")

    def __init__(self, data: bytes) -> None:
        cut: list[memoryview] = []
        if len(data) >= _LARGE_BYTES:
            data, cut = wire.cut_out(data, _RAW_INPUTS)
        try:
            self._message = read = ModelInferRequest.FromString(data)
        except DecodeError as error:
            raise MalformedInputError("the message is no inference.ModelInferRequest") from error
        self._raw: list[Any] = cut or read.raw_input_contents
        self.model_name: str = read.model_name
        self.model_version: str = read.model_version
        self.id: str = read.id
        self.parameters = values(read.parameters)

    @property
    def timeout_s(self) -> float | None:
        """Seconds that the caller gives in the body; None: it does not say.

        Raises:
            InvalidInputError: they are no number above 0.
        """
        given = self.parameters.get("timeout")
        if given is None or given == 0:
            return None
        if type(given) is not int or given < 0:
            raise InvalidInputError("timeout must be whole microseconds", path="$.parameters.timeout")
        return given * _MICROSECONDS

    def tensors(self, regions: Regions) -> list[Tensor]:
        """The inputs, in their order.

        Raises:
            RequestError: with the path of what is wrong.
        """
        raw = iter(self._raw)
        found = [self._tensor(at, given, raw, regions) for at, given in enumerate(self._message.inputs)]
        left = sum(1 for _ in raw)
        if left:
            raise InvalidInputError(f"{left} more than there are inputs", path="$.raw_input_contents")
        return found

    def _tensor(self, at: int, given: Any, raw: Iterator[Any], regions: Regions) -> Tensor:
        path = f"$.inputs[{at}]"
        shape, datatype = tensors.shape_of(given, path), tensors.datatype_of(given, path)
        parameters = values(given.parameters) if given.parameters else {}
        if REGION in parameters:
            region = region_of(parameters, f"{path}.parameters")
            array = binary.array_of(regions.read(*region), datatype, shape, path)
        elif self._raw:
            if given.HasField("contents"):
                raise InvalidInputError("contents and raw_input_contents exclude each other", path=path)
            data = next(raw, None)
            if data is None:
                raise InvalidInputError("there is none for this input in raw_input_contents", path=path)
            array = binary.array_of(data, datatype, shape, path)
        else:
            array = tensors.elements(given.contents, datatype, shape, path)
        return Tensor(given.name, datatype, shape, array)

    def outputs(self, known: tuple[str, ...]) -> list[WantedOutput]:
        """What is to be sent, in this order.

        Args:
            known: names of the outputs there are.

        Raises:
            InvalidInputError: an output that there is not, is there twice, or is wanted in an impossible way.
        """
        asked = self._message.outputs
        if not asked:
            return [WantedOutput(name) for name in known]
        seen: set[str] = set()
        return [_wanted(at, each, known, seen) for at, each in enumerate(asked)]


def values(parameters: Any) -> dict[str, Any]:
    """A map of parameters as plain values; an empty one is passed over."""
    found = {}
    for name, parameter in parameters.items():
        which = parameter.WhichOneof("parameter_choice")
        if which is not None:
            found[name] = getattr(parameter, which)
    return found


def _wanted(at: int, asked: Any, known: tuple[str, ...], seen: set[str]) -> WantedOutput:
    path, name = f"$.outputs[{at}]", asked.name
    if name not in known:
        shown = name[:100]
        raise InvalidInputError(
            f"unexpected output {shown!r}{nearest(shown, known)} (outputs: {', '.join(known)})",
            path=f"{path}.name",
        )
    if name in seen:
        raise InvalidInputError(f"output {name!r} is there twice", path=f"{path}.name")
    seen.add(name)
    parameters = values(asked.parameters)
    path += ".parameters"
    best = parameters.get("classification", 0)
    if type(best) is not int or best < 0:
        raise InvalidInputError(
            "classification must be how many classes are wanted", path=f"{path}.classification"
        )
    return WantedOutput(name, best, region_of(parameters, path) if REGION in parameters else None)
