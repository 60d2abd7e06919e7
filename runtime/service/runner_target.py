"""What a runner runs, a saved model or a class: read and checked where it is declared."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from ...errors import InvalidTagError, ServiceDefinitionError
from ..tag import Tag
from .methods import RESERVED, public_methods
from .options import nearest, refuse_unknown
from .runner_options import NAMES
from .where import line_of


def shown(target: object) -> str:
    return target.__qualname__ if isinstance(target, type) else repr(target)


def resolve(where: str, target: object) -> tuple[Tag | None, type | None]:
    if isinstance(target, str):
        try:
            return Tag.parse(target), None
        except InvalidTagError as error:
            raise ServiceDefinitionError(
                f"{where}: {error}; name a saved model such as 'iris:latest'"
            ) from error
    if not isinstance(target, type):
        raise ServiceDefinitionError(
            f"{where}: a {type(target).__name__} is no target; "
            "give a model's tag such as 'iris:latest', or a class (not an instance of it)"
        )
    methods = public_methods(target)
    if not methods:
        raise ServiceDefinitionError(
            f"{where}: class {target.__qualname__} has no public method to call; "
            "write one, and mark it with @tiffin.batch when it takes many rows"
        )
    for name, method in methods.items():
        if name in RESERVED:
            raise ServiceDefinitionError(
                f"{line_of(method)}: {target.__qualname__}.{name}: `self.<runner>.{name}` has a meaning "
                "already; rename the method"
            )
        if (
            inspect.iscoroutinefunction(method)
            or inspect.isasyncgenfunction(method)
            or inspect.isgeneratorfunction(method)
        ):
            raise ServiceDefinitionError(
                f"{line_of(method)}: {target.__qualname__}.{name} is async or yields; a worker runs plain "
                f"methods that return: write `def {name}(self, …)`, or make it private (`_{name}`)"
            )
    return None, target


def check_init(where: str, cls: type | None, init: dict[str, Any]) -> None:
    if cls is None:
        refuse_unknown(where, init, NAMES)
        return
    try:
        signature = inspect.signature(cls)
    except ValueError:
        return  # written in C without a signature: only constructing it can tell
    parameters = signature.parameters.values()
    takes = [p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for name in init:
            if name not in takes:
                raise ServiceDefinitionError(
                    f"{where}: unknown option {name!r}{nearest(name, [*NAMES, *takes])} "
                    f"(options: {', '.join(NAMES)}; "
                    f"{cls.__qualname__} takes: {', '.join(takes) or 'nothing'})"
                )
    missing = [p.name for p in parameters if p.name in takes and p.default is p.empty and p.name not in init]
    if missing:
        raise ServiceDefinitionError(
            f"{where}: {cls.__qualname__}.__init__ needs {', '.join(missing)}; "
            f"write tiffin.runner({cls.__qualname__}, {', '.join(f'{name}=…' for name in missing)})"
        )


def tags_of(where: str, cls: type | None, models: Iterable[str]) -> tuple[Tag, ...]:
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise ServiceDefinitionError(
            f"{where}: models={models!r} must be a list of tags: models=[{models!r}]"
        )
    texts = list(models)
    if cls is None and texts:
        raise ServiceDefinitionError(
            f"{where}: models= is for classes that load models themselves; leave it out"
        )
    try:
        return tuple(Tag.parse(text) for text in texts)
    except (InvalidTagError, AttributeError) as error:
        raise ServiceDefinitionError(f"{where}: models={texts!r}: {error}") from error
