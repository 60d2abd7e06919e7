"""All that a server offers to tensor protocols, by name and version."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ...errors import NotFoundError, NotFoundRouteError
from ..http.target import VARIABLE
from ..service.options import nearest
from .endpoint import VERSION, Endpoint

if TYPE_CHECKING:
    from ..http.state import ServerState
    from ..manifest import RunnerSpec

logger = logging.getLogger("tiffin.http")


class UnknownModelError(NotFoundRouteError):
    """No endpoint has that name and version."""


class Endpoints:
    """`iris` (the service), `iris.classify` (each api) and, where runners are shown, `iris.forest.predict`.

    The bare name of the service means its only api, or the one that `TIFFIN_INVOCATIONS_API` names.

    Args:
        found: every endpoint, that of the service's name first where it has a meaning.
        service: name of the service.
    """

    def __init__(self, found: list[Endpoint], service: str) -> None:
        self.all = found
        self._by_name = {endpoint.name: endpoint for endpoint in found}
        self._service = service

    @classmethod
    def of(cls, state: ServerState, environ: Mapping[str, str] = os.environ) -> Endpoints:
        """Those of one API process."""
        info, options, instance = state.info, state.options, state.instance
        common = partial(_common_labels, state)
        apis = [
            Endpoint.of_api(f"{info.name}.{api.name}", api, instance, options, common)
            for api in info.apis.values()
        ]
        chosen = environ.get(VARIABLE, "")
        meant = info.apis.get(chosen) if chosen else next(iter(info.apis.values()), None)
        if meant is not None and (chosen or len(info.apis) == 1):
            apis.insert(0, Endpoint.of_api(info.name, meant, instance, options, common))
        methods = [
            Endpoint.of_method(
                f"{info.name}.{runner.name}.{method}",
                runner,
                method,
                instance,
                options,
                timeout_s=info.options.timeout_s,
                max_body_bytes=info.options.max_body_bytes,
                labels=partial(_labels, state, runner),
            )
            for runner in (state.spec.runners if options.expose_runners else ())
            for method in runner.methods
        ]
        return cls(apis + methods, info.name)

    def find(self, name: str, version: str = "") -> Endpoint:
        """The endpoint of a request.

        Args:
            version: empty: the newest.

        Raises:
            UnknownModelError: there is none, or the bare name of the service could be any of several.
        """
        endpoint = self._by_name.get(name)
        if endpoint is None:
            raise UnknownModelError(self._unknown(name))
        if version not in ("", VERSION):
            raise UnknownModelError(
                f"Request for unknown model: {name!r} version {version[:80]} is not found; it has version "
                f"{VERSION}"
            )
        return endpoint

    def _unknown(self, name: str) -> str:
        known = ", ".join(self._by_name) or "none"
        if name == self._service:
            return (
                f"Request for unknown model: {name!r} could be any of several apis: name one of them, or set "
                f"{VARIABLE} (models: {known})"
            )
        shown = name[:200]
        near = nearest(shown, self._by_name)
        return f"Request for unknown model: {shown!r} is not found{near} (models: {known})"


def _labels(state: ServerState, runner: RunnerSpec) -> tuple[str, ...]:
    """The words of its model's label file; none where the model has none, or its files are elsewhere."""
    if not runner.model:
        return ()
    try:
        return tuple(getattr(state.instance, runner.name).model.classes)
    except NotFoundError as error:
        logger.info("the classes of runner %s have no words: %s", runner.name, error)
        return ()


def _common_labels(state: ServerState) -> tuple[str, ...]:
    """What all runners of a service that have labels agree on: an api may pass scores of any of them on."""
    found = {labels for runner in state.spec.runners if (labels := _labels(state, runner))}
    return found.pop() if len(found) == 1 else ()
