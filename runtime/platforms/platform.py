"""What one platform asks of a container."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..manifest import ServiceSpec

DEFAULT_PORT = 3000
DEFAULT_DRAIN_S = 25.0
"""Most platforms kill 30 s after SIGTERM; the rest is for the processes to end in."""


@dataclass(frozen=True)
class Routes:
    """Paths that a platform asks, besides those that every server has.

    Predictions go to the api that `TIFFIN_INVOCATIONS_API` names, else to the only one.
    """

    health: tuple[str, ...] = ()
    """GET: 200 once it is ready, else 503."""
    predict: tuple[str, ...] = ()
    """POST: body and answer are the api's own."""
    instances: tuple[str, ...] = ()
    """POST: `{"instances": […], "parameters": {…}}` → `{"predictions": […]}`; others as in `predict`."""
    documents: Mapping[str, Callable[[ServiceSpec], dict[str, Any]]] = field(default_factory=dict)
    """GET: a JSON object."""
    api_header: str = ""
    """A header, in lower case, that may name the api of this request: `api=classify`."""


@dataclass(frozen=True)
class Platform:
    """A place where containers run. What it needs beyond these fields, its own file overrides.

    A new platform is a new file with one of these, and its name in `detect.PLATFORMS`.
    """

    name: str
    """What `TIFFIN_PLATFORM` calls it: `cloud-run`."""
    title: str
    """What people call it."""
    signs: tuple[str, ...] = ()
    """Variables that it sets, one of which is enough to know it by."""
    port_variables: tuple[str, ...] = ()
    """Variables in which it says where to listen, besides `PORT`."""
    port: int = DEFAULT_PORT
    """Where it looks when no variable says."""
    drain_s: float = DEFAULT_DRAIN_S
    """Seconds for requests in hand after SIGTERM; less than it waits before SIGKILL."""
    log_format: str = "json"
    second_port: bool = False
    """Callers can reach another port beside that of HTTP: gRPC is served there unless told otherwise."""

    def sign(self, environ: Mapping[str, str], argument: str) -> str:  # noqa: ARG002 - SageMaker looks at it
        """What gives the platform away, for the log; empty when it is another.

        Args:
            argument: the role that the container was started with, `serve`; empty when with none.
        """
        return next((name for name in self.signs if environ.get(name)), "")

    def routes(self, environ: Mapping[str, str]) -> Routes:  # noqa: ARG002 - Vertex AI's are in it
        """What it asks beyond the routes that every server has."""
        return Routes()

    def limits(self, environ: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - where cgroups do not tell
        """`TIFFIN_CPUS` and `TIFFIN_MEMORY_MIB`, where the platform says them in another way."""
        return {}
