"""What the HTTP room knows of the process it runs in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .changes import Changes

if TYPE_CHECKING:
    from ..batching.dispatcher import Dispatcher
    from ..manifest import ServiceSpec
    from ..metrics.metrics import Metrics
    from ..service.service import ServiceInfo
    from ..supervisor.control import ServerOptions
    from .serving import Serving


@dataclass(eq=False)
class ServerState:
    """One API process: what it serves, and whether it should be given traffic.

    `ready` and `draining` are set by the process main, which tells `changes` of them and of workers that come
    or go; the rest of this room only reads them.
    """

    info: ServiceInfo
    spec: ServiceSpec
    options: ServerOptions
    instance: object
    dispatchers: dict[str, Dispatcher]
    metrics: Metrics
    run_folder: Path
    generation: int
    ready: bool = False
    """Every worker was warm once and the service's hooks have run; stays so when another generation takes
    over."""
    draining: bool = False
    """Requests in hand are finished, and every answer says `Connection: close`."""
    changes: Changes = field(default_factory=Changes, repr=False)
    in_flight: int = 0
    """Predictions whose answer is not written yet."""
    serving: Serving | None = field(default=None, repr=False)
    """Made by the first of `make_protocol` and `create_app`; both then share it."""
