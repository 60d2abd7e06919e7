"""What the user says of inputs: `x:float32[n,4]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from keyword import iskeyword

from ...errors import UsageError
from ...runtime.manifest import TypeSpec

_FORM = re.compile(r"(?P<name>[^:\[\]]+):(?P<dtype>[A-Za-z]+\d*)(?:\[(?P<shape>[^\[\]]*)\])?")
DTYPES = (
    *(f"float{bits}" for bits in (16, 32, 64)),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "bool",
    "str",
)
_EXAMPLE = "--input x:float32[n,4]"


def parse_inputs(texts: Sequence[str]) -> dict[str, TypeSpec]:
    """Name to what it looks like, in the order given.

    Args:
        texts: `name:dtype[shape]`; the shape has a size or a name for each axis, the first for the rows.

    Raises:
        UsageError: says which one is wrong, and how it is written.
    """
    found: dict[str, TypeSpec] = {}
    for text in texts:
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"--input {text!r} is not name:dtype[shape]: write {_EXAMPLE}")
        name, dtype = match["name"].strip(), match["dtype"]
        if dtype not in DTYPES:
            raise UsageError(f"--input {text!r}: no dtype {dtype!r}; there are {', '.join(DTYPES)}")
        if name in found:
            raise UsageError(f"--input {name!r} is given twice")
        shape = None if match["shape"] is None else [_axis(text, axis) for axis in match["shape"].split(",")]
        if shape is not None and isinstance(shape[0], int):
            raise UsageError(
                f"--input {text!r}: the first axis is the rows of a batch, of any number: write {_EXAMPLE}"
            )
        found[name] = TypeSpec(kind="array", dtype=dtype, shape=shape)
    return found


def _axis(text: str, axis: str) -> int | str:
    axis = axis.strip()
    if axis.isdecimal() and int(axis) > 0:
        return int(axis)
    if axis.isidentifier():
        return axis
    raise UsageError(f"--input {text!r}: an axis is a size of 1 or more, or a name: write {_EXAMPLE}")


def parameter(name: str, taken: Sequence[str] = ()) -> str:
    """A name of a parameter for an input of any name: `input.1` becomes `input_1`, `X` becomes `x`."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "x"
    plain = plain.lower() if len(plain) == 1 else plain
    if plain[0].isdigit() or iskeyword(plain) or plain == "self":
        plain = f"x_{plain}"
    made, number = plain, 1
    while made in taken:
        number += 1
        made = f"{plain}_{number}"
    return made
