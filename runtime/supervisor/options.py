"""What `serve` is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...errors import ConfigError
from ..auth.tokens import VARIABLE
from ..http.origins import parse_origins
from ..http.prefix import parse_prefix
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
    grpc_port: int | None = None
    """0: any free port; None: no gRPC."""
    tls_cert: str = ""
    """File in PEM: the certificate and those between it and its authority. HTTPS only, with it."""
    tls_key: str = ""
    """File in PEM: its key, without a password."""
    tls_client_ca: str = ""
    """File in PEM: who may sign callers' certificates; callers without one are turned away."""
    auth_file: str = ""
    """Tokens of callers, a line each; read again when it changes."""
    auth_tokens: str = field(default="", repr=False)
    """The same as text."""
    cors_origins: tuple[str, ...] = ()
    """Whose pages may call from a browser: `https://shop.example.com`, or `*`."""
    path_prefix: str = ""
    """What every path begins with, `/ml/iris`."""
    expose_runners: bool = False
    """Methods of runners are models of the inference protocols, too."""
    client_shm: bool = False
    """Callers on this machine may hand over arrays in shared memory."""
    max_body_bytes: int | None = None
    """Overrides every api's limit."""
    require_signed: tuple[str, ...] = ()
    """Files of public keys in PEM, one of which must have signed what is served; none: anything is served."""
    apart: RoleOptions = field(default_factory=RoleOptions)
    """What this container is for, and where the others are."""
    on_event: Callable[[Event], None] = _ignore

    def __post_init__(self) -> None:
        if self.drain_s < 0:
            raise ConfigError(f"drain_s is {self.drain_s:g}: use 0 or more seconds")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ConfigError(f"timeout_s is {self.timeout_s:g}: use more than 0 seconds")
        if self.max_body_bytes is not None and self.max_body_bytes < 1:
            raise ConfigError(f"the limit of bodies is {self.max_body_bytes} bytes: use more than 0")
        if self.grpc_port is not None:
            self._check_grpc(self.grpc_port)
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("a certificate and its key belong together: give --tls-cert and --tls-key")
        if self.tls_client_ca and not self.tls_cert:
            raise ConfigError("--tls-client-ca asks callers for certificates: that needs --tls-cert, too")
        if self.auth_file and self.auth_tokens:
            raise ConfigError(f"tokens come from a file or from {VARIABLE}, not from both")
        if self.apart.role == "worker":
            self._check_worker()
        for name in ("tls_cert", "tls_key", "tls_client_ca", "auth_file"):  # the service may change folders
            if path := getattr(self, name):
                object.__setattr__(self, name, str(Path.cwd() / path))
        object.__setattr__(
            self, "require_signed", tuple(str(Path.cwd() / key) for key in self.require_signed)
        )
        object.__setattr__(self, "cors_origins", parse_origins(self.cors_origins))
        object.__setattr__(self, "path_prefix", parse_prefix(self.path_prefix))

    def _check_grpc(self, port: int) -> None:
        if not 0 <= port <= 65535:
            raise ConfigError(
                f"--grpc-port {port} is out of range: use 0 to 65535, 0 for any free port, or --no-grpc"
            )

    def _check_worker(self) -> None:
        """It answers nobody but API containers and probes."""
        for option, given in (
            ("--tls-cert", self.tls_cert),
            ("--auth-file", self.auth_file or self.auth_tokens),
            ("--cors-origin", self.cors_origins),
            ("--path-prefix", self.path_prefix),
            ("--grpc-port", self.grpc_port is not None),
        ):
            if given:
                raise ConfigError(f"{option}: role worker takes no calls, give it to the API containers")


def port_beside(port: int) -> int:
    """Where gRPC listens when nobody says: next to HTTP; 0, any free one, when that is."""
    return min(port + 1, 65535) if port else 0
