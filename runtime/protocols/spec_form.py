"""The form of what a manifest describes, where there is no type hint: the methods of runners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..schema.array import ArrayKind
from ..schema.dims import Dims
from ..schema.dtypes import Dtypes, family
from .array_form import ArrayForm
from .datatypes import BYTES, NAMES
from .free_form import FreeForm
from .json_form import JsonForm
from .scalar_form import ScalarForm
from .tensor_form import TensorForm

if TYPE_CHECKING:
    from ..manifest import TypeSpec

_SCALARS: dict[str, tuple[type, Any]] = {"boolean": (bool, bool), "text": (str, str)}


def input_form(spec: TypeSpec) -> TensorForm:
    """How a tensor becomes an argument of a runner's method: numpy, as workers take it."""
    if spec.kind in ("array", "tensor"):
        names = tuple(spec.dtypes) or ((spec.dtype,) if spec.dtype else ())
        known = names and all(name in NAMES and NAMES[name] != BYTES for name in names)
        dtypes = family(names, " or ".join(names)) if known else Dtypes(None, "any")
        dims = None if spec.shape is None else Dims.parse(" ".join(map(str, spec.shape)))
        return ArrayForm(ArrayKind(dtypes, dims))
    if spec.kind in _SCALARS:
        return ScalarForm(*_SCALARS[spec.kind])
    if spec.kind == "number":
        number = int if spec.dtype.startswith("int") else float
        return ScalarForm(number, number)
    return JsonForm(Any)


def output_form(spec: TypeSpec | None) -> TensorForm:
    """How a method's result is described; what it is in the end decides how it is sent."""
    if spec is None or spec.kind not in ("array", "tensor"):
        return FreeForm(BYTES, (1,)) if spec is not None else FreeForm("FP32", (-1,))
    shape = [-1] if spec.shape is None else spec.shape
    datatype = NAMES.get(spec.dtype or next(iter(spec.dtypes), ""), "FP32")
    return FreeForm(datatype, tuple(axis if isinstance(axis, int) else -1 for axis in shape))
