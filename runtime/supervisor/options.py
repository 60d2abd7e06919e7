"""What `serve` is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...errors import ConfigError
from ..manifest import WorkerRange
from ..roles.options import RoleOptions

EventKind = Literal[
    "listening", "described", "ready", "reloading", "reloaded", "reload failed", "draining", "stopped"
]


@dataclass(frozen=True)
class Event:
    """Something a person who started the server wants to see."""

    kind: EventKind
    fields: dict[str, Any] = field(default_factory=dict)
    """Only what JSON can hold."""


def _ignore(event: Event) -> None:
    pass


@dataclass(frozen=True)
class ServeOptions:
    """How to serve; what the service says of itself holds where this says None or nothing."""

    host: str = "127.0.0.1"
    port: int = 3000
    """0: any free port."""
    processes: int | str | None = None
    """API processes: a number from 1 on, or `auto`."""
    workers: Mapping[str, int | str | WorkerRange] = field(default_factory=dict)
    """Runner to its number of workers."""
    drain_s: float = 30.0
    """Longest that requests in hand may take after SIGTERM."""
    timeout_s: float | None = None
    """Overrides the time-out of every api."""
    log_format: str = "text"
    log_level: str = "info"
    access_log: bool = True
    reload: bool = False
    """Start anew when the source changes."""
    platform: str = ""
    """Whose routes are answered too, `sagemaker`; empty: nobody's."""
    apart: RoleOptions = field(default_factory=RoleOptions)
    """What this container is for, and where the others are."""
    on_event: Callable[[Event], None] = _ignore

    def __post_init__(self) -> None:
        if self.drain_s < 0:
            raise ConfigError(f"drain_s is {self.drain_s:g}: use 0 or more seconds")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ConfigError(f"timeout_s is {self.timeout_s:g}: use more than 0 seconds")
