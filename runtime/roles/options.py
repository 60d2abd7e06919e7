"""What a container is for, and how it finds and trusts the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ...errors import ConfigError
from ..service.options import nearest
from .places import Place, parse_places

Role = Literal["serve", "worker", "api"]
Match = Literal["model", "methods", "bundle"]

ROLES: tuple[Role, ...] = get_args(Role)
MATCHES: tuple[Match, ...] = get_args(Match)

TOKEN = "TIFFIN_TOKEN"  # noqa: S105 - the name of the variable
TOKEN_FILE = "TIFFIN_TOKEN_FILE"  # noqa: S105
ROLE = "TIFFIN_ROLE"
RUNNERS = "TIFFIN_RUNNERS"
WORKERS_AT = "TIFFIN_WORKERS_AT"
WORKER_PORT = "TIFFIN_WORKER_PORT"
WORKERS_MATCH = "TIFFIN_WORKERS_MATCH"
TLS_CERT = "TIFFIN_TLS_CERT"
TLS_KEY = "TIFFIN_TLS_KEY"
TLS_CA = "TIFFIN_TLS_CA"
TLS_NAME = "TIFFIN_TLS_NAME"

DEFAULT_PORT = 7000
LEAST_TOKEN_BYTES = 16
"""Shorter ones can be found by trying: who sees one connection begin can try them at home."""


@dataclass(frozen=True)
class TlsFiles:
    """Files in PEM; empty where there is none."""

    cert: str = ""
    """Of this side. A worker container with one takes TLS only."""
    key: str = ""
    """Of the certificate."""
    ca: str = ""
    """Who may sign the other side's. With it an API container uses TLS, and a worker container asks for
    certificates of API containers."""
    name: str = ""
    """What certificates of worker containers must be for; empty: the host by which they were found."""


@dataclass(frozen=True)
class RoleOptions:
    """Of one server; the same for all of its processes."""

    role: Role = "serve"
    """`serve`: API processes and workers; `worker` or `api`: only one of the two."""
    runners: tuple[str, ...] = ()
    """Those that a worker container runs; none named: all."""
    workers_at: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    """Runner to where its workers are, when not here; the runner `""` stands for all that are not named."""
    worker_port: int = DEFAULT_PORT
    """Where a worker container takes frames; 0: any free port."""
    match: Match = "model"
    """What must be the same on both sides: methods of a runner, its models as well, or the whole bundle."""
    token: bytes = field(default=b"", repr=False)
    """Shared by all containers that belong together."""
    tls: TlsFiles = TlsFiles()

    def __post_init__(self) -> None:
        if not 0 <= self.worker_port <= 65535:
            raise ConfigError(f"{WORKER_PORT}={self.worker_port}: use 0 to 65535, 0 for any free port")
        if self.role == "api" and not self.workers_at:
            raise ConfigError(
                f"role api runs no workers: say where they are, {WORKERS_AT}=forest=dns:forest:{DEFAULT_PORT}"
            )
        if self.role == "worker" and self.workers_at:
            raise ConfigError(f"role worker calls no other workers: {WORKERS_AT} is for API containers")
        if self.runners and self.role != "worker":
            raise ConfigError(f"{RUNNERS} chooses what a worker container runs: use it with role worker")
        if (self.role == "worker" or self.workers_at) and not self.token:
            raise ConfigError(
                "containers that work together share a secret: put the same one (openssl rand -hex 32) "
                f"into the file that {TOKEN_FILE} names, or into {TOKEN}, on both sides"
            )
        self._check_tls()

    def _check_tls(self) -> None:
        tls = self.tls
        if bool(tls.cert) != bool(tls.key):
            raise ConfigError(f"{TLS_CERT} and {TLS_KEY} belong together: give both or none")
        if self.role == "worker" and tls.ca and not tls.cert:
            raise ConfigError(f"{TLS_CA} without {TLS_CERT}: a worker container needs a certificate for TLS")
        if self.role != "worker" and (tls.cert or tls.name) and not tls.ca:
            raise ConfigError(
                f"{TLS_CERT} or {TLS_NAME} without {TLS_CA}: say who signs the workers' certificates"
            )
        for variable, path in ((TLS_CERT, tls.cert), (TLS_KEY, tls.key), (TLS_CA, tls.ca)):
            if path and not Path(path).is_file():
                raise ConfigError(f"{variable}: there is no file {path}")


def read_options(environ: Mapping[str, str], **given: Any) -> RoleOptions:
    """From the environment; what is given comes first.

    Args:
        given: `role`, `runners` (names with commas), `workers_at` (as in the variable), `worker_port`,
            `match`, `token_file`, `tls_cert`, `tls_key`, `tls_ca`, `tls_name`; None or empty: as the
            environment says.

    Raises:
        ConfigError: a value that makes no sense; names the variable.
    """

    def text(name: str, variable: str) -> str:
        return str(given.get(name) or environ.get(variable, "")).strip()

    return RoleOptions(
        role=cast("Role", _one_of(ROLE, text("role", ROLE) or "serve", ROLES)),
        runners=tuple(name.strip() for name in text("runners", RUNNERS).split(",") if name.strip()),
        workers_at=parse_places(WORKERS_AT, text("workers_at", WORKERS_AT)),
        worker_port=_port(given.get("worker_port"), environ.get(WORKER_PORT, "")),
        match=cast("Match", _one_of(WORKERS_MATCH, text("match", WORKERS_MATCH) or "model", MATCHES)),
        token=_token(text("token_file", TOKEN_FILE), environ.get(TOKEN, "")),
        tls=TlsFiles(
            cert=text("tls_cert", TLS_CERT),
            key=text("tls_key", TLS_KEY),
            ca=text("tls_ca", TLS_CA),
            name=text("tls_name", TLS_NAME),
        ),
    )


def _one_of(variable: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise ConfigError(f"{variable}={text!r}{nearest(text, known)}: use {', '.join(known)}")
    return text


def _port(given: int | None, text: str) -> int:
    if given is not None:
        return given
    if text and not (text.isascii() and text.isdecimal()):
        raise ConfigError(f"{WORKER_PORT}={text!r}: use a number from 0 to 65535")
    return int(text or DEFAULT_PORT)


def _token(file: str, text: str) -> bytes:
    where = TOKEN
    if file:
        where = f"{TOKEN_FILE}={file}"
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{where} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from error
    token = text.strip().encode()
    if (token or file) and len(token) < LEAST_TOKEN_BYTES:
        raise ConfigError(
            f"the secret in {where} has {len(token)} bytes, use {LEAST_TOKEN_BYTES} or more: "
            "openssl rand -hex 32"
        )
    return token
