"""`serve`: the process that was started becomes the supervisor of a server."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from ...errors import ConfigError
from .. import logs
from ..auth.source import check_tokens
from ..auth.tokens import VARIABLE
from ..http.tls import TlsFiles, load
from ..roles.tls import of_api, of_workers
from .descriptors import raise_limit
from .options import Event, ServeOptions
from .run_folder import RunFolder
from .sockets import CONTAINERS, listen
from .subject import look_up
from .supervisor import Supervisor

__all__ = ["Event", "ServeOptions", "serve"]


def serve(target_text: str, options: ServeOptions) -> int:
    """Serves until a signal ends it.

    Args:
        target_text: a folder, `module:Class`, a bundle's tag or its folder.

    Returns:
        The exit code: 0 after an orderly stop, 128 + the signal's number when a second signal cut it short.

    Raises:
        UsageError: the target or the service's definition is wrong.
        ConfigError: files of certificates or tokens that cannot be used.
        IntegrityError: files of the bundle are not what its manifest says; none of them was run.
        ServerError: the port is taken, or the service failed to start.
        TiffinError: what else keeps it from starting.
    """
    started = time.monotonic()
    logs.configure(options.log_format, options.log_level, "supervisor")
    raise_limit()
    subject = look_up(target_text, Path.cwd(), signed_by=options.require_signed)
    if options.reload and subject.target.bundle:
        raise ConfigError(
            "--reload watches source code, a bundle never changes: serve the project's folder instead"
        )
    apart = options.apart
    (of_workers if apart.role == "worker" else of_api)(apart.tls)  # else every process would find it out
    files = TlsFiles.of(options)
    if files is not None:
        load(files)
    check_tokens(options.auth_file, options.auth_tokens, VARIABLE)
    sockets = listen(options.host, options.port)
    gate_sockets: list[socket.socket] = []
    grpc_sockets: list[socket.socket] = []
    try:
        if options.grpc_port is not None and (options.grpc_port != options.port or not options.port):
            grpc_sockets = listen(options.host, options.grpc_port, option="--grpc-port")
        if apart.role == "worker":
            gate_sockets = listen(options.host, apart.worker_port, CONTAINERS, "--worker-port")
        with RunFolder() as run_folder:
            supervisor = Supervisor(subject, options=options, started=started)
            return asyncio.run(supervisor.run(sockets, run_folder, gate_sockets, grpc_sockets))
    finally:
        for opened in (*sockets, *gate_sockets, *grpc_sockets):
            opened.close()
