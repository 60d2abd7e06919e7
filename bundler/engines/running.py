"""A container of an image, from its start until it answers."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ...errors import ImageError, InvalidTagError, NoEngineError, NotFoundError
from ...runtime.platforms.detect import port_number
from .. import bundles
from .choose import ENGINES, choose
from .engine import Container, Engine, ImageFacts, RunRequest

DEFAULT_PORT = 3000
GRPC_PORT = "TIFFIN_GRPC_PORT"
"""Where the server in the container listens for gRPC."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104 - only compared
"""Addresses that stand for all of this machine's, and where to ask for an answer then."""
_ASK_EVERY_S = 0.25
_ANSWER_LIMIT_S = 2.0


class Started(NamedTuple):
    container: Container
    engine: Engine
    url: str
    grpc: str = ""
    """`127.0.0.1:3001`, when it is published."""


def find_image(image: str, engine: str = "") -> tuple[Engine, ImageFacts]:
    """An engine that has the image.

    Args:
        image: its name.
        engine: the only one that may be asked; empty: every one that answers.

    Raises:
        NotFoundError: none of them has it.
        NoEngineError: none answers.
    """
    asked: list[str] = []
    for name in [engine] if engine else ENGINES:
        try:
            found = choose(name).engine
            return found, found.inspect(image)
        except NoEngineError:  # noqa: PERF203 - the next may answer
            continue
        except NotFoundError:
            asked.append(name)
    if not asked:
        choose(engine)  # says of all of them at once why they do not answer
    have = "has" if len(asked) == 1 else "have"
    raise NotFoundError(f"{' and '.join(asked)} {have} no image {image}: {_how_to_get(image)}")


def _how_to_get(image: str) -> str:
    try:
        tag = bundles.get(image).tag
    except InvalidTagError:
        return "no bundle can have this name; `bundle list` shows those that there are"
    except NotFoundError as error:
        return f"{error}; `bundle list` shows those that there are"
    return f"make it of the bundle with `bundle containerize {tag}`"


def start(engine: Engine, facts: ImageFacts, request: RunRequest, *, grpc_port: int | None = None) -> Started:
    """Starts a container of an image, on the port that the image exposes.

    Args:
        grpc_port: of this machine, to publish gRPC on; None: it is not published.

    Raises:
        ConfigError: the environment for it says that it serves no gRPC, which is to be published.
        ImageError: it could not be started, or ended before its port was known.
    """
    container_port = facts.port or request.container_port
    # Said outright: on the laptop of somebody who has a variable of a cloud set, the port stays the same.
    env = {"BUNDLE_PORT": str(container_port), **request.env}
    request = replace(request, container_port=container_port, env=env)
    if grpc_port is not None:
        env = {GRPC_PORT: str(container_port + 1), **env}
        inside = port_number(GRPC_PORT, env[GRPC_PORT])
        request = replace(request, env=env, more_ports={inside: grpc_port})
    container = engine.run(request)
    try:
        port = container.port()
    except BaseException:
        container.remove()
        raise
    host = _ANY.get(request.host, request.host_in_url)
    grpc = f"{host}:{grpc_port}" if grpc_port is not None else ""
    return Started(container, engine, f"http://{host}:{port}" if port else "", grpc)


def wait_until_ready(
    started: Started,
    limit_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Returns when the server in the container says that it is ready.

    Args:
        started: the container.
        limit_s: longest that it may take.
        clock: seconds.
        sleep: waits some seconds.

    Returns:
        Seconds that it took.

    Raises:
        ImageError: the container ended, or it took too long.
    """
    began = clock()
    url = started.url
    while not (url and _ready(url)):
        code = started.container.exit_code()
        if code is not None:
            raise ImageError(f"the container ended with exit code {code} before it was ready")
        if clock() - began > limit_s:
            raise ImageError(f"the container was not ready after {limit_s:g} s; its log says why")
        sleep(_ASK_EVERY_S)
    return clock() - began


def _ready(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_ANSWER_LIMIT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False  # the port is published before anybody listens on it
    finally:
        connection.close()
