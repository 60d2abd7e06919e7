"""`@tiffin.service`: a class whose apis are routes and whose runners are inference."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar, overload

from ...errors import InvalidTagError, NotFoundError, ServiceDefinitionError
from ..manifest import RunnerSpec, ServiceSpec
from ..tag import Tag
from .api import ApiInfo, api_mark, compile_api
from .hooks import PHASES, hook_phases
from .mount import Mount, check_mounts
from .options import DAY_S, MAX_BODY_BYTES, MAX_PROCESSES, number, refuse_unknown, whole, whole_or_auto
from .runner import Runner, importable
from .where import at, line_of, user_frame

C = TypeVar("C", bound=type)

INFO = "__tiffin__"
_OPTIONS = ("name", "processes", "timeout_s", "max_body_bytes")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class ServiceOptions:
    processes: int | str = 1
    """API processes: 1 to 1,024, or `auto`."""
    timeout_s: float = 30.0
    """Seconds a request may take, for apis that do not say."""
    max_body_bytes: int = 100 * 1024 * 1024
    """Largest request body, for apis that do not say."""


@dataclass(frozen=True)
class ServiceInfo:
    """What a service is made of, compiled once when its class is made."""

    name: str
    """For tags and metrics: the class name in kebab case, or `@service(name=…)`."""
    cls: type
    doc: str
    apis: dict[str, ApiInfo]
    """In the order of definition, those of a base class first."""
    runners: dict[str, Runner]
    options: ServiceOptions
    hooks: dict[str, tuple[str, ...]]
    """Phase (`start`, `ready`, `stop`) to the names of its methods."""
    mounts: dict[str, Mount] = field(default_factory=dict)

    def spec(self) -> ServiceSpec:
        """The description that other processes use.

        Raises:
            NotFoundError: a runner's model does not exist.
            ServiceDefinitionError: no other process could import the service or a runner's class.
        """
        return ServiceSpec(
            name=self.name,
            cls=importable(self.cls, f"{line_of(self.cls)}: service {self.name}"),
            doc=self.doc,
            apis=[info.spec() for info in self.apis.values()],
            runners=[_runner_spec(name, runner) for name, runner in self.runners.items()],
            processes=self.options.processes,
            mounts={name: mount.path for name, mount in self.mounts.items()},
        )


def _runner_spec(name: str, runner: Runner) -> RunnerSpec:
    try:
        return runner.spec(name)
    except NotFoundError as error:
        raise NotFoundError(f"{runner.where}: runner {name}: {error}") from error


@overload
def service(cls: C) -> C: ...
@overload
def service(
    *,
    name: str | None = None,
    processes: int | str = 1,
    timeout_s: float = 30.0,
    max_body_bytes: int = ServiceOptions.max_body_bytes,
) -> Callable[[C], C]: ...
def service(
    cls: Any = None,
    *,
    name: str | None = None,
    processes: int | str = 1,
    timeout_s: float = 30.0,
    max_body_bytes: int = ServiceOptions.max_body_bytes,
    **unknown: Any,
) -> Any:
    """Makes a class a service: `@tiffin.api` methods are routes, `tiffin.runner()` attributes are inference.

    The class stays plain Python: an instance works in a unit test, with its runners in this process.

    Args:
        name: name for tags and metrics; None: the class name in kebab case.
        processes: API processes, 1 to 1,024, or `"auto"`: one per core that this container may use.
        timeout_s: seconds a request may take, above 0 and up to a day.
        max_body_bytes: largest request body, 1 byte to 64 GiB.

    Raises:
        ServiceDefinitionError: anything about the class that cannot work; says where and how to mend it.
    """
    frame = user_frame()
    where = f"{at(frame.f_code.co_filename, frame.f_lineno)}: @tiffin.service"
    refuse_unknown(where, unknown, _OPTIONS)
    options = ServiceOptions(
        processes=whole_or_auto(where, "processes", processes, MAX_PROCESSES),
        timeout_s=number(where, "timeout_s", timeout_s, DAY_S, "seconds"),
        max_body_bytes=whole(where, "max_body_bytes", max_body_bytes, 1, MAX_BODY_BYTES),
    )

    def mark(made: Any) -> Any:
        if not isinstance(made, type):
            raise ServiceDefinitionError(f"{where} stands on {made!r}; put it on a class: `class Iris:`")
        setattr(made, INFO, _compile(f"{where} on {made.__qualname__}", made, name, options, user_frame()))
        return made

    return mark if cls is None else mark(cls)


def service_info(cls: type) -> ServiceInfo:
    """What `@tiffin.service` found in a class.

    Raises:
        ServiceDefinitionError: the class itself is not decorated.
    """
    info = vars(cls).get(INFO) if isinstance(cls, type) else None
    if isinstance(info, ServiceInfo):
        return info
    shown = cls.__qualname__ if isinstance(cls, type) else repr(cls)
    inherits = isinstance(getattr(cls, INFO, None), ServiceInfo)
    raise ServiceDefinitionError(
        f"{shown} is not a service{', only a class below one' if inherits else ''}; put @tiffin.service on it"
    )


def _compile(
    where: str, cls: type, name: str | None, options: ServiceOptions, frame: FrameType
) -> ServiceInfo:
    _check_class(where, cls)
    members = _members(where, cls)
    namespace = _namespace(cls, frame)
    apis = {}
    for attribute, value in members.items():
        mark = api_mark(value)
        if mark is not None:
            apis[attribute] = compile_api(
                attribute,
                value,
                mark,
                timeout_s=options.timeout_s,
                max_body_bytes=options.max_body_bytes,
                namespace=namespace,
            )
    if not apis:
        raise ServiceDefinitionError(f"{where}: it has no api; put @tiffin.api on at least one method")
    _check_routes(where, apis)
    mounts = {attribute: value for attribute, value in members.items() if isinstance(value, Mount)}
    check_mounts(where, mounts, {info.route: info.name for info in apis.values()})
    runners = {attribute: value for attribute, value in members.items() if isinstance(value, Runner)}
    for runner in runners.values():
        if runner.problem:
            raise ServiceDefinitionError(f"{runner.where}: {runner.problem}")
    return ServiceInfo(
        name=_name(where, cls, name),
        cls=cls,
        doc=inspect.getdoc(cls) or "",
        apis=apis,
        runners=runners,
        options=options,
        hooks={
            phase: tuple(attribute for attribute, value in members.items() if phase in hook_phases(value))
            for phase in PHASES
        },
        mounts=mounts,
    )


def _members(where: str, cls: type) -> dict[str, Any]:
    """Every attribute as the class has it in the end, in the order of definition, base classes first."""
    members: dict[str, Any] = {}
    for owner in reversed(cls.__mro__[:-1]):
        for name, value in vars(owner).items():
            _check_wrapped(where, name, value)
            earlier = members.get(name)
            if api_mark(earlier) is not None and api_mark(value) is None and value is not None:
                raise ServiceDefinitionError(
                    f"{where}: {owner.__qualname__}.{name} replaces an api of a base class without being "
                    f"one; put @tiffin.api on it, or write `{name} = None` to remove the route"
                )
            members[name] = value
    return members


def _check_wrapped(where: str, name: str, value: object) -> None:
    """`@staticmethod` and the like above `@tiffin.api` hide the method from us."""
    inner = value.fget if isinstance(value, property) else getattr(value, "__func__", None)
    if inner is not None and api_mark(inner) is not None:
        raise ServiceDefinitionError(
            f"{where}: api {name} is a {type(value).__name__}; "
            f"an api is a plain method: `def {name}(self, …)`"
        )


def _check_class(where: str, cls: type) -> None:
    if not cls.__dictoffset__:
        raise ServiceDefinitionError(f"{where}: its __slots__ leave no room for runners; remove them")
    parameters = inspect.signature(cls).parameters.values()
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]
    if needed:
        raise ServiceDefinitionError(
            f"{where}: the server makes it without arguments and __init__ needs {', '.join(needed)}; "
            "give them defaults, or read them from the environment"
        )


def _check_routes(where: str, apis: dict[str, ApiInfo]) -> None:
    seen: dict[str, ApiInfo] = {}
    for info in apis.values():
        other = seen.setdefault(info.route, info)
        if other is not info:
            raise ServiceDefinitionError(
                f"{where}: {other.name} ({line_of(other.function)}) and {info.name} "
                f"({line_of(info.function)}) are both on route {info.route!r}; "
                "give one another with @tiffin.api(route='/…')"
            )


def _namespace(cls: type, frame: FrameType) -> dict[str, Any]:
    """Names for hints besides the module's: those of an enclosing function, and classes inside the class."""
    names = dict(frame.f_locals) if frame.f_code.co_name != "<module>" else {}
    for owner in reversed(cls.__mro__):
        names |= {name: value for name, value in vars(owner).items() if isinstance(value, type)}
    return names


def _name(where: str, cls: type, name: str | None) -> str:
    text = name if name is not None else _WORDS.sub("-", cls.__name__).replace("_", "-").strip("-").lower()
    try:
        return Tag(text).name
    except (InvalidTagError, TypeError) as error:
        raise ServiceDefinitionError(f"{where}: {error}; set one with @tiffin.service(name='…')") from error
