"""What one platform asks of a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PORT = 3000
DEFAULT_DRAIN_S = 25.0
"""Most platforms kill 30 s after SIGTERM; the rest is for the processes to end in."""


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

    def sign(self, environ: Mapping[str, str], argument: str) -> str:  # noqa: ARG002 - SageMaker looks at it
        """What gives the platform away, for the log; empty when it is another.

        Args:
            argument: the role that the container was started with, `serve`; empty when with none.
        """
        return next((name for name in self.signs if environ.get(name)), "")
