"""`python -m tiffin.runtime.healthcheck`: whether the server in this container is ready, for HEALTHCHECK.

It asks where the server really listens, whatever its port, over TLS where it speaks that. No token is needed;
a server that asks for certificates is asked through its supervisor. Exit code 0: ready; 1: not, or none runs.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from urllib.parse import urlsplit

from ..errors import ServerError, TiffinError
from .home import home
from .private_places import make_places
from .supervisor.admin import Identity
from .supervisor.running import servers

PATIENCE_S = 5.0
"""A server that does not answer within this time is not healthy."""


def check() -> str:
    """Asks every server of this container.

    Returns:
        Which servers are ready, for a person.

    Raises:
        ServerError: none runs, or one of them is not ready; says why.
    """
    running = [one for one in servers() if one.identity.home == str(home())]
    if not running:
        raise ServerError("no server runs in this container")
    return ", ".join(_ready(one.identity) for one in running)


def _ready(identity: Identity) -> str:
    url = identity.url
    if identity.closed:
        if not identity.ready:
            raise ServerError(f"{url} is not ready: a process of it is not up")
        return url
    connection = _connection(url)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read(2000).decode("utf-8", "replace")
    except OSError as error:
        raise ServerError(f"{url} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise ServerError(f"{url} is not ready: {said}")
    return url


def _connection(url: str) -> http.client.HTTPConnection:
    asked = urlsplit(url)
    if asked.scheme != "https":
        return http.client.HTTPConnection(asked.hostname or "", asked.port, timeout=PATIENCE_S)
    # Its own supervisor has said where it listens; the certificate is for the name that others call it by.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(asked.hostname or "", asked.port, timeout=PATIENCE_S, context=context)


def main() -> int:
    """Says on standard error what it found; the exit code."""
    try:
        make_places(os.environ)  # as the server did, so that both mean the same home
        said, code = f"ready: {check()}", 0
    except TiffinError as error:
        said, code = str(error), 1
    sys.stderr.write(f"{said}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
