"""The model repository: what is served, by state; a server serves what it was started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....errors import InvalidInputError
from .health import model_readiness
from .unsupported import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...http.state import ServerState
    from ..endpoints import Endpoints


class Repository:
    """
    Args:
        state: of this process.
        endpoints: all of it.
    """

    def __init__(self, state: ServerState, endpoints: Endpoints) -> None:
        self._state = state
        self._endpoints = endpoints

    def index(self, repository: str = "", *, ready: bool = False) -> list[dict[str, Any]]:
        """Every model as `name`, `version`, `state` and `reason`.

        Args:
            repository: its name; there is one, without a name.
            ready: only those that are.

        Raises:
            UnsupportedError: a repository was named.
        """
        self._check(repository)
        found = []
        for endpoint in self._endpoints.all:
            readiness = model_readiness(self._state, endpoint)
            if readiness.ready or not ready:
                found.append(
                    {
                        "name": endpoint.name,
                        "version": endpoint.version,
                        "state": readiness.state,
                        "reason": readiness.reason,
                    }
                )
        return found

    def load(self, name: str, parameters: Mapping[str, Any], repository: str = "") -> None:
        """A model that is served is loaded: there is nothing to do.

        Args:
            parameters: `config` and `file:…` would change it.

        Raises:
            UnknownModelError: it is not among those that are served.
            UnsupportedError: the caller brings a configuration or files, or names a repository.
        """
        self._check(repository)
        self._endpoints.find(name)
        if parameters:
            raise UnsupportedError(
                f"load failed for model '{name}': this server serves what it was started with, and takes no "
                f"{', '.join(sorted(parameters)[:5])}; build a bundle and serve that"
            )

    def unload(self, name: str, parameters: Mapping[str, Any], repository: str = "") -> None:
        """A model that is not served is unloaded: there is nothing to do.

        Raises:
            InvalidInputError: a parameter that unloading does not have.
            UnsupportedError: it is served.
        """
        self._check(repository)
        for key in parameters:
            if key != "unload_dependents":
                shown = key[:80]
                raise InvalidInputError(
                    f"unknown parameter {shown!r}: unload takes unload_dependents",
                    path=f"$.parameters.{shown}",
                )
        if any(endpoint.name == name for endpoint in self._endpoints.all):
            raise UnsupportedError(
                f"unload failed for model '{name}': this server cannot unload what it was started with; stop "
                "it, or start another in its place"
            )

    def _check(self, repository: str) -> None:
        if repository:
            raise UnsupportedError("there is one repository, without a name: leave the name out")
