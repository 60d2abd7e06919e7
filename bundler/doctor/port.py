"""Is somebody listening on the port already?"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from .finding import Finding
from .patient import Patient

NAME = "port"
_PRIVILEGED = 1024


def check(patient: Patient) -> Iterator[Finding]:
    port = patient.port
    if not port:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                yield Finding(
                    check=NAME,
                    severity="warning",
                    what=f"port {port} is in use",
                    where=f"127.0.0.1:{port}",
                    mend=f"bundle serve --port {port + 1}  # who it is: ss -ltnp 'sport = :{port}'",
                )
            elif error.errno == errno.EACCES and port < _PRIVILEGED:
                yield Finding(
                    check=NAME,
                    severity="warning",
                    what=f"port {port} may be opened by root only",
                    where=f"127.0.0.1:{port}",
                    mend=f"bundle serve --port {port + 8000}",
                )
            else:
                yield Finding(
                    check=NAME,
                    severity="warning",
                    what=f"port {port} cannot be opened: {error.strerror}",
                    where=f"127.0.0.1:{port}",
                    mend="bundle serve --port 0",
                )
