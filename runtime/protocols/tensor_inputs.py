"""Tensors → the arguments of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ...errors import InvalidInputError
from ..schema.lower import dec_hook
from ..schema.wrong import WrongValueError, short
from ..service.options import nearest
from .spec_form import input_form
from .tensor import Tensor, TensorSpec
from .tensor_form import TensorForm, form_of

if TYPE_CHECKING:
    from ..manifest import MethodSpec
    from ..schema.parameter import Parameter
    from ..service.api import ApiInfo

Complete = Callable[[dict[str, Any]], dict[str, Any]]


class TensorInputs:
    """The inputs of one endpoint, compiled. `of_api` and `of_method` make it.

    Args:
        forms: by name.
        optional: names that may be left out.
        scalars: those that a parameter of the request may fill, by name.
        complete: puts defaults in and checks what must agree; raises InvalidInputError.
    """

    def __init__(
        self,
        forms: dict[str, TensorForm],
        optional: frozenset[str],
        scalars: dict[str, Parameter],
        complete: Complete,
    ) -> None:
        self._forms = forms
        self._readers = {name: form.value for name, form in forms.items()}
        self._scalars = scalars
        self._complete = complete
        self.specs = tuple(
            TensorSpec(name, form.datatype, form.shape, name in optional) for name, form in forms.items()
        )

    @classmethod
    def of_api(cls, info: ApiInfo) -> TensorInputs:
        """The parameters of an api, by their names."""
        found = info.inputs.parameters
        return cls(
            {name: form_of(each.plain) for name, each in found.items()},
            frozenset(name for name, each in found.items() if not each.required),
            {name: each for name, each in found.items() if each.scalar},
            info.inputs.completed,
        )

    @classmethod
    def of_method(cls, spec: MethodSpec) -> TensorInputs:
        """The rows of a runner's method; one input of any name where they are not known."""
        if not spec.inputs:
            return _Unknown()
        forms = {name: input_form(each) for name, each in spec.inputs.items()}

        def complete(values: dict[str, Any]) -> dict[str, Any]:
            for name in forms:
                if name not in values:
                    raise InvalidInputError(f"input {name!r} is missing", path="$.inputs")
            return {name: values[name] for name in forms}

        return cls(forms, frozenset(), {}, complete)

    def arguments(self, tensors: Sequence[Tensor], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call.

        Args:
            tensors: in the order of the request, which the paths of errors count.
            parameters: of the request; one with the name of a scalar input fills it, others are passed over.

        Raises:
            InvalidInputError: an input that is unknown, missing or there twice, of another datatype or shape,
                or out of bounds.
        """
        values: dict[str, Any] = {}
        for at, tensor in enumerate(tensors):
            name = tensor.name
            read = self._readers.get(name)
            if read is None:
                raise self._unknown(name, at)
            if name in values:
                raise InvalidInputError(f"input {name[:100]!r} is there twice", path=f"$.inputs[{at}].name")
            try:
                values[name] = read(tensor)
            except WrongValueError as error:
                message = f"input {name!r}: {error.message}"
                raise InvalidInputError(message, path=f"$.inputs[{at}]{error.at}") from error
        if parameters and self._scalars:
            self._fill(values, parameters)
        try:
            return self._complete(values)
        except InvalidInputError as error:
            if error.message.startswith("missing field"):
                name = error.path[2:]
                raise InvalidInputError(f"input {name!r} is missing", path="$.inputs") from error
            raise

    def of_array(self, name: str, datatype: str) -> Callable[[np.ndarray[Any, Any]], dict[str, Any]] | None:
        """The only input as an array → the arguments of a call, for requests that come again and again.

        Returns:
            Raises WrongValueError or InvalidInputError, in no particular words. None: ask `arguments`.
        """
        form = self._forms.get(name)
        value = None if form is None else form.of_array(datatype)
        if value is None:
            return None
        complete = self._complete
        return lambda array: complete({name: value(array)})

    def _unknown(self, name: str, at: int) -> InvalidInputError:
        shown = name[:100]
        known = ", ".join(self._readers) or "none"
        return InvalidInputError(
            f"unexpected input {shown!r}{nearest(shown, self._readers)} (inputs: {known})",
            path=f"$.inputs[{at}].name",
        )

    def _fill(self, values: dict[str, Any], parameters: Mapping[str, Any]) -> None:
        for name, value in parameters.items():
            scalar = self._scalars.get(name)
            if scalar is None:
                continue
            if name in values:
                raise InvalidInputError(
                    f"{name!r} is among the inputs and the parameters", path=f"$.parameters.{name}"
                )
            try:
                values[name] = msgspec.convert(value, scalar.plain, dec_hook=dec_hook)
            except msgspec.ValidationError as error:
                text = str(error).rpartition(" - at ")[0] or str(error)
                raise InvalidInputError(
                    f"parameter {name!r}: {text} ({short(value)})", path=f"$.parameters.{name}"
                ) from error


class _Unknown(TensorInputs):
    """Of a method whose inputs nobody has described: takes what comes, in its order."""

    def __init__(self) -> None:
        super().__init__({}, frozenset(), {}, dict)
        self.specs = (TensorSpec("x", "FP32", (-1,)),)

    def arguments(self, tensors: Sequence[Tensor], parameters: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        if not tensors:
            raise InvalidInputError("input 'x' is missing", path="$.inputs")
        return {f"x{at}": tensor.array for at, tensor in enumerate(tensors)}
