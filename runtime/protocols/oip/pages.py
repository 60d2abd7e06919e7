"""The routes of the protocol that are no predictions: path and verb → what `management` says, as JSON."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from ....errors import InvalidInputError, MalformedInputError, NotFoundRouteError
from ...auth.tokens import MANAGE, METRICS, PREDICT
from . import cuda_memory

if TYPE_CHECKING:
    from .health import Readiness
    from .management import Management

OPEN = ""
"""Needs no token."""
Names = Mapping[str, str]
"""What stands in the path: `model`, `version`, `region`, `repository`; empty when it does not."""
Body = dict[str, Any]
"""Of a request: a JSON object; empty when there is none."""
Told = tuple[int, Any]
"""Status, and what is sent as JSON; None: an empty body."""
T = TypeVar("T")
_PREDICTIONS = ("infer", "generate", "generate_stream")
_KINDS = {"version": "[0-9]+", "region": ".+"}
_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", str: "a text", dict: "an object"}


class Page(NamedTuple):
    template: str
    """Also the label in metrics."""
    verbs: tuple[str, ...]
    scope: str
    answer: Callable[[Names, Body], Told | Awaitable[Told]]
    """Takes the names in the path and the body, an object."""
    reads: bool = True
    """Whether the body matters."""


class Pages:
    """All of them, for one API process."""

    def __init__(self, management: Management) -> None:
        self._management = management
        self._pages = [(_pattern(page.template), page) for page in self._all()]

    def find(self, path: str) -> tuple[Page, Names] | None:
        """By a path after percent-decoding; one slash at the end makes no difference."""
        for pattern, page in self._pages:
            found = pattern.fullmatch(path)
            if found is not None:
                return page, {name: text or "" for name, text in found.groupdict().items()}
        return None

    async def answer(self, page: Page, names: Names, body: bytes) -> Told:
        """
        Args:
            body: JSON; empty counts as `{}`.

        Raises:
            ServingError: of every kind.
        """
        found = page.answer(names, _object(body))
        return found if isinstance(found, tuple) else await found

    def _all(self) -> list[Page]:
        """Handlers are methods, so that each is a line here."""
        read, post, both = ("GET", "HEAD"), ("POST",), ("GET", "HEAD", "POST")
        model = "/v2/models/{model}[/versions/{version}]"
        repository = "/v2/repository[/{repository}]"
        system, cuda = "/v2/systemsharedmemory", "/v2/cudasharedmemory"
        return [
            Page("/v2", read, PREDICT, self._server),
            Page("/v2/health/live", read, OPEN, self._live),
            Page("/v2/health/ready", read, OPEN, self._ready),
            Page("/v2/models[/{model}[/versions/{version}]]/stats", read, METRICS, self._statistics),
            Page(model, read, PREDICT, self._metadata),
            Page(f"{model}/ready", read, PREDICT, self._model_ready),
            Page(f"{model}/config", read, PREDICT, self._config),
            *(Page(f"{model}/{verb}", post, PREDICT, self._no_model, reads=False) for verb in _PREDICTIONS),
            Page("/v2[/models/{model}]/trace/setting", both, MANAGE, self._trace),
            Page("/v2/logging", both, MANAGE, self._log),
            Page(f"{repository}/index", post, PREDICT, self._index),
            Page(f"{repository}/models/{{model}}/load", post, MANAGE, self._load),
            Page(f"{repository}/models/{{model}}/unload", post, MANAGE, self._unload),
            Page(f"{system}[/region/{{region}}]/status", read, MANAGE, self._status),
            Page(f"{system}/region/{{region}}/register", post, MANAGE, self._register),
            Page(f"{system}[/region/{{region}}]/unregister", post, MANAGE, self._unregister),
            Page(f"{cuda}[/region/{{region}}]/status", read, MANAGE, self._cuda_status),
            Page(f"{cuda}/region/{{region}}/register", post, MANAGE, self._cuda_register),
            Page(f"{cuda}[/region/{{region}}]/unregister", post, MANAGE, self._cuda_unregister),
        ]

    def _server(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, self._management.server_metadata()

    def _live(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, {"live": True}

    def _ready(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return _readiness(self._management.server_readiness(), {})

    def _model_ready(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        name = names["model"]
        return _readiness(self._management.model_readiness(name, names["version"]), {"name": name})

    def _metadata(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, self._management.model_metadata(names["model"], names["version"])

    def _config(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, self._management.model_config(names["model"], names["version"])

    async def _statistics(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, await self._management.statistics(names["model"], names["version"])

    def _no_model(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        """A prediction whose route does not exist, or it would have answered."""
        found = self._management.model_metadata(names["model"], names["version"])
        raise NotFoundRouteError(f"no such route of model {found['name']!r}")

    def _trace(self, names: Names, body: Body) -> Told:
        return 200, self._management.change_trace_settings(body, names["model"])

    async def _log(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, await self._management.change_log_settings(body)

    def _index(self, names: Names, body: Body) -> Told:
        ready = _typed(body, "ready", bool, False)
        return 200, self._management.repository.index(names["repository"], ready=ready)

    def _load(self, names: Names, body: Body) -> Told:
        parameters = _typed(body, "parameters", dict, {})
        self._management.repository.load(names["model"], parameters, names["repository"])
        return 200, None

    def _unload(self, names: Names, body: Body) -> Told:
        parameters = _typed(body, "parameters", dict, {})
        self._management.repository.unload(names["model"], parameters, names["repository"])
        return 200, None

    def _status(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, self._management.shared_memory.status(names["region"])

    def _register(self, names: Names, body: Body) -> Told:
        self._management.shared_memory.register(
            names["region"],
            _typed(body, "key", str),
            _typed(body, "offset", int, 0),
            _typed(body, "byte_size", int),
        )
        return 200, None

    def _unregister(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        self._management.shared_memory.unregister(names["region"])
        return 200, None

    def _cuda_status(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, cuda_memory.status(names["region"])

    def _cuda_register(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        cuda_memory.register(names["region"])
        return 200, None

    def _cuda_unregister(self, names: Names, body: Body) -> Told:  # noqa: ARG002
        return 200, None  # nothing can be registered


def _readiness(readiness: Readiness, named: dict[str, Any]) -> Told:
    """The spec wants a body, clients look at the status only."""
    if readiness.ready:
        return 200, {**named, "ready": True}
    return 503, {**named, "ready": False, "error": f"{readiness.state}: {readiness.reason}"}


def _object(body: bytes) -> Body:
    if not body.strip():
        return {}
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedInputError(f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInputError("expected an object", path="$")
    return found


def _typed(body: Body, name: str, kind: type[T], default: T | None = None) -> T:
    """One value of a body; null is as good as nothing."""
    value = body.get(name)
    if value is None:
        value = default
    if value is None:
        raise InvalidInputError(f"{name} is missing", path="$")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidInputError(f"{name} must be {_WORDS[kind]}, not {value!r:.80}", path=f"$.{name}")
    return value


def _pattern(template: str) -> re.Pattern[str]:
    """`/v2[/models/{model}]/stats`: square brackets for what may be left out, names in braces."""
    text = re.escape(template).replace(r"\[", "(?:").replace(r"\]", ")?")
    text = re.sub(r"\\\{(\w+)\\\}", lambda found: f"(?P<{found[1]}>{_KINDS.get(found[1], '[^/]+')})", text)
    return re.compile(f"{text}/?", re.DOTALL)
