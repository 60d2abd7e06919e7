"""The hints of a function: resolved, also when postponed, each with an error of its own."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ServiceDefinitionError

MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class Hinted:
    """One parameter as the user wrote it."""

    name: str
    hint: Any
    default: Any = MISSING
    keyword_only: bool = False


def parameters(function: Callable[..., Any], where: str, namespace: Mapping[str, Any] | None) -> list[Hinted]:
    """Every parameter but `self`.

    Args:
        function: a function in a class body, or a plain one.
        where: `service.py:12 Iris.classify`, for errors.
        namespace: local names that postponed hints may use.

    Raises:
        ServiceDefinitionError: no hint, a hint that cannot be resolved, `*args`, `**kwargs`, positional-only.
    """
    plain = inspect.unwrap(function)
    found = []
    for position, (name, parameter) in enumerate(inspect.signature(plain).parameters.items()):
        if position == 0 and name == "self":  # also when the user wrote `self: Self`
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise ServiceDefinitionError(
                f"{where}: {stars}{name} cannot be described to callers; name each one, with a type hint"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ServiceDefinitionError(
                f"{where}: parameter {name!r} is positional only; requests name parameters, so remove the '/'"
            )
        if parameter.annotation is MISSING:
            raise ServiceDefinitionError(
                f"{where}: parameter {name!r} has no type hint; add one, as {name}: float or "
                f'{name}: Float32[np.ndarray, "n 4"]'
            )
        hint = _resolve(plain, parameter.annotation, f"{where}: parameter {name!r}", namespace)
        keyword_only = parameter.kind is parameter.KEYWORD_ONLY
        found.append(Hinted(name, hint, parameter.default, keyword_only))
    return found


def returned(function: Callable[..., Any], where: str, namespace: Mapping[str, Any] | None) -> Any:
    """The hint behind `->`; None for `-> None`.

    Raises:
        ServiceDefinitionError: there is none, or it cannot be resolved.
    """
    plain = inspect.unwrap(function)
    annotation = inspect.signature(plain).return_annotation
    if annotation is MISSING:
        raise ServiceDefinitionError(f"{where}: the result has no type hint; add one, as -> list[str]")
    return _resolve(plain, annotation, f"{where}: the result", namespace)


def _resolve(function: Any, annotation: Any, what: str, namespace: Mapping[str, Any] | None) -> Any:
    if annotation is None:
        return None

    def holder() -> None: ...

    holder.__annotations__ = {"hint": annotation}
    try:
        hint = typing.get_type_hints(
            holder, getattr(function, "__globals__", {}), dict(namespace or {}), include_extras=True
        )["hint"]
    except NameError as error:
        raise ServiceDefinitionError(
            f"{what} has the type hint {annotation!r}, but {error}; import it in the module "
            "(not only under TYPE_CHECKING)"
        ) from error
    except Exception as error:
        raise ServiceDefinitionError(
            f"{what} has the type hint {annotation!r}, which fails: {error}"
        ) from error
    return None if hint is type(None) else hint
