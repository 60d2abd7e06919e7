"""What the supervisor and its children say to each other.

One Unix socket pair a child; the child finds its end in the file descriptor `$TIFFIN_CONTROL_FD`. A message
is a u32 little-endian length and a msgpack map tagged with its kind. End of file means that the other side is
gone: a child then exits at once, so that no orphan outlives its supervisor.
"""

from __future__ import annotations

import struct
from typing import Union

import msgspec

from ..manifest import RunnerSpec, ServiceSpec

CONTROL_FD = "TIFFIN_CONTROL_FD"
_LENGTH = struct.Struct("<I")
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Target(msgspec.Struct, kw_only=True):
    """Where the service comes from; the same for every process of one generation."""

    source: str
    """Folder put first on `sys.path`: the project folder, or `<bundle>/src`."""
    service: str
    """`module:QualName`"""
    bundle: str = ""
    """Bundle folder when serving a bundle; models are then found only there."""


class ServerOptions(msgspec.Struct, kw_only=True):
    """What an API process must know of the server."""

    log_format: str = "text"
    """`text` or `json`"""
    log_level: str = "info"
    access_log: bool = True
    drain_s: float = 30.0
    timeout_s: float | None = None
    """Overrides every api's time-out."""
    max_body_bytes: int | None = None
    """Overrides every api's limit."""
    max_bodies_bytes: int | None = None
    """Of all large bodies that one API process holds at a time."""
    title: str = ""
    """`iris:6f3k2q…`, shown on the pages."""
    url: str = ""
    platform: str = ""
    """Whose routes are answered too, `sagemaker`; empty: nobody's."""
    grpc_addresses: list[str] = []
    """Where to listen for gRPC, `127.0.0.1:3001`; none: no gRPC."""
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    """Files in PEM; empty where there is none."""
    auth_file: str = ""
    """Tokens of callers."""
    auth_tokens: str = ""
    """The same as text, with digests only."""
    cors_origins: list[str] = []
    path_prefix: str = ""
    """`/ml/iris`"""
    expose_runners: bool = False
    """Methods of runners are models of the inference protocols, too."""
    client_shm: bool = False
    """Callers on this machine may hand over arrays in shared memory."""


class Away(msgspec.Struct, kw_only=True):
    """How an API process finds workers in other containers, and how they trust each other."""

    places: dict[str, list[tuple[str, int]]]
    """Runner to the hosts and ports of its worker containers."""
    match: str
    token: bytes
    tls: tuple[str, str, str, str]
    """Files and name of `TlsFiles`."""

    def __repr__(self) -> str:
        return f"Away(places={self.places!r})"


# supervisor → child


class StartApi(msgspec.Struct, kw_only=True, tag=True):
    """First message to an API process."""

    target: Target
    options: ServerOptions
    spec: ServiceSpec | None
    """None: this process imports the service and answers `Described` before anything else."""
    listen_fds: list[int]
    run_folder: str
    generation: int
    index: int
    away: Away


class StartGate(msgspec.Struct, kw_only=True, tag=True):
    """First message to the gate of a worker container."""

    target: Target
    options: ServerOptions
    spec: ServiceSpec | None
    """None: this process imports the service and answers `Described` before anything else."""
    runners: list[str]
    """Those that this container runs; none named: all."""
    listen_fds: list[int]
    """For probes and scrapes."""
    gate_fds: list[int]
    """For API processes of other containers."""
    run_folder: str
    generation: int
    index: int
    token: bytes
    tls: tuple[str, str, str, str]
    """Files and name of `TlsFiles`."""

    def __repr__(self) -> str:
        return f"StartGate(index={self.index}, generation={self.generation})"


class StartWorker(msgspec.Struct, kw_only=True, tag=True):
    """First message to a worker."""

    target: Target
    options: ServerOptions
    runner: RunnerSpec
    """With tags resolved."""
    address: str
    """Path of the Unix socket to listen on."""
    gated: bool = False
    """Connections come from the gate of this container, each handed over there."""
    run_folder: str
    index: int


class WorkerAddress(msgspec.Struct, kw_only=True):
    id: str
    """`<runner>-<index>-<spawn>`; unique while the server lives."""
    runner: str
    address: str


class Workers(msgspec.Struct, kw_only=True, tag=True):
    """To API processes: every worker that is warm now. Connect to the new, forget the gone."""

    workers: list[WorkerAddress]
    all_warm: bool
    """False until every worker of the generation has been warm once."""


class Gone(msgspec.Struct, kw_only=True, tag=True):
    """To API processes and gates: this worker's process has ended. Connections to it may not tell: what user
    code has forked there may hold them open."""

    worker: str


class Judged(msgspec.Struct, kw_only=True, tag=True):
    """An API process found out whether a request ends workers; the others of its generation are told."""

    runner: str
    outline: bytes
    digest: bytes
    until: float
    """`time.monotonic()` until which the request is refused; 0 when it is cleared."""
    sentence_s: float


class Drain(msgspec.Struct, kw_only=True, tag=True):
    """Finish what is in hand, take nothing new, answer `Drained`, exit 0. A second can hurry the first."""

    limit_s: float
    linger_s: float = 0.2
    """API processes: how long open connections without a request are kept. Whoever asks on one by then is
    answered, with `connection: close`: a caller that just got an answer may be sending its next request."""
    replaced: bool = False
    """Another generation has taken over: to callers that are still connected the server stays ready."""


class Explain(msgspec.Struct, kw_only=True, tag=True):
    """To API processes: write what batching has learned to the log."""


class Ping(msgspec.Struct, kw_only=True, tag=True):
    """To API processes and gates: answer `Pong`, so that it is known that the event loop turns."""


# child → supervisor


class Described(msgspec.Struct, kw_only=True, tag=True):
    spec: ServiceSpec


class Ready(msgspec.Struct, kw_only=True, tag=True):
    """API process: accepting, and connected once all workers were warm. Worker: warmed and listening."""


class Failed(msgspec.Struct, kw_only=True, tag=True):
    """The child cannot start and exits."""

    error: str
    """For a person: what, where, how to mend it."""
    traceback: str = ""
    usage: bool = False
    """True when the user's definition is wrong, so that a restart cannot help."""


class Pong(msgspec.Struct, kw_only=True, tag=True):
    """The answer to `Ping`."""


class Stuck(msgspec.Struct, kw_only=True, tag=True):
    """API process: this worker holds a batch far past its deadline; replace it."""

    worker: str
    reason: str


class Draining(msgspec.Struct, kw_only=True, tag=True):
    """API process: takes no new connection any more."""


class Drained(msgspec.Struct, kw_only=True, tag=True):
    abandoned: int = 0
    """Requests that the limit cut off."""


Message = Union[  # noqa: UP007 - 3.10
    StartApi,
    StartGate,
    StartWorker,
    Workers,
    Gone,
    Judged,
    Drain,
    Explain,
    Ping,
    Described,
    Ready,
    Failed,
    Pong,
    Stuck,
    Draining,
    Drained,
]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Reader:
    """Cuts a stream of bytes into messages.

    Raises:
        ValueError: (from `feed`) a length over the limit or a body that is no message.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        messages = []
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > MAX_MESSAGE_BYTES:
                raise ValueError(f"control message of {size} bytes, the limit is {MAX_MESSAGE_BYTES}")
            if len(self._buffer) < _LENGTH.size + size:
                break
            messages.append(_decoder.decode(self._buffer[_LENGTH.size : _LENGTH.size + size]))
            del self._buffer[: _LENGTH.size + size]
        return messages
