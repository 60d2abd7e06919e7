"""The checks of what says how a batch is weighed, padded and filled up: `@tiffin.batch` and saved models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from ...errors import ServiceDefinitionError
from ..batching.ragged import LENGTHS
from ..manifest import Number, PaddingSpec
from .options import MAX_ROWS, nearest, whole

LENGTH = "length"
POW2 = "pow2"
MAX_COST = 10**12
MAX_AXIS = 31
_TEXTS = frozenset({"list[str]", "list[bytes]", "List[str]", "List[bytes]", "typing.List[str]"})
"""Hints of rows that no number fills up."""


def check_cost(where: str, cost: object, max_cost: object) -> None:
    """`cost` is None, `length` or a function, and comes with `max_cost`.

    Raises:
        ServiceDefinitionError: says which and how to mend it.
    """
    if cost is None:
        if max_cost is not None:
            raise ServiceDefinitionError(
                f"{where}: max_cost={max_cost!r} limits what cost= counts; add cost={LENGTH!r} or a "
                "function, or limit rows with max_size="
            )
        return
    if isinstance(cost, str):
        if cost != LENGTH:
            raise ServiceDefinitionError(
                f"{where}: cost={cost!r} is not known; use {LENGTH!r}, or a function of the rows: "
                "cost=lambda texts: [len(text) for text in texts]"
            )
    elif not callable(cost):
        raise ServiceDefinitionError(
            f"{where}: cost={cost!r} is no function; use {LENGTH!r}, or a function of the rows: "
            "cost=lambda texts: [len(text) for text in texts]"
        )
    elif inspect.iscoroutinefunction(cost):
        raise ServiceDefinitionError(f"{where}: cost= is async; it is asked on every call: write a plain def")
    if max_cost is None:
        raise ServiceDefinitionError(
            f"{where}: cost= needs max_cost=, the most that one batch may weigh: max_cost=8192"
        )
    whole(where, "max_cost", max_cost, 1, MAX_COST)


def padding(where: str, pad: object, buckets: object, axis: object, unpad: object) -> PaddingSpec | None:
    """None when nothing is padded; `arguments` and `lengths` are the method's and filled in later.

    Args:
        pad: a number, or argument to number.
        buckets: increasing lengths, `pow2`, or None, which means `pow2`.
        axis: 1 or more; None means 1.
        unpad: True, a key, or several.

    Raises:
        ServiceDefinitionError: says which and how to mend it.
    """
    if pad is None:
        for option, value in (("buckets", buckets), ("axis", axis), ("unpad", unpad or None)):
            if value is not None:
                raise ServiceDefinitionError(
                    f"{where}: {option}={value!r} needs pad=, the number that fills up short rows: pad=0"
                )
        return None
    value, values = _fill(where, pad)
    return PaddingSpec(
        value=value,
        values=values,
        axis=1 if axis is None else whole(where, "axis", axis, 1, MAX_AXIS),
        buckets=[] if buckets is None or buckets == POW2 else increasing(where, "buckets", buckets),
        unpad=_unpad(where, unpad),
    )


def increasing(where: str, option: str, given: object) -> list[int]:
    """Whole numbers of 1 or more, each above the one before.

    Raises:
        ServiceDefinitionError: it is not that.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        also = f", or {POW2!r}" if option == "buckets" else ""
        raise ServiceDefinitionError(f"{where}: {option}={given!r}: give whole numbers, (16, 32, 64){also}")
    numbers = [whole(where, option, number, 1, MAX_ROWS) for number in given]
    if not numbers or any(low >= high for low, high in pairwise(numbers)):
        raise ServiceDefinitionError(f"{where}: {option}={given!r} must increase: (16, 32, 64)")
    return numbers


def fit_arguments(where: str, spec: PaddingSpec, function: Callable[..., Any]) -> PaddingSpec:
    """The same with the names of the method's parameters.

    Raises:
        ServiceDefinitionError: it names a parameter that there is not, or one of text.
    """
    parameters = list(inspect.signature(function).parameters.values())[1:]
    by_place = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    wants = [p for p in parameters if p.name == LENGTHS]
    if wants and wants[0] in by_place:
        if by_place[-1] is not wants[0] or wants[0].kind is wants[0].POSITIONAL_ONLY:
            raise ServiceDefinitionError(
                f"{where}: lengths is filled in by name; put it last: (self, tokens, *, lengths)"
            )
        by_place.remove(wants[0])
    texts = [p.name for p in by_place if str(p.annotation) in _TEXTS and p.name in (spec.values or {p.name})]
    if texts and (spec.values or len(texts) == len(by_place)):
        raise ServiceDefinitionError(
            f"{where}: pad= fills up rows of numbers and {texts[0]} is text; turn it into numbers before "
            "the call (token ids), or leave pad= out"
        )
    names = [p.name for p in by_place]
    check_names(where, spec, names)
    return PaddingSpec(
        value=spec.value,
        values=spec.values,
        arguments=names,
        axis=spec.axis,
        buckets=spec.buckets,
        lengths=bool(wants),
        unpad=spec.unpad,
    )


def check_names(where: str, spec: PaddingSpec, names: list[str]) -> None:
    """Raises ServiceDefinitionError when `pad` names a parameter that is not among these."""
    for name in spec.values:
        if name not in names:
            raise ServiceDefinitionError(
                f"{where}: pad= names {name!r}{nearest(name, names)} (rows come in as {', '.join(names)})"
            )


def check_cost_takes(where: str, cost: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Raises ServiceDefinitionError when the function cannot take the rows that the method takes."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    rows = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    needed = sum(p.default is p.empty and p.name != LENGTHS for p in rows)
    try:
        signature = inspect.signature(cost)
    except (TypeError, ValueError):
        return  # written in C without a signature: only calling it can tell
    try:
        signature.bind(*range(needed))
    except TypeError as error:
        raise ServiceDefinitionError(
            f"{where}: cost= is called with the rows, as the method is, and takes {signature}: {error}"
        ) from None


def _fill(where: str, pad: object) -> tuple[Number | None, dict[str, Number]]:
    if _is_number(pad):
        return pad, {}  # type: ignore[return-value]
    if not isinstance(pad, Mapping) or not pad:
        raise ServiceDefinitionError(
            f"{where}: pad={pad!r} must be the number that fills up short rows, pad=0, "
            "or one for each parameter: pad={'tokens': 0, 'mask': False}"
        )
    for name, value in pad.items():
        if not isinstance(name, str) or not _is_number(value):
            raise ServiceDefinitionError(
                f"{where}: pad={{{name!r}: {value!r}}} must be the name of a parameter and a number"
            )
    return None, dict(pad)


def _is_number(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _unpad(where: str, unpad: object) -> bool | list[str | int]:
    if unpad is None:
        return False
    if isinstance(unpad, bool):
        return unpad
    keys = (
        [unpad] if isinstance(unpad, (str, int)) else list(unpad) if isinstance(unpad, (list, tuple)) else []
    )
    if not keys or not all(isinstance(key, (str, int)) and not isinstance(key, bool) for key in keys):
        raise ServiceDefinitionError(
            f"{where}: unpad={unpad!r} says what of the result is as long as the padded rows: "
            "True for all of it, or keys, fields or positions: unpad=('logits',)"
        )
    return keys
